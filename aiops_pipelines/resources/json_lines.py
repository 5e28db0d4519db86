"""JSON lines parsed by the column with pyarrow, for lines that it can be trusted with.

It is strict about types, encoding and keys that stand twice, but takes NaN, and falls over values that are no
objects and over deep nesting: such lines are never given to it. One bad line fails all that are parsed with
it, so they are parsed again in halves.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from aiops_pipelines.inference_log.lines import DEPTH_LIMIT
from aiops_pipelines.resources.warehouse import one_json_value_each

LONGEST_BYTES = 100_000
BLOCK_BYTES = 1 << 20
FEWEST = 64
"""Lines that are not divided further when one of them fails."""
_NO_NUMBER = r"[:\[,]\s*-?(?:NaN|Inf)"
_GOES_ON = r"\}\s*[^\s,\]}]"
"""After the end of an object follows what would begin another value, unless it stands within a text."""


def parsed_lines(
    lines: Sequence[tuple[int, bytes]], types: Mapping[str, pl.DataType], raw: str
) -> Iterator[pl.DataFrame]:
    """Yield frames of the lines that could be parsed, in order, with `source_line` and the text as `raw`.

    Args:
        lines: line numbers and lines.
        types: wanted columns, whose values must be of their type; others come as they are.
        raw: name of the column for the text.
    """
    contents = [line for _, line in lines]
    text = _texts(contents)
    numbers = pl.Series("source_line", [number for number, _ in lines], dtype=pl.Int64)
    trusted = _trusted(text)
    if not trusted.all():
        text, numbers = text.filter(trusted), numbers.filter(trusted)
        contents = [line for line, sure in zip(contents, trusted.to_list(), strict=True) if sure]
    yield from _parsed(contents, pl.DataFrame([numbers, text.alias(raw)]), types)


def _texts(lines: list[bytes]) -> pl.Series:
    """Return the lines as text, null where one is not UTF-8."""
    try:
        return pl.Series(lines, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([_decoded(line) for line in lines], dtype=pl.String)


def _decoded(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _trusted(text: pl.Series) -> pl.Series:
    """Say which lines are one object each, valid UTF-8, of ordinary length and depth."""
    opened = text.str.count_matches("{", literal=True) + text.str.count_matches("[", literal=True)
    plain = (
        text.str.starts_with("{")
        & (text.str.len_bytes() <= LONGEST_BYTES)
        & (opened <= DEPTH_LIMIT)
        & ~(text.str.contains_any(["NaN", "Inf"]) & text.str.contains(_NO_NUMBER))
    ).fill_null(False)
    doubtful = plain & text.str.contains(_GOES_ON).fill_null(False)
    if doubtful.any():
        plain = plain.scatter(doubtful.arg_true(), one_json_value_each(text.filter(doubtful)))
    return plain


def _parsed(
    contents: list[bytes], frame: pl.DataFrame, types: Mapping[str, pl.DataType]
) -> Iterator[pl.DataFrame]:
    if not contents:
        return
    found = _columns(b"\n".join(contents), types)
    if found is not None and found.height == frame.height and not {*frame.columns} & {*found.columns}:
        yield pl.concat([frame, found], how="horizontal")
    elif len(contents) > FEWEST:
        half = len(contents) // 2
        yield from _parsed(contents[:half], frame[:half], types)
        yield from _parsed(contents[half:], frame[half:], types)


def _columns(content: bytes, types: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    import pyarrow as pa
    import pyarrow.json as arrow_json

    options = arrow_json.ParseOptions(
        explicit_schema=pa.schema({name: _arrow(dtype) for name, dtype in types.items()}),
        newlines_in_values=False,
        unexpected_field_behavior="infer",
    )
    try:
        read = arrow_json.read_json(
            pa.BufferReader(content), arrow_json.ReadOptions(block_size=BLOCK_BYTES), options
        )
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    known = pa.schema([pa.field(field.name, _known(field.type)) for field in read.schema])
    found = pl.from_arrow(read if known.equals(read.schema) else read.cast(known))
    assert isinstance(found, pl.DataFrame)
    return found


def _arrow(dtype: Any) -> Any:
    import pyarrow as pa

    if isinstance(dtype, pl.List):
        return pa.list_(_arrow(dtype.inner))
    if isinstance(dtype, pl.Struct):
        return pa.struct({field.name: _arrow(field.dtype) for field in dtype.fields})
    return {pl.String: pa.string(), pl.Int64: pa.int64(), pl.Float64: pa.float64()}[dtype.base_type()]


def _known(found: Any) -> Any:
    """Return a type with text in place of what was always null; polars cannot take a list of nothing."""
    import pyarrow as pa

    if pa.types.is_null(found):
        return pa.string()
    if pa.types.is_list(found):
        return pa.list_(_known(found.value_type))
    if pa.types.is_struct(found):
        return pa.struct([pa.field(field.name, _known(field.type)) for field in found])
    return found
