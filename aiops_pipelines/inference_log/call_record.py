"""One model call as a record: its fields checked, its tokens split, its prompt counted by part.

What the fields are in a format is the importer's business.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from aiops_pipelines.inference_log.messages import Conversation
from aiops_pipelines.inference_log.record import CHAT, CountTokens, normal_form
from aiops_pipelines.inference_log.tokens import Tokens, part_method, token_columns

REFUSED, BLOCKED = (
    {"refusal", "refused"},
    {
        *("content_filter", "content_filtered", "guardrail_intervened", "safety", "prohibited_content"),
        *("blocklist", "spii", "recitation", "model_armor", "jailbreak"),
        *("image_safety", "image_prohibited_content", "image_recitation"),
    },
)
"""Finish reasons, in lower case, of answers that the model or a filter held back."""


@lru_cache(maxsize=256)
def _letters(reason: str) -> str:
    """Return a reason in one spelling: `content-filter`, `ContentFilter`, `FinishReason.CONTENT_FILTER`."""
    return reason.rpartition(".")[2].lower().replace("_", "").replace("-", "")


_REFUSED, _BLOCKED = (frozenset(map(_letters, reasons)) for reasons in (REFUSED, BLOCKED))
NOTHING_SAID = Conversation(None, None, "", frozenset())
HIDDEN = ("redacted-by-litellm", "redacted by litellm", "__REDACTED__")
"""How what LiteLLM and OpenInference write in place of texts that are not to be logged begins."""


def outcome(failed: bool, finish: Iterable[str]) -> str:
    """Return a call's status from whether it failed and why its answer ended."""
    if failed:
        return "error"
    reasons = set(map(_letters, finish))
    return "blocked" if reasons & _BLOCKED else "refused" if reasons & _REFUSED else "ok"


class KeptTexts:
    """Stands where tokens are counted when texts are to be read: keeps them by call, and counts nothing."""

    def __init__(self) -> None:
        self.by_event: dict[str, tuple[str, str]] = {}
        """System prompt and definitions of tools, "" where there are none."""

    def __call__(self, text: str, model: str) -> tuple[int, bool]:
        """Count nothing."""
        return 0, False


def call_record(
    fields: Mapping[str, Any],
    tokens: Tokens | None,
    said: Conversation,
    contexts: Sequence[str],
    count_tokens: CountTokens | None,
) -> dict[str, Any]:
    """Return the record of a call, without the places it was read from.

    Args:
        fields: by the names of the record's columns; query and answer are the conversation's if left out.
        tokens: the provider's counts.
        said: the texts of the call.
        contexts: texts of the retrieved chunks.
        count_tokens: counts text for the token parts; without it the parts stay null.

    Raises:
        RecordError: a field is not what its column holds.
    """
    said = NOTHING_SAID if fields.get("operation") not in (None, CHAT) else without_hidden(said)
    record = normal_form({"query": said.query, "answer": said.answer, **fields})
    if isinstance(count_tokens, KeptTexts):
        count_tokens.by_event[record["event_id"]] = said.system, said.tools
    model = record["model_served"] or record["model_requested"] or ""
    parts, exact = _parts(said, contexts, model, count_tokens)
    method = part_method(parts, tokens, exact) if parts else None
    if parts and tokens and record["retrieved"] and "context" not in parts:
        # Chunks were given to the model, their texts not logged: what the other texts leave over is theirs.
        parts["context"], method = max(tokens.input - sum(parts.values()), 0), "estimated"
    return {**record, **token_columns(tokens, parts, method)}


def without_hidden(said: Conversation) -> Conversation:
    """Return a conversation without what stands in place of its texts: nobody asked or answered that."""
    if (said.answer or "").startswith(HIDDEN):
        said = replace(said, answer=None)
    if any(text.startswith(HIDDEN) for _, text in said.turns or ()):
        said = replace(
            said, turns=[turn for turn in said.turns or () if not turn[1].startswith(HIDDEN)] or None
        )
    return said


def _parts(
    said: Conversation, contexts: Sequence[str], model: str, count_tokens: CountTokens | None
) -> tuple[dict[str, int] | None, bool]:
    """Count the prompt by part: retrieved texts are found word for word, tool results are context too."""
    if not said.turns or count_tokens is None:
        return None, False
    texts: dict[str, list[str]] = defaultdict(list, {"tools": [said.tools]} if said.tools else {})
    for part, text in _by_part(said):
        for context in contexts:
            if part != "context" and context in text:
                text = text.replace(context, "", 1)
                texts["context"].append(context)
        texts[part].append(text)
    counted = {part: [count_tokens(text, model) for text in found] for part, found in texts.items()}
    parts = {part: sum(tokens for tokens, _ in found) for part, found in counted.items()}
    return parts, all(exact for found in counted.values() for _, exact in found)


def _by_part(said: Conversation) -> Iterator[tuple[str, str]]:
    turns = said.turns or []
    users = [position for position, (role, _) in enumerate(turns) if role in ("user", "human")]
    for position, (role, text) in enumerate(turns):
        if role in ("system", "developer"):
            yield "system_prompt", text
        elif role in ("tool", "function"):
            yield "context", text
        else:
            yield "user" if users[-1:] == [position] else "history", text
