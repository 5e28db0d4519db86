"""Token columns of many calls at once: usage objects by template, counts by the column.

Every rule stands in `provider_usage`, `tokens` and `aiops_jsonl`; calls of which this is not certain are left
to them.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aiops_pipelines.inference_log.plain_usage import (
    CONVENTIONS,
    DISJOINT,
    GAP,
    Shape,
    apportioned,
    shape,
    split_columns,
    stated,
)
from aiops_pipelines.inference_log.record import COUNT_LIMIT, PART_COLUMNS, TOKEN_COLUMNS
from aiops_pipelines.inference_log.tokens import PARTS

TEMPLATES = 64
"""Templates that are worth a look at all rows; a log has a few, and rarer ones are read line by line."""
SAMPLE = 64
"""Lines whose templates come first: a usage written again from the parsed counts is compared with its line.
Token columns take 0.6 times the CPU time that they take when an expression finds each usage."""
_KEY = '"usage"'
_USAGE = r'"usage"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})'
_SPACED, _COMPACT = (r": [0-9]{1,9}\b", ": " + GAP), (r":[0-9]{1,9}\b", ":" + GAP)
"""Counts as JSON writers space them, and their gaps; twice as fast as one expression with a group."""
Mask = npt.NDArray[np.bool_]


class _Columns:
    """The token columns as they fill up; `plain` says which rows stay certain."""

    def __init__(self, rows: int):
        self.five = np.zeros((len(TOKEN_COLUMNS), rows), dtype=np.int64)
        self.total = np.zeros(rows, dtype=np.int64)
        self.convention = np.full(rows, len(CONVENTIONS), dtype=np.int8)
        self.measured: Mask = np.zeros(rows, dtype=bool)
        self.plain: Mask = np.ones(rows, dtype=bool)

    def fill(self, rows: Mask, five: Any, total: Any, convention: Any) -> None:
        """Set the tokens of some rows."""
        where = slice(None) if rows.all() else rows
        for place, values in enumerate(five):
            self.five[place, where] = values
        self.total[where], self.convention[where], self.measured[where] = total, convention, True


def plain_tokens(lines: pl.DataFrame, raw: str) -> tuple[pl.DataFrame, Mask]:
    """Return the token columns and `usage_raw` of parsed lines, and for which rows they are certain.

    Args:
        lines: parsed lines with the counts, `token_parts` and, where there is any, `usage`.
        raw: name of the column with the text of the lines.
    """
    columns = _Columns(lines.height)
    texts = _provider_usage(lines, raw, columns)
    _canonical(lines, texts.is_null().to_numpy(), columns)
    parts, method = _parts(lines, columns)
    unmeasured = ~columns.measured
    numbers = {
        **dict(zip(TOKEN_COLUMNS, columns.five, strict=True)),
        "tokens_total": columns.total,
        "completion_tokens": columns.five[3] + columns.five[4],
    }
    frame = pl.DataFrame({name: _null_where(unmeasured, values) for name, values in numbers.items()})
    return frame.with_columns(
        *(_null_where(~method, values).alias(n) for n, values in zip(PART_COLUMNS, parts, strict=True)),
        token_convention=pl.Series([*CONVENTIONS, None], dtype=pl.String).gather(columns.convention),
        part_method=pl.when(pl.Series(method)).then(pl.lit("reported")),
        usage_raw=texts,
    ), columns.plain


def _provider_usage(lines: pl.DataFrame, raw: str, columns: _Columns) -> pl.Series:
    """Fill in the tokens of usage objects; return the objects as `usage_raw` writes them."""
    texts = pl.repeat(None, lines.height, dtype=pl.String(), eager=True)
    if "usage" not in lines.columns:
        return texts
    usage, left = lines["usage"], np.ones(lines.height, dtype=bool)
    found = _found(lines.head(SAMPLE)[raw])
    for template in found["template"].drop_nulls().value_counts(sort=True)["template"]:
        meaning = shape(template)
        if meaning is None or meaning.factors is None or not left.any():
            continue
        written, stored = _written(usage, meaning, template)
        rows = _stands(written, lines[raw]) & left
        _fill_shape(usage.filter(pl.Series(rows)), meaning, rows, columns)
        texts, left = stored.zip_with(pl.Series(rows), texts), left & ~rows
    if left.any():
        some = pl.Series(left)
        rest = _by_template(usage.filter(some), lines[raw].filter(some), left, columns)
        texts = texts.scatter(np.flatnonzero(left), rest)
    return texts


def _found(raw: pl.Series) -> pl.DataFrame:
    """Return the usage objects of lines as text, and their templates."""
    return (
        raw.to_frame("text")
        .select(pl.col("text").str.extract(_USAGE))
        .with_columns(template=pl.col("text").str.replace_all(*_SPACED).str.replace_all(*_COMPACT))
    )


def _written(usage: pl.Series, meaning: Shape, template: str) -> tuple[pl.Series, pl.Series]:
    """Return usages by a template as lines hold them, and as `usage_raw` does; null without a count."""
    counts = [_at(usage, path).alias(str(place)) for place, path in enumerate(meaning.paths)]
    stored = template.replace(",", ", ").replace(":", ": ") if meaning.compact else template
    both = [template, stored] if meaning.compact else [template]
    frame = pl.DataFrame(counts)
    texts = [frame.select(text=_filled(one.split(GAP))).to_series() for one in both]
    return texts[0], texts[-1]


def _filled(parts: list[str]) -> pl.Expr:
    pieces = [pl.lit(parts[0])]
    for place, part in enumerate(parts[1:]):
        pieces += [pl.col(str(place)), pl.lit(part)]
    return pl.concat_str(pieces)


def _stands(written: pl.Series, raw: pl.Series) -> Mask:
    """Say in which lines the first key `usage` has the text behind its colon, however that is spaced.

    Without a look at the rest of the line: within texts, quotes are escaped.
    """
    behind = pl.col("raw").str.find(_KEY, literal=True) + len(_KEY)
    tails = pl.DataFrame({"raw": raw, "written": written}).with_columns(
        tail=pl.col("raw").cast(pl.Binary).bin.slice(behind)
    )
    stands: Mask = np.zeros(len(raw), dtype=bool)
    for colon in (": ", ":"):
        start = pl.concat_str(pl.lit(colon), "written").cast(pl.Binary)
        starts = pl.col("tail").bin.starts_with(start).fill_null(value=False)
        stands |= tails.select(starts).to_series().to_numpy()
        if stands.all():
            break
    return stands


def _by_template(usage: pl.Series, raw: pl.Series, places: Mask, columns: _Columns) -> pl.Series:
    """Do the same with the usages of some rows, each by the template of its own text."""
    found = _found(raw)
    texts, known = found["text"], found["template"].is_null().to_numpy().copy()
    plain = (texts.is_null() == usage.is_null()).to_numpy()
    frequent = found["template"].drop_nulls().value_counts(sort=True, name="n").head(TEMPLATES)
    for template in frequent["template"]:
        rows = (found["template"] == template).fill_null(False).to_numpy()
        if (meaning := shape(template)) is None:
            continue
        known |= rows
        if meaning.compact:
            spaced = texts.str.replace_all(",", ", ", literal=True).str.replace_all(":", ": ", literal=True)
            texts = spaced.zip_with(pl.Series(rows), texts)
        if meaning.factors is not None:
            whole = places.copy()
            whole[places] = rows
            _fill_shape(usage.filter(pl.Series(rows)), meaning, whole, columns)
    columns.plain[places] &= plain & known
    return texts


def _at(usage: pl.Series, path: tuple[str, ...]) -> pl.Series:
    """Return the counts at a path; null where there is none, since a text may be another object's."""
    for step in path:
        if not isinstance(usage.dtype, pl.Struct) or step not in usage.struct.fields:
            return pl.repeat(None, len(usage), dtype=pl.Int64(), eager=True)
        usage = usage.struct.field(step)
    return usage.cast(pl.Int64, strict=False)


