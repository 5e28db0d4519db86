"""Tables as lines: the same calls out of JSON lines, CSV and Parquet, in batches, and damaged files."""

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from aiops_pipelines.inference_log.formats import detected, importer
from aiops_pipelines.inference_log.ingestion import begin, plan
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.tabular import table_lines
from aiops_pipelines_tests.inference_log.test_langfuse import CALL, RETRIEVER

ROWS = [CALL, RETRIEVER | {"provided_model_name": None}]


def text(value):
    return value if isinstance(value, str | None) else json.dumps(value)


def written(tmp_path, kind):
    frame = pl.DataFrame([{name: text(row.get(name)) for name in CALL} for row in ROWS])
    path = tmp_path / f"observations.{kind}"
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind == "csv":
        frame.write_csv(path)
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    elif kind == "json":
        path.write_text(json.dumps(ROWS, indent=1))
    elif kind == "json.gz":
        path.write_bytes(gzip.compress(json.dumps(ROWS, indent=1).encode()))
    else:
        lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
        path.write_bytes(gzip.compress(lines) if kind.endswith("gz") else lines)
    return path


@pytest.mark.parametrize(
    "kind", ["csv", "csv.gz", "parquet", "jsonl", "jsonl.gz", "ndjson", "json", "json.gz"]
)
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
        "inner": [{"a": [1]}] * 5, "raw": [b"\xff"] * 5,
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
    }  # fmt: skip


@pytest.mark.parametrize("name", ["x.parquet", "x.csv.gz", "ragged.csv"])
def test_a_damaged_table_is_an_error_in_a_sentence(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"a,b\n1,2\n1,2,3,4\n" if name == "ragged.csv" else b"\x1f\x8b no such file")
    with pytest.raises(OSError, match=f"{name} cannot be read as a table"):
        list(table_lines(path))
