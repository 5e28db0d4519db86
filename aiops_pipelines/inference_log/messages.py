"""Prompt and answer texts as providers and frameworks log them: messages, their parts, retrieved chunks.

Where a format keeps them is the importer's business; how many tokens they are is `call_record`'s.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from aiops_pipelines.inference_log.lines import DOCUMENT_LIMIT, parse

T = TypeVar("T")
Turn = tuple[str, str]
"""Role and text."""
_SHAPE = {"messages", "message", "role", "parts", "content", "text"}
SHAPES, WIDEST = 256, 500
"""Sets of names, of so many at most, of which is kept what was found in them: a service's spans have few."""
_NO_TEXT = ("reasoning", "thinking", "blob", "file", "uri", "image_generation_call")


@dataclass(slots=True)
class Conversation:
    """What was sent and what came back; None where the texts were not logged."""

    turns: list[Turn] | None
    answer: str | None
    tools: str
    finish: frozenset[str]

    @property
    def system(self) -> str:
        """All system instructions."""
        return "\n".join(text for role, text in self.turns or [] if role in ("system", "developer"))

    @property
    def query(self) -> str | None:
        """The last message of the user."""
        return next((text for role, text in reversed(self.turns or []) if role in ("user", "human")), None)


def messages(raw: Any, role: str = "user") -> list[Turn]:
    """Return the turns that have a text, out of a list of messages, an object with one, or JSON text."""
    return turns(raw, decoded(raw), role)


def turns(raw: Any, found: Any, role: str = "user") -> list[Turn]:
    """Return the turns of messages that were decoded already."""
    found = _shaped(raw, found)
    if isinstance(found, dict) and isinstance(found.get("messages"), list):
        found = found["messages"]
    said = []
    for message in listed(found):
        if isinstance(message, str):
            message = _message(message)
        speaker = _role(message, role)
        for name, part in _apart(message) if speaker == "user" else ((speaker, message),):
            if text := text_of(part):
                said.append((name, text))
    return said


def _apart(message: Any) -> Iterator[tuple[str, Any]]:
    """Yield what tools returned apart from what the user said in the same message: Pydantic AI, Anthropic."""
    parts = first(message, "parts", "content") if isinstance(message, dict) else None
    if isinstance(parts, list) and any(map(_returned, parts)):
        yield "tool", [part for part in parts if _returned(part)]
        message = [part for part in parts if not _returned(part)]
    yield "user", message


def _returned(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in ("tool_call_response", "tool_result")


def _message(raw: Any) -> Any:
    """Decode messages that are logged as JSON text; a text that only looks like JSON stays as it is."""
    return _shaped(raw, decoded(raw))


def _shaped(raw: Any, found: Any) -> Any:
    return raw if isinstance(found, dict) and _SHAPE.isdisjoint(found) else found


def _role(message: Any, role: str) -> str:
    return str(message.get("role") or role) if isinstance(message, dict) else role


def text_of(message: Any) -> str:
    """Return the text of a message, a part, a choice or a list of them; tool calls and media have none."""
    if isinstance(message, str):
        return message
    if isinstance(message, list):
        return "\n".join(filter(None, map(text_of, message)))
    if not isinstance(message, dict | Mapping) or message.get("type") in _NO_TEXT:
        return ""
    if message.get("thought") is True:  # Gemini's reasoning
        return ""
    for key in ("parts", "content", "text", "response", "result", "refusal"):
        if (inner := message.get(key)) and (text := inner if isinstance(inner, str) else text_of(inner)):
            return text
    for key in ("message", "gen_ai.event.content"):
        if (inner := message.get(key)) and (text := text_of(_message(inner))):
            return text
    return ""


def decoded(raw: Any) -> Any:
    """Return what JSON text of an object or a list spells; anything else as it is."""
    if not isinstance(raw, str) or not raw.lstrip().startswith(("{", "[")):
        return raw
    try:
        return parse(raw.encode(), DOCUMENT_LIMIT)
    except ValueError:
        return raw


def object_in(value: Any) -> dict[str, Any]:
    """Return an object, or that of its JSON text; an empty one for anything else."""
    found = decoded(value)
    return found if isinstance(found, dict) else {}


def listed(value: Any) -> Iterable[Any]:
    """Return a list as it is, nothing as an empty one, and anything else as its only item."""
    return value if isinstance(value, list) else [] if value is None else [value]


def first(values: Mapping[str, Any], *names: str) -> Any:
    """Return the first value that is there and not blank under one of the names."""
    for name in names:
        if (value := values.get(name)) is not None and value != "":
            return value
    return None


def by_names(look: Callable[[tuple[str, ...]], T]) -> Callable[[Mapping[str, Any]], T]:
    """Make `look`, which finds something among names, look once through the same names of some values."""
    kept = lru_cache(maxsize=SHAPES)(look)
    return lambda values: (kept if len(values) <= WIDEST else look)(tuple(values))


class Aliases:
    """Facts, with the names that each may stand under."""

    def __init__(self, **names: tuple[str, ...]):
        self._names = names
        self._present = by_names(self._among)

    def found(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return `first` of each fact, None where it is not there."""
        facts: dict[str, Any] = dict.fromkeys(self._names)
        for fact, names in self._present(values):
            for name in names:
                if (value := values[name]) is not None and value != "":
                    facts[fact] = value
                    break
        return facts

    def _among(self, there: tuple[str, ...]) -> list[tuple[str, list[str]]]:
        known = {*there}
        present = {fact: [n for n in names if n in known] for fact, names in self._names.items()}
        return [(fact, names) for fact, names in present.items() if names]


def chunk_of(document: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a retrieved chunk as the record holds it, and its text, "" where it was not logged."""
    metadata = decoded(document.get("metadata"))
    where = {**(metadata if isinstance(metadata, dict) else {}), **document}
    path = first(where, "document", "source", "doc_uri", "file_path", "file_name")
    content = first(document, "content", "page_content", "text")
    named = first(where, "id", "chunk_id")
    chunk = {
        "chunk_id": None if named is None else str(named),
        "document": path if isinstance(path, str) else None,
        "score": document.get("score"),
    }
    return chunk, content if isinstance(content, str) else ""