def _fill_shape(usage: pl.Series, meaning: Shape, rows: Mask, columns: _Columns) -> None:
    """Set the tokens of `rows`, whose usages these are."""
    given = [_at(usage, path) for path in meaning.paths]
    for values in given:
        columns.plain[rows] &= values.is_not_null().to_numpy()
    counts = [values.fill_null(0).to_numpy() for values in given]
    found = stated(meaning, counts, len(usage))
    if int(np.min([found["input"], found["output"]], initial=0)) < 0:
        columns.plain[rows] &= (found["input"] >= 0) & (found["output"] >= 0)
    columns.fill(rows, *split_columns(meaning, found))


def _canonical(lines: pl.DataFrame, rows: Mask, columns: _Columns) -> None:
    """Fill in the five counts that a call without usage gives itself; all five follow from two."""
    given = lines.select(*TOKEN_COLUMNS, "tokens_total")
    rows = rows & given.select(pl.any_horizontal(pl.col(*TOKEN_COLUMNS).is_not_null())).to_series().to_numpy()
    if not rows.any():
        return
    values = given.filter(pl.Series(rows)).with_columns(total=pl.sum_horizontal(TOKEN_COLUMNS))
    right = values.select(
        pl.col("input_uncached").is_not_null()
        & pl.col("output_visible").is_not_null()
        & pl.all_horizontal(pl.col(*TOKEN_COLUMNS).is_between(0, COUNT_LIMIT - 1).fill_null(True))
        & (pl.col("tokens_total").is_null() | (pl.col("tokens_total") == pl.col("total")))
        & pl.col("tokens_total").is_between(0, COUNT_LIMIT - 1).fill_null(True)
    ).to_series()
    columns.plain[rows] &= right.to_numpy()
    five = [values[name].fill_null(0).to_numpy() for name in TOKEN_COLUMNS]
    columns.fill(rows, five, values["total"].to_numpy(), DISJOINT)


def _parts(lines: pl.DataFrame, columns: _Columns) -> tuple[Any, Mask]:
    """Return the parts, scaled to the input, and for which rows there are any."""
    given = lines["token_parts"]
    fields = given.struct.fields
    if len(fields) > len(PARTS):
        columns.plain &= given.is_null().to_numpy()
    weights = given.struct.unnest().select(pl.col(PARTS).fill_null(0))
    whole = [values.to_numpy() for values in weights]
    for values in whole:
        columns.plain &= (values >= 0) & (values < COUNT_LIMIT)
    safe = columns.plain & columns.measured
    shared = safe & (sum(whole) > 0)
    shares = apportioned(
        [np.where(safe, w, 0) for w in whole], np.where(safe, columns.five[:3].sum(axis=0), 0)
    )
    return shares, shared


def _null_where(empty: Mask, values: Any) -> pl.Series:
    series = pl.Series(values, dtype=pl.Int64)
    if not empty.any():
        return series
    return series.zip_with(pl.Series(~empty), pl.Series([None], dtype=pl.Int64))
