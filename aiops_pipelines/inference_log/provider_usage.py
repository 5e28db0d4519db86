"""The `usage` objects of model providers, read by their shape.

Shapes known: OpenAI chat completions and responses, Anthropic messages, Gemini, Bedrock Converse, Cohere, the
five canonical counts of this project, and what gateways made of them. Span attributes are `otlp_usage`'s
business.
"""

from collections.abc import Mapping
from typing import Any

from aiops_pipelines.inference_log.cache_lives import writes_by_life
from aiops_pipelines.inference_log.record import TOKEN_COLUMNS, RecordError, count, kind
from aiops_pipelines.inference_log.tokens import Tokens, Usage, completed, first_count, spelt, split

WRAPPERS = ("usageMetadata", "usage_metadata", "usage", "billed_units", "tokens")
GEMINI = (
    "promptTokenCount",
    "prompt_token_count",
    "totalTokenCount",
    "total_token_count",
    "total_thought_tokens",
)
INPUT = (
    "prompt_tokens",
    "input_tokens",
    "promptTokenCount",
    "prompt_token_count",
    "inputTokens",
    "total_input_tokens",
)
TOOL_INPUT = ("toolUsePromptTokenCount", "tool_use_prompt_token_count", "total_tool_use_tokens")
OUTPUT = (
    "completion_tokens",
    "output_tokens",
    "generation_token_count",
    "candidatesTokenCount",
    "candidates_token_count",
    "responseTokenCount",
    "response_token_count",
    "outputTokens",
    "total_output_tokens",
)
CACHE_READ = (
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "cache_read_input_tokens",
    "cachedContentTokenCount",
    "cached_content_token_count",
    "cacheReadInputTokens",
    "cacheReadInputTokenCount",
    "prompt_cache_hit_tokens",
    "cached_tokens",
    "total_cached_tokens",
    "input_token_details.cache_read",
    "input_token_details.flex_cache_read",
    "input_token_details.priority_cache_read",
    "prompt_token_details.cached_tokens",
)
CACHE_WRITE = (
    "cache_creation_input_tokens",
    "prompt_tokens_details.cache_write_tokens",
    "prompt_tokens_details.cache_creation_tokens",
    "input_tokens_details.cache_write_tokens",
    "cacheWriteInputTokens",
    "cacheWriteInputTokenCount",
    "input_token_details.cache_creation",
)
REASONING = (
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "output_tokens_details.thinking_tokens",
    "output_token_details.reasoning",
    "output_token_details.flex_reasoning",
    "output_token_details.priority_reasoning",
    "thoughtsTokenCount",
    "thoughts_token_count",
    "reasoning_tokens",
    "total_thought_tokens",
)
TOTAL = ("total_tokens", "totalTokenCount", "total_token_count", "totalTokens")
BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens", "inputTokens")
"""Fields of providers that report cached input beside the input: Anthropic and Bedrock."""


BESIDE_THE_ANSWER = (
    ("prompt_eval_count", "eval_count"),
    ("inputTextTokenCount", "tokenCount"),
    ("prompt_token_count", "generation_token_count"),
    ("input_token_count", "generated_token_count"),
    ("num_tokens_prompt_total", "num_tokens_generated"),
    ("tokens_evaluated", "tokens_predicted"),
)
"""Input and output counts of providers that keep them out of a usage object."""
BODIES = ("usage", "usageMetadata", "usage_metadata", "meta")
"""Where the body of a response keeps its usage object; `meta` is Cohere's."""


def body_usage(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the usage object of a response's body; None when it states none.

    Ollama, Titan, Llama, watsonx and Aleph Alpha state their counts beside the answer.
    """
    for name in BODIES:
        if isinstance(body.get(name), Mapping) and _counts(body[name]):
            found: Mapping[str, Any] = body[name]
            # An embedding or a ranking has no output, so a total alone is its input.
            alone = set(found) == {"total_tokens"} and "choices" not in body
            return {"input_tokens": found["total_tokens"], **found} if alone else found
    results = body.get("results")
    result = results[0] if isinstance(results, list) and results and isinstance(results[0], Mapping) else {}
    for given, generated in BESIDE_THE_ANSWER:
        both = {**result, **body}
        if both.get(given) is not None:
            return {"input_tokens": both[given], "output_tokens": both.get(generated) or 0}
    return None


def _counts(usage: Mapping[str, Any]) -> bool:
    inner = usage.get("billed_units") or usage.get("tokens") or usage
    return isinstance(inner, Mapping) and any(
        isinstance(value, int | float) or spelt(value) for value in inner.values()
    )


def provider_tokens(usage: Any) -> Tokens | None:
    """Return the disjoint tokens of a provider's usage object; None when it does not name input and output.

    Raises:
        RecordError: not an object, or a count that is no whole number from 0 on.
    """
    found = stated_usage(usage)
    return split(found) if isinstance(found, Usage) else found


def stated_usage(usage: Any) -> Usage | Tokens | None:
    """Return what a usage object states, before it is decided how the counts overlap.

    The five canonical counts leave nothing to decide: they are returned as tokens.

    Raises:
        RecordError: as for `provider_tokens`.
    """
    if not isinstance(usage, Mapping):
        raise RecordError(f"usage must be an object, not {kind(usage)}.")
    for wrapper in WRAPPERS:
        if isinstance(inner := usage.get(wrapper), Mapping):
            # Cohere leaves out what it does not bill: an embedding has no output.
            billed = wrapper == "billed_units" and "input_tokens" in inner
            return stated_usage({"output_tokens": 0, **inner} if billed else inner)
    if "input_uncached" in usage:
        return canonical_tokens(usage)
    # A table gives every row the fields of all providers: null is as good as absent.
    gemini = any(usage.get(name) is not None for name in GEMINI)
    beside = usage.get("prompt_tokens") is None and any(usage.get(name) is not None for name in BESIDE)
    read, write = first_count(usage, CACHE_READ) or 0, first_count(usage, CACHE_WRITE) or 0
    if not write and "input_token_details" in usage:
        # LangChain states 0 beside how long they live, so that its details add up.
        write = sum(writes_by_life(usage).values())
    reasoning, total = first_count(usage, REASONING) or 0, first_count(usage, TOTAL)
    given, generated = first_count(usage, INPUT), first_count(usage, OUTPUT)
    if gemini:
        # Gemini leaves out counts that are zero.
        given, generated = (given or 0) + (first_count(usage, TOOL_INPUT) or 0), generated or 0
    both = completed(given, generated, total, read + write if beside else 0)
    if both is None:
        return None
    return Usage(*both, read, write, reasoning, total, not beside, not gemini)


def canonical_tokens(counts: Mapping[str, Any]) -> Tokens:
    """Return tokens from the five canonical counts; cache and reasoning default to 0.

    Raises:
        RecordError: input or output is missing, a count is wrong, or the total is not their sum.
    """
    stated = ((name, counts.get(name)) for name in (*TOKEN_COLUMNS, "tokens_total"))
    given = {name: None if value is None else count(f"usage.{name}", value) for name, value in stated}
    total = given.pop("tokens_total")
    if given["input_uncached"] is None or given["output_visible"] is None:
        raise RecordError("The token counts lack input_uncached or output_visible; leave all out if unknown.")
    five = [value or 0 for value in given.values()]
    if total not in (None, sum(five)):
        raise RecordError(f"tokens_total is {total}, but the five token counts add up to {sum(five)}.")
    uncached, read, write, visible, reasoning = five
    return Tokens(uncached, read, write, visible, reasoning, sum(five), "disjoint")
