"""Usage objects by the column: texts of one template are read once, their numbers as whole columns.

A template is a usage text with its counts left out. What the counts of a template mean is asked of
`provider_usage`, which decides every usage; here that answer is only applied to many rows at once.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aiops_pipelines.inference_log.lines import parse
from aiops_pipelines.inference_log.provider_usage import stated_usage
from aiops_pipelines.inference_log.record import RecordError
from aiops_pipelines.inference_log.tokens import READINGS, Convention, Usage

GAP = "#"
"""Stands for a count in a template."""
GAPS_LIMIT = 32
COUNTS = ("input", "output", "cache_read", "cache_write", "reasoning", "total")
CONVENTIONS: tuple[Convention, ...] = ("inclusive", "disjoint", "ambiguous")
INCLUSIVE, DISJOINT, AMBIGUOUS = range(3)
"""Places in CONVENTIONS: a column of them takes a fraction of the time of one of texts."""
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
Path = tuple[str, ...]
Column = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """What a template means: each of COUNTS as a sum of the usage's own counts, and how they overlap.

    Without `factors` the template names no input and output, and its calls have no tokens.
    """

    paths: tuple[Path, ...]
    compact: bool
    factors: Mapping[str, tuple[int, ...]] | None = None
    constants: Mapping[str, int | None] | None = None
    cached_inside: bool | None = True
    reasoning_inside: bool | None = True


def shape(template: str) -> Shape | None:
    """Return what a template means; None when its usages must be read one by one.

    The meaning of every count depends on the names around it alone, so it is learned by changing one count
    after the other: each of COUNTS is a constant plus whole multiples of the usage's counts.
    """
    parts = template.split(GAP)
    if len(parts) > GAPS_LIMIT:
        return None
    probe = [1_000] * (len(parts) - 1)
    try:
        paths = _paths(_filled(parts, list(range(10_001, 10_000 + len(parts)))), len(parts) - 1)
        if paths is None or (compact := _compact(parts, probe)) is None:
            return None
        # A total must be no smaller than its parts, also where one of them has to be told from it.
        probe = [1_000_000 if "total" in path[-1].lower() else 1_000 for path in paths]
        base = stated_usage(_filled(parts, probe))
        if base is None:
            return Shape(paths, compact)
        moved = [stated_usage(_filled(parts, _raised(probe, i))) for i in range(len(probe))]
    except RecordError:
        return None
    if not isinstance(base, Usage):
        return None
    factors, constants = dict[str, tuple[int, ...]](), dict[str, int | None]()
    for name in COUNTS:
        at = getattr(base, name)
        if at is None:
            factors[name], constants[name] = (), None
            continue
        factors[name] = tuple(getattr(other, name) - at for other in moved)
        constants[name] = at - sum(f * p for f, p in zip(factors[name], probe, strict=True))
    found = Shape(paths, compact, factors, constants, base.cached_inside, base.reasoning_inside)
    return found if _holds(found, parts, probe) else None


def stated(found: Shape, counts: Sequence[Column], rows: int) -> dict[str, Any]:
    """Return COUNTS as columns, given the counts of the template's paths; an absent total is None."""
    assert found.factors is not None and found.constants is not None
    columns: dict[str, Column | None] = {}
    for name in COUNTS:
        if (constant := found.constants[name]) is None:
            columns[name] = None
            continue
        total = np.full(rows, constant, dtype=np.int64)
        for factor, values in zip(found.factors[name], counts, strict=True):
            total = total + factor * values if factor else total
        columns[name] = total
    return columns


