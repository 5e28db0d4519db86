"""Tables as lines: the same calls out of JSON lines, CSV and Parquet, in batches, and damaged files."""

import gzip
import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
import zstandard

from aiops_pipelines.inference_log.formats import detected, importer
from aiops_pipelines.inference_log.lines import parse
from aiops_pipelines.inference_log.reading import begin, plan
from aiops_pipelines.inference_log.record import RecordError
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.tabular import table_lines
from aiops_pipelines_tests.inference_log.test_langfuse import CALL, RETRIEVER

ROWS = [CALL, RETRIEVER | {"provided_model_name": None}]


def text(value):
    return value if isinstance(value, str | None) else json.dumps(value)


PACKED = {"": bytes, "gz": gzip.compress, "zst": zstandard.ZstdCompressor(write_checksum=True).compress}


def written(tmp_path, kind):
    frame = pl.DataFrame([{name: text(row.get(name)) for name in CALL} for row in ROWS])
    path = tmp_path / f"observations.{kind}"
    plain, _, packed = kind.partition(".")
    if kind == "parquet":
        frame.write_parquet(path)
    elif plain == "csv":
        path.write_bytes(PACKED[packed](frame.write_csv().encode()))
    elif plain == "json":
        path.write_bytes(PACKED[packed](json.dumps(ROWS, indent=1).encode()))
    else:
        path.write_bytes(PACKED[packed]("".join(json.dumps(row) + "\n" for row in ROWS).encode()))
    return path


KINDS = [f"{kind}{packed}" for kind in ("csv", "jsonl", "ndjson", "json") for packed in ("", ".gz", ".zst")]


@pytest.mark.parametrize("kind", ["parquet", *KINDS])
def test_an_export_gives_the_same_call_in_every_file_type(tmp_path, kind):
    path = written(tmp_path, kind)
    folder = LogFolder(tmp_path)
    [file] = folder.files()[0]
    pieces = list(folder.pieces(plan(file, None), begin(file, plan(file, None), None)))
    lines = [line for piece in pieces for line in piece.lines]
    assert detected(json.loads(raw) for _, raw in lines) == "langfuse", path
    [record] = importer("langfuse")(lines).records
    expected = importer("langfuse")(enumerate((json.dumps(row).encode() for row in ROWS), 1)).records[0]
    assert {**record, "source_line": 1} == {**expected, "source_line": 1}
    assert pieces[-1].reading.lines_read == (1 if kind.startswith("json") and "l" not in kind else 2)


def test_rows_are_numbered_on_over_batches_and_keep_their_values(tmp_path):
    when = datetime(2026, 6, 1, 12, tzinfo=UTC)
    frame = pl.DataFrame({
        "n": range(5), "at": [when] * 5, "score": [0.5, float("nan"), None, 1e-7, 2.0], "usd": [Decimal("0.10")] * 5,
        "inner": [{"a": [1]}] * 5, "raw": [b"\xff"] * 5, "took": [timedelta(seconds=2.5)] * 5,
    })  # fmt: skip
    frame.write_parquet(tmp_path / "t.parquet")
    batches = list(table_lines(tmp_path / "t.parquet", batch_rows=2))
    assert max(map(len, batches)) <= 2
    rows = [json.loads(line) for batch in batches for line in batch]
    assert [row["n"] for row in rows] == [0, 1, 2, 3, 4]
    folder = LogFolder(tmp_path)
    [file] = folder.files()[0]
    pieces = folder.pieces(plan(file, None), begin(file, plan(file, None), None))
    assert [number for piece in pieces for number, _ in piece.lines] == [1, 2, 3, 4, 5]
    assert [row["score"] for row in rows] == [0.5, None, None, 1e-7, 2.0]
    assert rows[0] | {"n": 0} == {
        "n": 0, "at": "2026-06-01T12:00:00+00:00", "score": 0.5, "usd": "0.10", "inner": {"a": [1]}, "raw": "\ufffd",
        "took": 2_500.0,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["x.parquet", "x.csv.gz", "x.csv.zst"])
def test_a_damaged_table_is_an_error_in_a_sentence(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x1f\x8b no such file")
    with pytest.raises(OSError, match=f"{name} cannot be read as a table"):
        list(table_lines(path))


@pytest.mark.parametrize("packed", ["gz", "zst"])
def test_a_packed_table_that_is_cut_short_or_damaged_within_is_an_error(tmp_path, packed):
    path = tmp_path / f"x.csv.{packed}"
    chance = random.Random(1)
    rows = [f"e{number},{chance.random()}" for number in range(5_000)]
    whole = PACKED[packed]("\n".join(["event_id,n", *rows]).encode())
    path.write_bytes(whole)
    assert len([row for some in table_lines(path) for row in some]) == 5_000
    for broken in (whole[: len(whole) // 2], whole[:20_000] + b"\xff" * 40 + whole[20_040:]):
        path.write_bytes(broken)
        with pytest.raises(OSError, match="cannot be read as a table after row"):
            list(table_lines(path))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_csv_file_may_have_any_usual_separator_newline_and_a_byte_order_mark(tmp_path, separator, newline):
    rows = [("name", '"a, b; c"', "n"), ("x", '"so ""they"" say"', "1"), ("", '"two\nlines"', "2")]
    text_ = newline.join(map(separator.join, rows)) + newline
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + text_.encode())
    assert [json.loads(line) for [*lines] in table_lines(tmp_path / "t.csv") for line in lines] == [
        {"name": "x", "a, b; c": 'so "they" say', "n": "1"},
        {"name": None, "a, b; c": "two\nlines", "n": "2"},
    ]


def test_what_is_no_row_is_quarantined_with_its_reason_and_the_rest_loads(tmp_path):
    """C04, C05, C06: too many and too few cells, a stray quote, other bytes than UTF-8, a torn last row."""
    broken = {3: b"e3,1,2", 5: b"e5", 7: b"e\xe9,1", 8: b'"e"8,1', 9: b'e9,"1'}
    rows = [b"event_id,n", *(broken.get(n, b"e%d,1" % n) for n in range(10))]
    (tmp_path / "t.csv").write_bytes(b"\n".join(rows))
    good, said = [], {}
    for number, line in enumerate(line for lines in table_lines(tmp_path / "t.csv") for line in lines):
        try:
            good.append(parse(line)["event_id"])
        except RecordError as error:
            said[number] = str(error)
    assert good == ["e0", "e1", "e2", "e4", "e6"]
    assert list(said) == list(broken)
    assert said[3] == "The line is not a row of the table: 3 cells under 2 names."
    assert said[5] == "The line is not a row of the table: 1 cells under 2 names."
    assert said[7].startswith("The line is not UTF-8")


def test_a_name_that_stands_twice_in_the_header_is_said_where_it_matters(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"id,in,id,in,,\n1,5,1,5,x,\n2,5,2,7,x,y\n3,5,3,,x,y\n")
    [[first, *others]] = table_lines(tmp_path / "t.csv")
    assert parse(first) == {"id": "1", "in": "5", "": None}
    for line in others:
        with pytest.raises(RecordError, match=r"two columns 'in', which differ here; name them apart\.$"):
            parse(line)


def test_a_quote_that_swallows_the_rest_of_a_file_is_said_after_the_rows_before_it(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'a,b\n1,2\n3,"4\n5,6\n7,8\n')
    batches = table_lines(tmp_path / "t.csv")
    assert [json.loads(line) for line in next(batches)] == [{"a": "1", "b": "2"}]
    with pytest.raises(OSError, match=r"t\.csv cannot be read as a table after row 1: a quote that opens in"):
        next(batches)
