"""Where a mapping says that a value stands in a row, and which rows it says are calls.

A place is a name, dots going one object or list down. `*` is the only field of an object, whatever its name;
a place that only begins the names of fields, as in flattened tables, is the object of those.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.inference_log.messages import decoded
from aiops_pipelines.inference_log.tokens import spelt

Place = str | Sequence[str]
"""A place, or several of which the first with a value counts; `=` and a text is that text."""
Mapped = Mapping[str, Place | Mapping[str, Place]]
"""Places by column of the record, and under `only` what stands where in a call."""
LONGEST_NAME, LONGEST_MASKED = 40, 400
"""Of a value that is told of, which may be a text that names people."""


def standing(row: Mapping[str, Any], place: str, whole: bool = True) -> Any:
    """Return what stands at a place of a row, or what the place says that it always is."""
    return place[1:] if place.startswith("=") else at(row, place, whole)


def at(value: Any, place: str, whole: bool = True) -> Any:
    """Return what stands at a place; names of fields may have dots themselves, as `usage.cached.tokens`.

    Without `whole` it is no object that a table flattened: `user.name` says nothing of the text `user`.
    """
    if isinstance(value, dict) and place in value:
        return value[place]
    step, dot, rest = place.partition(".")
    inner = _inner(value, step)
    found = at(decoded(inner), rest, whole) if dot else inner
    return _flattened(value, place) if whole and found is None and isinstance(value, dict) else found


def _inner(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return next(iter(value.values())) if step == "*" and len(value) == 1 else value.get(step)
    found = isinstance(value, list) and spelt(step) and int(step) < len(value)
    return value[int(step)] if found else None


def _flattened(value: Mapping[str, Any], place: str) -> dict[str, Any] | None:
    start = f"{place}."
    names = [name for name in value if name.startswith(start)]
    return {name[len(start) :]: value[name] for name in names} if names else None


def heads(places: Sequence[Place]) -> tuple[str, ...]:
    """Return how names of fields begin that a mapping speaks of."""
    return tuple({one for place in places for one in ((place,) if isinstance(place, str) else place)})


def spoken_of(name: str, starts: Sequence[str], whole: Sequence[str]) -> bool:
    """Return whether a field is one that a mapping speaks of, in whole or in part.

    Args:
        name: the field.
        starts: `heads` of the mapping.
        whole: of these, those that may stand for all fields whose names they begin.
    """
    return any(start == name or start.startswith(f"{name}.") for start in starts) or any(
        name.startswith(f"{start}.") for start in whole
    )


def left_out(row: Mapping[str, Any], only: Mapping[str, Place]) -> str | None:
    """Return what a row says instead of what every call says; None for a call.

    Worked example: with `{"type": "llm"}`, a row of the type tool gives "tool", one without a type
    gives "no type".

    Args:
        row: a row of the table.
        only: by place the text that stands there in a call, or several; "" is nothing.
    """
    for place, wanted in only.items():
        value = at(row, place)
        said = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value).strip()
        if said not in ((wanted,) if isinstance(wanted, str) else wanted):
            return shown(said[:LONGEST_MASKED]) or f"no {place}"
    return None


@lru_cache(maxsize=256)
def shown(said: str) -> str:
    """Return the beginning of a text without personal data."""
    return mask(said)[0][:LONGEST_NAME]
