"""What Langfuse's observations are, and their usage details: counts by free names, inclusive or disjoint.

Nothing in an export says which of the two was meant, so each row is decided by its total.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiops_pipelines.inference_log.cache_lives import writes_by_life
from aiops_pipelines.inference_log.record import RecordError, kind
from aiops_pipelines.inference_log.tokens import Tokens, Usage, completed, first_count, split

OPERATIONS = {
    "generation": "chat",
    "embedding": "embeddings",
    "retriever": "retrieval",
    "guardrail": "run_guardrail",
}
"""Operation of the GenAI conventions by type of observation."""
INPUT = ("input", "input_tokens", "prompt_tokens", "promptTokens", "prompt")
OUTPUT = ("output", "output_tokens", "completion_tokens", "completionTokens", "completion")
TOTAL = ("total", "total_tokens", "totalTokens")
CACHE_READ = (
    "input_cached_tokens",
    "input_cache_read",
    "cache_read_input_tokens",
    "input_cache_read_tokens",
    "input_flex_cache_read",
    "input_priority_cache_read",
    "prompt_details.cache_read",
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "input_details.cache_read",
    "input_token_details.cache_read",
    "cache_read.input_tokens",
    "cache_read_tokens",
    "cache_read",
    "cached_tokens",
    "cached_content_token_count",
)
CACHE_WRITE = (
    "input_cache_creation",
    "cache_creation_input_tokens",
    "cache_write_input_tokens",
    "input_cache_write",
    "prompt_details.cache_write",
    "input_details.cache_creation",
    "input_token_details.cache_creation",
    "cache_creation.input_tokens",
    "cache_write.input_tokens",
    "cache_write_tokens",
    "cache_creation",
    "cache_write",
)
CACHE_WRITE_BY_LIFE = ("input_cache_creation_5m", "input_cache_creation_1h")
REASONING = (
    "output_reasoning",
    "output_reasoning_tokens",
    "output_flex_reasoning",
    "output_priority_reasoning",
    "reasoning_tokens",
    "completion_details.reasoning",
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "output_details.reasoning",
    "output_token_details.reasoning",
    "reasoning.output_tokens",
    "thoughts_token_count",
    "reasoning",
)
KNOWN = {*INPUT, *OUTPUT, *TOTAL, *CACHE_READ, *CACHE_WRITE, *CACHE_WRITE_BY_LIFE, *REASONING}


def langfuse_tokens(usage: Any) -> Tokens | None:
    """Return the disjoint tokens of usage details; None when they do not name input and output.

    Other counts, of audio for instance, are added to input or output when only that makes up the total.

    Raises:
        RecordError: not an object, or a count that is no whole number from 0 on.
    """
    if not isinstance(usage, Mapping):
        raise RecordError(f"usage_details must be an object, not {kind(usage)}.")
    total = first_count(usage, TOTAL)
    both = completed(first_count(usage, INPUT), first_count(usage, OUTPUT), total)
    if both is None:
        return None
    plain = Usage(
        *both,
        first_count(usage, CACHE_READ) or 0,
        first_count(usage, CACHE_WRITE) or sum(writes_by_life(usage).values()),
        first_count(usage, REASONING) or 0,
        total,
        None,
        None,
    )
    tokens, more_in, more_out = split(plain), _others(usage, "input"), _others(usage, "output")
    if tokens.convention == "ambiguous" and total is not None and more_in + more_out:
        widened = split(replace(plain, input=plain.input + more_in, output=plain.output + more_out))
        return tokens if widened.convention == "ambiguous" else widened
    return tokens


def _others(usage: Mapping[str, Any], side: str) -> int:
    names = [
        name
        for name, value in usage.items()
        if name.startswith(f"{side}_") and name not in KNOWN and not isinstance(value, Mapping)
    ]
    return sum(first_count(usage, (name,)) or 0 for name in names)