def split_columns(found: Shape, columns: Mapping[str, Any]) -> tuple[list[Column], Column, npt.NDArray[Any]]:
    """Return `tokens.split` of whole columns: five disjoint counts, totals and places in CONVENTIONS."""
    given, made, read, write, hidden = (columns[name] for name in COUNTS[:5])
    counts = {
        (inside, reasoned): (given - (read + write if inside else 0), made - (hidden if reasoned else 0))
        for inside, reasoned in READINGS
    }
    possible = {r: (first >= 0) & (second >= 0) for r, (first, second) in counts.items()}
    adding, sums = {}, {r: counts[r][0] + read + write + counts[r][1] + hidden for r in READINGS}
    for r in READINGS:
        adding[r] = possible[r] & (True if columns["total"] is None else sums[r] == columns["total"])
    shaped = {
        (inside, reasoned): found.cached_inside in (None, inside)
        and found.reasoning_inside in (None, reasoned)
        for inside, reasoned in READINGS
    }
    by_shape = np.any([adding[r] for r in READINGS if shaped[r]], axis=0)
    kept = [adding[r] & (shaped[r] | ~by_shape) for r in READINGS]
    usual = np.any([possible[r] for r in READINGS if shaped[r]], axis=0)
    fallback = [possible[r] & (shaped[r] | ~usual) for r in READINGS]
    any_kept = np.any(kept, axis=0)
    chosen = np.where(any_kept, np.argmax(kept, axis=0), np.argmax(fallback, axis=0))
    cached, reasoned = (np.array([r[i] for r in READINGS])[chosen] for i in (0, 1))
    alike = any_kept.copy()
    for place, r in enumerate(READINGS):
        other = ((cached != r[0]) & (read + write != 0)) | ((reasoned != r[1]) & (hidden != 0))
        alike &= ~(kept[place] & other)
    five = [given - cached * (read + write), read, write, made - reasoned * hidden, hidden]
    total = sum(five)
    convention = np.where(alike, np.where(cached, INCLUSIVE, DISJOINT), AMBIGUOUS)
    stated_total = total if columns["total"] is None else columns["total"]
    return five, np.where(alike, total, stated_total), convention


def apportioned(weights: Sequence[Column], total: Column) -> list[Column]:
    """Return `tokens.apportion` of whole columns, where the weights are not all 0."""
    stacked = np.stack(weights, axis=1)
    whole = np.maximum(stacked.sum(axis=1), 1)[:, None]
    shares, remainders = np.divmod(stacked * total[:, None], whole)
    left = total - shares.sum(axis=1)
    place = np.argsort(np.argsort(-remainders, axis=1, kind="stable"), axis=1, kind="stable")
    return list((shares + (place < left[:, None])).T)


def _holds(found: Shape, parts: Sequence[str], probe: Sequence[int]) -> bool:
    """Try the answer on other counts, none of them 1 above the probe and each of them once 0."""
    other = [count + 17 * place * place for place, count in enumerate(probe)]
    for place in range(len(other)):
        counts = [*other[:place], 0, *other[place + 1 :]]
        try:
            truth = stated_usage(_filled(parts, counts))
        except RecordError:
            # A total of 0 is smaller than its parts, whatever the template means.
            if "total" in found.paths[place][-1].lower():
                continue
            return False
        columns = stated(found, [np.array([count]) for count in counts], 1)
        said = {name: None if columns[name] is None else int(columns[name][0]) for name in COUNTS}
        if not isinstance(truth, Usage) or said != {name: getattr(truth, name) for name in COUNTS}:
            return False
    return True


def _filled(parts: Sequence[str], counts: Sequence[int]) -> Any:
    return parse(_text(parts, counts).encode())


def _text(parts: Sequence[str], counts: Sequence[int]) -> str:
    return parts[0] + "".join(f"{count}{part}" for count, part in zip(counts, parts[1:], strict=True))


def _raised(probe: list[int], place: int) -> list[int]:
    return [count + (i == place) for i, count in enumerate(probe)]


def _paths(usage: Any, gaps: int) -> tuple[Path, ...] | None:
    """Return where the counts stand; None unless each gap is a whole number under a name of its own."""
    found = {value: path for path, value in _leaves(usage, ()) if type(value) is int}
    paths = tuple(path for number in range(10_001, 10_001 + gaps) if (path := found.get(number)))
    return paths if len(paths) == gaps else None


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    else:
        yield path, value


def _compact(parts: Sequence[str], probe: Sequence[int]) -> bool | None:
    """Say whether the text lacks the spaces that `usage_raw` has; None when it is written otherwise."""
    text, value = _text(parts, probe), _filled(parts, probe)
    if text == json.dumps(value):
        return False
    spaced = any("," in name or ":" in name for name in _TEXT.findall(text))
    return None if spaced or text != json.dumps(value, separators=(",", ":")) else True
