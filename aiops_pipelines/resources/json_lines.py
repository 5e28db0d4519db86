"""JSON lines parsed by the column with pyarrow, for lines that it can be trusted with.

It is strict about types, encoding and keys that stand twice, but takes NaN, and falls over values that are no
objects and over deep nesting: such lines are never given to it. One bad line fails all that are parsed with
it, so they are parsed again in halves.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aiops_pipelines.inference_log.lines import DEPTH_LIMIT, Block

LONGEST_BYTES = 100_000
BLOCK_BYTES = 1 << 20
FEWEST = 64
"""Lines that are not divided further when one of them fails."""
_NO_NUMBER = r"[:\[,]\s*-?(?:NaN|Inf)"
_OPEN, _CLOSE, _RETURN = b"{}\r"
Bounds = npt.NDArray[np.int64]


def parsed_lines(
    block: Block, types: Mapping[str, pl.DataType], raw: str, seen: set[str]
) -> Iterator[pl.DataFrame]:
    """Yield frames of the lines that could be parsed, in order, with `source_line` and the text as `raw`.

    Args:
        block: the lines.
        types: wanted columns, whose values must be of their type; others come as they are.
        raw: name of the column for the text, which ends with the newline.
        seen: wanted columns that lines before these had; those of these are added.
    """
    content = block.content
    bounds = np.concatenate([np.zeros(1, np.int64), block.ends])
    text, trusted = _trusted(content, bounds)
    numbers = pl.int_range(block.first, block.first + block.lines, eager=True, dtype=pl.Int64)
    frame = pl.DataFrame([numbers.alias("source_line"), text.alias(raw)])
    if not trusted.all():
        places = np.flatnonzero(trusted)
        content = b"".join([content[bounds[i] : bounds[i + 1]] for i in places])
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.diff(bounds)[places])])
        frame = frame[places]
    yield from _parsed(content, bounds, frame, types, seen)


def _trusted(content: bytes, bounds: Bounds) -> tuple[pl.Series, npt.NDArray[np.bool_]]:
    """Return the lines as text, and which of them begin and end like one object of ordinary length and depth.

    What begins and ends so is one object or several, or fails: between a closed and an open brace JSON wants
    a comma, and no text of JSON goes over lines. That there are not several is seen by the count of rows.
    """
    data = np.frombuffer(content, np.uint8)
    starts, last = bounds[:-1], bounds[1:] - 2
    last = last - (data[last] == _RETURN)
    shaped = (data[starts] == _OPEN) & (data[last] == _CLOSE) & (np.diff(bounds) <= LONGEST_BYTES)
    text = _texts(content, bounds)
    no_number = text.str.contains_any(["NaN", "Inf"])
    if no_number.any():
        no_number &= text.str.contains(_NO_NUMBER)
    plain = (text.str.count_matches(r"[{\[]") <= DEPTH_LIMIT) & ~no_number
    return text, shaped & plain.fill_null(False).to_numpy()


def _texts(content: bytes, bounds: Bounds) -> pl.Series:
    """Return the lines as text, null where one is not UTF-8."""
    import pyarrow as pa

    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(content)]
    lines = pl.Series(pa.Array.from_buffers(pa.large_binary(), len(bounds) - 1, buffers))
    try:
        return lines.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([_decoded(line) for line in lines], dtype=pl.String)


def _decoded(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _parsed(
    content: bytes, bounds: Bounds, frame: pl.DataFrame, types: Mapping[str, pl.DataType], seen: set[str]
) -> Iterator[pl.DataFrame]:
    if frame.is_empty():
        return
    found = _columns(memoryview(content)[bounds[0] : bounds[-1]], types, seen)
    if found is not None and found.height == frame.height and not {*frame.columns} & {*found.columns}:
        yield pl.concat([frame, found], how="horizontal")
    elif frame.height > FEWEST:
        half = frame.height // 2
        yield from _parsed(content, bounds[: half + 1], frame[:half], types, seen)
        yield from _parsed(content, bounds[half:], frame[half:], types, seen)


def _columns(content: memoryview, types: Mapping[str, pl.DataType], seen: set[str]) -> pl.DataFrame | None:
    """Return the parsed columns; each one asked for costs time in every line that lacks it.

    So only those seen before are asked for, and once more for all where another of them turns up.
    """
    found = _read(content, {name: dtype for name, dtype in types.items() if name in seen} or types)
    late = set() if found is None else (types.keys() & set(found.columns)) - seen
    if late and seen:
        found = _read(content, types)
    elif found is not None:
        late = {name for name in late if found[name].null_count() < found.height}
    seen |= late
    return (
        found
        if found is None
        else found.with_columns(
            pl.lit(None, dtype).alias(name) for name, dtype in types.items() if name not in found.columns
        )
    )


def _read(content: memoryview, types: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    import pyarrow as pa
    import pyarrow.json as arrow_json

    options = arrow_json.ParseOptions(
        explicit_schema=pa.schema({name: _arrow(dtype) for name, dtype in types.items()}),
        newlines_in_values=False,
        unexpected_field_behavior="infer",
    )
    try:
        read = arrow_json.read_json(
            pa.BufferReader(content), arrow_json.ReadOptions(False, BLOCK_BYTES), options
        )
        read.validate()  # [null, false] in a field not asked for gives a list without its values
        known = pa.schema([pa.field(field.name, _known(field.type)) for field in read.schema])
        found = pl.from_arrow(read if known.equals(read.schema) else read.cast(known))
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
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
