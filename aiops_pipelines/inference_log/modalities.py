"""Audio and images inside the token counts of a call: some models price them apart from text.

They are read from the usage as its source states it, whatever the format: the details of OpenAI and
LangChain, Gemini's lists by modality, the flat names of Langfuse and OpenInference.
"""

from collections.abc import Mapping
from typing import Any

from aiops_pipelines.inference_log.record import MODALITIES

DETAILS = {
    "input": (
        *("prompt_tokens_details", "input_tokens_details", "input_token_details"),
        *("promptTokensDetails", "toolUsePromptTokensDetails", "tool_use_prompt_tokens_details"),
    ),
    "cached": ("cacheTokensDetails", "cache_tokens_details", "cached_tokens_details"),
    "output": (
        *("completion_tokens_details", "output_tokens_details", "output_token_details"),
        *("candidatesTokensDetails", "candidates_tokens_details", "responseTokensDetails"),
    ),
}
FLAT = {
    "input": ("input_{}_tokens", "input_{}", "llm.token_count.prompt_details.{}"),
    "cached": ("cache_{}_read_tokens", "input_cached_{}_tokens", "input_cached_{}"),
    "output": ("output_{}_tokens", "output_{}", "llm.token_count.completion_details.{}"),
}
"""Where the tokens of a modality stand; those of the input hold the cached ones."""
WRAPPERS = ("usageMetadata", "usage_metadata", "usage")


def modal_tokens(usage: Any) -> dict[str, int]:
    """Return the columns of audio and images that a usage object states; what it does not state is left out.

    Worked example: 100 audio tokens in `prompt_tokens_details`, 80 of them in its `cached_tokens_details`,
    are 20 of the uncached input and 80 of the cache read.
    """
    if not isinstance(usage, Mapping):
        return {}
    for wrapper in WRAPPERS:
        if isinstance(usage.get(wrapper), Mapping):
            return modal_tokens(usage[wrapper])
    counts = {}
    for modality in MODALITIES:
        given, cached, made = (_stated(usage, side, modality) for side in ("input", "cached", "output"))
        if given is not None:
            counts[f"input_uncached_{modality}"] = given - (cached or 0)
        if cached is not None:
            counts[f"cache_read_{modality}"] = cached
        if made is not None:
            counts[f"output_{modality}"] = made
    return counts


def _stated(usage: Mapping[str, Any], side: str, modality: str) -> int | None:
    details = [usage[name] for name in DETAILS[side] if name in usage]
    if side == "cached":
        inner = [usage[name] for name in DETAILS["input"] if isinstance(usage.get(name), Mapping)]
        details += [one["cached_tokens_details"] for one in inner if "cached_tokens_details" in one]
    nested = [_in_details(one, modality) for one in details]
    flat = [usage.get(name.format(modality)) for name in FLAT[side]]
    counts = [count for count in (*nested, *flat) if isinstance(count, int)]
    return sum(counts) if counts else None


def _in_details(details: Any, modality: str) -> Any:
    if isinstance(details, Mapping):
        return details.get(f"{modality}_tokens", details.get(modality))
    if not isinstance(details, list):
        return None
    ones = [
        one for one in details if isinstance(one, Mapping) and str(one.get("modality")).lower() == modality
    ]
    counts = [one.get("tokenCount", one.get("token_count")) for one in ones]
    return sum(counts) if counts and all(isinstance(count, int) for count in counts) else None
