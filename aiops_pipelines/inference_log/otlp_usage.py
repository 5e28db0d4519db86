"""Token counts in span attributes: the names of the GenAI conventions, of OpenInference and of vendors.

The conventions count cached tokens inside the input and reasoning inside the output. Vendor aliases do not
promise the first, so without a total a call with cached tokens under such a name is ambiguous.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from aiops_pipelines.inference_log.langfuse_usage import langfuse_tokens
from aiops_pipelines.inference_log.messages import by_names
from aiops_pipelines.inference_log.provider_usage import provider_tokens
from aiops_pipelines.inference_log.tokens import Tokens, Usage, completed, first_count, of_embedding, split

INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "gen_ai.response.prompt_tokens",
    "gen_ai.response.input_tokens",
)
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "gen_ai.response.completion_tokens",
    "gen_ai.response.output_tokens",
)
"""The last two are those of .NET before May 2025: Semantic Kernel's, and of Microsoft.Extensions.AI."""
TOTAL = (
    "gen_ai.usage.total_tokens",
    "llm.usage.total_tokens",
    "llm.token_count.total",
    "ai.usage.totalTokens",
)
CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.prompt_tokens_details.cached_tokens",
    "gen_ai.usage.details.cached_tokens",
    "llm.token_count.prompt_details.cache_read",
    "llm.token_count.prompt_details.cache_input",
)
CACHE_WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
READ_ALIASES = (
    "gen_ai.usage.cache_read_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "gen_ai.usage.details.cache_read_input_tokens",
    "gen_ai.usage.input_cached_tokens",
    "gen_ai.usage.input_tokens.cache_read",
    "ai.usage.cachedInputTokens",
)
WRITE_ALIASES = (
    "gen_ai.usage.cache_write_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "gen_ai.usage.details.cache_creation_input_tokens",
    "gen_ai.usage.input_cache_creation",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
)
REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "llm.token_count.completion_details.reasoning",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "gen_ai.usage.completion_tokens_details.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "llm.usage.reasoning_tokens",
    "ai.usage.reasoningTokens",
)
COST = ("gen_ai.usage.cost", "llm.cost.total", "gen_ai.cost.total_cost", "operation.cost")
PROVIDER_USAGE, FRAMEWORK_USAGE = "aiops.usage.provider", "aiops.usage.framework"
"""A usage object as a provider gives it, or as a framework counts; put there by `otlp_dialects`."""
_WHOLE: dict[str, Callable[[Any], Tokens | None]] = {
    PROVIDER_USAGE: provider_tokens,
    FRAMEWORK_USAGE: langfuse_tokens,
}
_PREFIXES = (
    "gen_ai.usage.",
    "llm.token_count.",
    "llm.usage.",
    "llm.cost.",
    "ai.usage.",
    "aiops.usage.",
    "anthropic.usage.",
    *INPUT[-2:],
    *OUTPUT[-2:],
)
_ENCODER = json.JSONEncoder(sort_keys=True)


def span_tokens(attributes: Mapping[str, Any]) -> Tokens | None:
    """Return the disjoint tokens of a model call's span; None when it does not name input and output.

    Raises:
        RecordError: a count is no whole number from 0 on, or the total is smaller than its parts.
    """
    for name, tokens_of in _WHOLE.items():
        if (stated := attributes.get(name)) and (tokens := tokens_of(stated)):
            return tokens
    names = _possible(attributes)
    given, made, total = (first_count(attributes, names[kind]) for kind in (INPUT, OUTPUT, TOTAL))
    if (both := completed(given, made, total)) is None:
        return None
    read, write = first_count(attributes, names[CACHE_READ]), first_count(attributes, names[CACHE_WRITE])
    read_alias = first_count(attributes, names[READ_ALIASES])
    write_alias = first_count(attributes, names[WRITE_ALIASES])
    by_alias = (read is None and read_alias) or (write is None and write_alias)
    return split(
        Usage(
            *both,
            read_alias or 0 if read is None else read,
            write_alias or 0 if write is None else write,
            first_count(attributes, names[REASONING]) or 0,
            total,
            None if by_alias else True,
        )
    )


@by_names
def _possible(there: tuple[str, ...]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return which names of each count can be found among these attributes."""
    known = {*there}
    return {
        names: tuple(name for name in names if name in known or name.partition(".")[0] in known)
        for names in (INPUT, OUTPUT, TOTAL, CACHE_READ, CACHE_WRITE, READ_ALIASES, WRITE_ALIASES, REASONING)
    }


def with_no_output(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return an embedding's attributes with the output of 0 that its counts and usage objects leave out."""
    objects = {
        name: of_embedding(usage)
        for name, usage in attributes.items()
        if usage and isinstance(usage, dict) and "usage" in name.lower()
    }
    return {OUTPUT[-1]: 0, **attributes, **objects}


def reported_cost(attributes: Mapping[str, Any]) -> Any:
    """Return the cost in USD that the span itself states; other currencies are not converted."""
    if str(attributes.get("gen_ai.usage.cost.currency", "USD")).upper() == "USD":
        amount = attributes.get("gen_ai.usage.cost.amount")
        return next((c for c in (amount, *map(attributes.get, COST)) if c is not None), None)
    return None


def usage_text(attributes: Mapping[str, Any]) -> str | None:
    """Return the span's usage attributes as JSON text."""
    found = {name: attributes[name] for name in _usage_names(attributes)}
    return _ENCODER.encode(found) if found else None


@by_names
def _usage_names(there: tuple[str, ...]) -> list[str]:
    return [name for name in there if name.startswith(_PREFIXES)]
