"""Token counts without double counting: what providers report, as disjoint counts and as parts of the prompt.

Prices are `costs`' business; counting text is done by the tokenizer that is passed in.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiops_pipelines.inference_log.record import PART_COLUMNS, TOKEN_COLUMNS, RecordError, count

Convention = Literal["inclusive", "disjoint", "ambiguous"]
PARTS = ("system_prompt", "tools", "context", "history", "user")
Reading = tuple[bool, bool]
"""Cached tokens counted inside the input, reasoning counted inside the output."""
READINGS: tuple[Reading, ...] = ((True, True), (True, False), (False, True), (False, False))
LONGEST_COUNT = 18
_NO_PARTS = (None,) * len(PARTS)
_COLUMNS = (
    *(*TOKEN_COLUMNS, "tokens_total", "token_convention"),
    *(*PART_COLUMNS, "completion_tokens", "part_method"),
)
HONEST_OVERHEAD = 0.1
"""Share by which counted text may miss the provider's input before the parts are called estimated."""


@dataclass(slots=True)
class Tokens:
    """Five disjoint counts of one call; their sum is `total` unless the convention is ambiguous."""

    input_uncached: int
    cache_read: int
    cache_write: int
    output_visible: int
    reasoning: int
    total: int
    convention: Convention

    @property
    def input(self) -> int:
        """All input tokens."""
        return self.input_uncached + self.cache_read + self.cache_write

    @property
    def output(self) -> int:
        """All output tokens."""
        return self.output_visible + self.reasoning


@dataclass(slots=True)
class Usage:
    """Counts as a source states them, and what its shape tells about how they overlap (None: nothing)."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    total: int | None = None
    cached_inside: bool | None = True
    reasoning_inside: bool | None = True


def split(usage: Usage) -> Tokens:
    """Decide how the counts overlap, by the total where one is given, by the shape of the source otherwise.

    There are four readings: cached tokens inside the input or beside it, reasoning inside the output or
    beside it. Kept is the one that adds up to the total, the shape's own first. Where several remain, or
    none, the call is `ambiguous`: the columns hold the inclusive reading, where that is possible, and the
    total stays the provider's.

    Worked example: input 100, output 20, cache read 80 and total 200 are (100, 80, 0, 20, 0), disjoint.
    """
    plain = usage.input + usage.output
    if not (usage.cache_read or usage.cache_write or usage.reasoning) and usage.total in (None, plain):
        inside = usage.cached_inside is not False
        return Tokens(usage.input, 0, 0, usage.output, 0, plain, "inclusive" if inside else "disjoint")
    possible = [reading for reading in READINGS if min(_counts(usage, reading)) >= 0]
    shaped = [
        (inside, reasoned)
        for inside, reasoned in possible
        if usage.cached_inside in (None, inside) and usage.reasoning_inside in (None, reasoned)
    ]
    kept = _adding_up(usage, shaped) or _adding_up(usage, possible)
    reading = (kept or shaped or possible)[0]
    counts = _counts(usage, reading)
    if len({_counts(usage, other) for other in kept}) == 1:
        return Tokens(*counts, total=sum(counts), convention="inclusive" if reading[0] else "disjoint")
    total = sum(counts) if usage.total is None else usage.total
    return Tokens(*counts, total=total, convention="ambiguous")


def _counts(usage: Usage, reading: Reading) -> tuple[int, int, int, int, int]:
    cached = usage.cache_read + usage.cache_write if reading[0] else 0
    hidden = usage.reasoning if reading[1] else 0
    return usage.input - cached, usage.cache_read, usage.cache_write, usage.output - hidden, usage.reasoning


def _adding_up(usage: Usage, readings: Sequence[Reading]) -> list[Reading]:
    return [r for r in readings if usage.total in (None, sum(_counts(usage, r)))]


def apportion(weights: Sequence[int], total: int) -> list[int] | None:
    """Scale counts to whole numbers that add up to a total, by largest remainder; None if all are 0.

    Hamilton's method: each gets the whole part of its share, what is left goes to the largest remainders.

    Worked example: weights 1, 1, 1 and total 10 give 4, 3, 3.
    """
    whole = sum(weights)
    if whole == 0:
        return None
    shares = [weight * total // whole for weight in weights]
    if left := total - sum(shares):
        by_remainder = sorted(range(len(weights)), key=lambda i: (-(weights[i] * total % whole), i))
        for i in by_remainder[:left]:
            shares[i] += 1
    return shares


def part_method(parts: Mapping[str, int], tokens: Tokens | None, exact: bool) -> str:
    """Return `counted` when an exact tokenizer nearly reproduces the provider's input, else `estimated`."""
    near = tokens is not None and abs(sum(parts.values()) - tokens.input) <= HONEST_OVERHEAD * tokens.input
    return "counted" if exact and near else "estimated"


def token_columns(
    tokens: Tokens | None, parts: Mapping[str, int] | None = None, method: str | None = None
) -> dict[str, Any]:
    """Return the record's token columns: counts, and parts that add up to the input; null where not measured.

    Args:
        tokens: the call's tokens, None when it has no usage.
        parts: counts by PARTS, before they are reconciled with the provider's input.
        method: how the parts were found.
    """
    if tokens is None:
        return dict.fromkeys(_COLUMNS)
    shares = parts and apportion([parts.get(part, 0) for part in PARTS], tokens.input)
    counts = (tokens.input_uncached, tokens.cache_read, tokens.cache_write, tokens.output_visible)
    stated = (*counts, tokens.reasoning, tokens.total, tokens.convention)
    parted = (*(shares or _NO_PARTS), tokens.output, method if shares else None)
    return dict(zip(_COLUMNS, stated + parted, strict=True))


def first_count(values: Mapping[str, Any], names: Sequence[str]) -> int | None:
    """Return the first count found under one of the names, where a dot goes one object down; None if none is.

    A count may be written as text: databases export 64-bit numbers so, and pandas whole ones as "12.0".

    Raises:
        RecordError: the value is no whole number from 0 on; the field is named.
    """
    for name in names:
        value: Any = values.get(name)
        if value is None and "." in name and name.partition(".")[0] in values:
            value = values
            for step in name.split("."):
                value = value.get(step) if isinstance(value, Mapping) else None
        if value is not None:
            whole = value.removesuffix(".0") if isinstance(value, str) else value
            return count(f"usage.{name}", int(whole) if spelt(whole) else value)
    return None


def spelt(value: Any) -> bool:
    """Return whether a value is text that spells a count: `spelt("12")` is true."""
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= LONGEST_COUNT


def completed(
    given: int | None, generated: int | None, total: int | None, beside: int = 0
) -> tuple[int, int] | None:
    """Return input and output, the missing one from the total; None when it cannot be told.

    Raises:
        RecordError: the total is smaller than what it should hold.
    """
    if total is not None and (given is None) != (generated is None):
        rest = total - beside - (given or 0) - (generated or 0)
        if rest < 0:
            raise RecordError("usage has a total that is smaller than its parts.")
        return (rest, generated or 0) if given is None else (given, rest)
    return None if given is None or generated is None else (given, generated)


def of_embedding(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usage of an embedding with the output that most leave out: there is none."""
    return {"output_tokens": 0, "output_visible": 0, **usage}


def usage_json(usage: Any) -> str | None:
    """Return usage as the source states it, as JSON text for `usage_raw`."""
    return json.dumps(usage, sort_keys=True, default=str) if usage else None
