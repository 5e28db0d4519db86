"""JSON lines parsed by the column with pyarrow, for lines that it can be trusted with.

It is strict about types, encoding and keys that stand twice, but takes NaN, and falls over values that are no
objects and over deep nesting: such lines are never given to it. One bad line fails all that are parsed with
it, so they are parsed again in halves.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from aiops_pipelines.inference_log.lines import DEPTH_LIMIT
from aiops_pipelines.resources.warehouse import one_json_value_each

LONGEST_BYTES = 100_000
BLOCK_BYTES = 4 << 20
FEWEST = 64
"""Lines that are not divided further when one of them fails."""
_NO_NUMBER = r"[:\[,]\s*-?(?:NaN|Inf)"


def parsed_lines(
    lines: Sequence[tuple[int, bytes]], types: Mapping[str, pl.DataType], raw: str
) -> Iterator[pl.DataFrame]:
    """Yield frames of the lines that could be parsed, in order, with `source_line` and the text as `raw`.

    Args:
        lines: line numbers and lines.
        types: wanted columns, whose values must be of their type; others come as they are.
        raw: name of the column for the text.
    """
    frame = pl.DataFrame(
        {
            "source_line": pl.Series([number for number, _ in lines], dtype=pl.Int64),
            raw: _texts([line for _, line in lines]),
        }
    )
    yield from _parsed(frame.filter(_trusted(frame[raw])), types, raw)


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
        & ~text.str.contains(_NO_NUMBER)
    ).fill_null(False)
    return plain & one_json_value_each(text.zip_with(plain, pl.Series(["!"])))


def _parsed(frame: pl.DataFrame, types: Mapping[str, pl.DataType], raw: str) -> Iterator[pl.DataFrame]:
    if frame.is_empty():
        return
    found = _columns(frame[raw], types)
    if found is not None and found.height == frame.height and not {raw, "source_line"} & set(found.columns):
        yield pl.concat([frame, found], how="horizontal")
    elif frame.height > FEWEST:
        half = frame.height // 2
        yield from _parsed(frame[:half], types, raw)
        yield from _parsed(frame[half:], types, raw)


def _columns(text: pl.Series, types: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    import pyarrow as pa
    import pyarrow.json as arrow_json

    options = arrow_json.ParseOptions(
        explicit_schema=pa.schema({name: _arrow(dtype) for name, dtype in types.items()}),
        newlines_in_values=False,
        unexpected_field_behavior="infer",
    )
    try:
        table = arrow_json.read_json(
            io.BytesIO("\n".join(text).encode()), arrow_json.ReadOptions(block_size=BLOCK_BYTES), options
        )
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    found = pl.from_arrow(table)
    assert isinstance(found, pl.DataFrame)
    return found


def _arrow(dtype: Any) -> Any:
    import pyarrow as pa

    if isinstance(dtype, pl.List):
        return pa.list_(_arrow(dtype.inner))
    if isinstance(dtype, pl.Struct):
        return pa.struct({field.name: _arrow(field.dtype) for field in dtype.fields})
    return {pl.String: pa.string(), pl.Int64: pa.int64(), pl.Float64: pa.float64()}[dtype.base_type()]
