"""The mistakes of a file that breaks its schema, each as a sentence that names the key.

pydantic tries every kind that a value may be and tells of each; here they become one sentence.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

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


def mistakes(error: ValidationError, content: Mapping[str, Any], model: type[BaseModel]) -> list[str]:
    """Return a sentence for each place of the content that breaks the schema of a model, the key first.

    Where a value of several kinds has the keys of one, only what is wrong with those keys is told. A key that
    there is not is told with the one that is meant, if it looks like one of that place.
    """
    told: dict[Place, list[str]] = {}
    choices = set()
    for one in error.errors():
        place, choice = _place(one["loc"], content, one["type"] == "missing")
        said = _PLAIN.get(one["type"], one["msg"].removeprefix("Value error, "))
        said += _meant(model, place) if one["type"] == "extra_forbidden" else ""
        told.setdefault(place, []).append(said)
        if choice is not None:
            choices.add(choice)
    inside = {choice for choice in choices for place in told if place[: len(choice)] == choice != place}
    return [
        f"{'.'.join(map(str, place)) or 'file'}: {_joined(said)}"
        for place, said in told.items()
        if place not in inside
    ]


def _meant(model: type[BaseModel], place: Place) -> str:
    """Return a question for the key that an unknown one looks like, or nothing."""
    models = [model]
    for part in place[:-1]:
        if isinstance(part, str):  # a number is a place in a list of models
            fields = [one.model_fields[part] for one in models if part in one.model_fields]
            models = [found for one in fields for found in _models(one.annotation)]
    names = [field.alias or name for one in models for name, field in one.model_fields.items()]
    found = get_close_matches(str(place[-1]), names, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a field's type is made of: of a list, a union or a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


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
