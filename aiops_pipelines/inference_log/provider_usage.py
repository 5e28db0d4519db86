"""The `usage` objects of model providers, read by their shape.

Shapes known: OpenAI chat completions and responses, Anthropic messages, Gemini, Bedrock Converse, Cohere, the
five canonical counts of this project, and what gateways made of them. Span attributes are `otlp_usage`'s
business.
"""

from collections.abc import Mapping
from typing import Any

from aiops_pipelines.inference_log.record import TOKEN_COLUMNS, RecordError, kind
from aiops_pipelines.inference_log.tokens import Tokens, Usage, completed, first_count, split

WRAPPERS = ("usageMetadata", "usage_metadata", "usage", "billed_units")
GEMINI = ("promptTokenCount", "prompt_token_count", "totalTokenCount", "total_token_count")
INPUT = ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_token_count", "inputTokens")
TOOL_INPUT = ("toolUsePromptTokenCount", "tool_use_prompt_token_count")
OUTPUT = (
    "completion_tokens",
    "output_tokens",
    "candidatesTokenCount",
    "candidates_token_count",
    "outputTokens",
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
    "num_cached_tokens",
    "cached_tokens",
    "input_token_details.cache_read",
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
    "thoughtsTokenCount",
    "thoughts_token_count",
    "reasoning_tokens",
)
TOTAL = ("total_tokens", "totalTokenCount", "total_token_count", "totalTokens")
BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens", "inputTokens")
"""Fields of providers that report cached input beside the input: Anthropic and Bedrock."""


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
        if isinstance(usage.get(wrapper), Mapping):
            return stated_usage(usage[wrapper])
    if "input_uncached" in usage:
        return canonical_tokens(usage)
    gemini = any(name in usage for name in GEMINI)
    beside = "prompt_tokens" not in usage and any(name in usage for name in BESIDE)
    read, write = first_count(usage, CACHE_READ) or 0, first_count(usage, CACHE_WRITE) or 0
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
    given = {name: first_count(counts, (name,)) for name in TOKEN_COLUMNS}
    if given["input_uncached"] is None or given["output_visible"] is None:
        raise RecordError("The token counts lack input_uncached or output_visible; leave all out if unknown.")
    five = [value or 0 for value in given.values()]
    total = first_count(counts, ("tokens_total",))
    if total not in (None, sum(five)):
        raise RecordError(f"tokens_total is {total}, but the five token counts add up to {sum(five)}.")
    uncached, read, write, visible, reasoning = five
    return Tokens(uncached, read, write, visible, reasoning, sum(five), "disjoint")
