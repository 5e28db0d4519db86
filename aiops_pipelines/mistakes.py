"""The mistakes of a file that breaks its schema, each as a sentence that names the key.

pydantic tries every kind that a value may be and tells of each; here they become one sentence.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

Place = tuple[str | int, ...]
_SHOULD = "Input should be "
_PLAIN = {
    "model_type": f"{_SHOULD}a mapping of keys",
    "dict_type": f"{_SHOULD}a mapping of keys",
    "path_type": f"{_SHOULD}a path",
    "tuple_type": f"{_SHOULD}a list",
    "extra_forbidden": "There is no such key",
}
"""What pydantic says in the words of Python, by the type of its error."""


def mistakes(error: ValidationError, content: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each place of the content that breaks the schema, the key first.

    Where a value of several kinds has the keys of one, only what is wrong with those keys is told.
    """
    told: dict[Place, list[str]] = {}
    choices = set()
    for one in error.errors():
        place, choice = _place(one["loc"], content, one["type"] == "missing")
        said = _PLAIN.get(one["type"], one["msg"].removeprefix("Value error, "))
        told.setdefault(place, []).append(said)
        if choice is not None:
            choices.add(choice)
    inside = {choice for choice in choices for place in told if place[: len(choice)] == choice != place}
    return [
        f"{'.'.join(map(str, place)) or 'file'}: {_joined(said)}"
        for place, said in told.items()
        if place not in inside
    ]


def _place(loc: Place, content: Any, missing: bool) -> tuple[Place, Place | None]:
    """Return the keys that lead to a mistake, and those that lead to the value of several kinds, if any.

    Parts of `loc` that are no keys of the content name a kind that was tried.
    """
    place: Place = ()
    choice = None
    for at, part in enumerate(loc):
        if part in content if isinstance(content, Mapping) else isinstance(part, int):
            content = content[part]
        elif not (missing and at == len(loc) - 1):
            choice = place
            continue
        place = (*place, part)
    return place, choice


def _joined(said: Sequence[str]) -> str:
    first, *others = dict.fromkeys(said)
    return ", or ".join([first, *(other.removeprefix(_SHOULD) for other in others)])
