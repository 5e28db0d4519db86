"""Files brought in by hand: format, dry look, completeness by manifest, and storing through the log book."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from aiops_pipelines.inference_log.formats import UnknownFormat
from aiops_pipelines.inference_log.ingestion import Tally
from aiops_pipelines.inference_log.late import with_late_facts
from aiops_pipelines.inference_log.record import SCHEMA
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.resources.log_book import LogBook
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.log_import import COLUMNS, COSTS, Look, format_of, looked_at, shortfalls
from aiops_pipelines_tests.inference_log.test_langfuse import CALL, TRACE

NOW = datetime(2026, 7, 1, tzinfo=UTC)
SCORE = {
    "id": "x1",
    "trace_id": "t1",
    "observation_id": "g1",
    "name": "user-feedback",
    "value": 0,
    "source": "API",
}


def file_of(folder, name, *rows):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_look_shows_calls_as_they_would_be_stored_with_their_cost(tmp_path):
    named = CALL | {"input": "I am jane@example.com"}
    path = file_of(
        tmp_path, "observations.jsonl", named, CALL | {"id": "g2"}, CALL | {"id": "g2"}, {"odd": 1}
    )
    look = Look(format_of(path))
    [calls] = [calls for calls in looked_at(path, look.format, None, NOW, set(), look) if calls.height]
    assert calls.columns == COLUMNS and set(COLUMNS) == {*SCHEMA, *COSTS}
    row = calls.row(0, named=True)
    assert (row["query"], row["price_status"]) == ("I am [EMAIL]", "priced")
    assert row["cost_usd"] == Decimal("0.000075")  # 10 at 2.50 and 5 at 10.00 USD per million
    assert (look.calls, look.tokens, look.prices["priced"], look.ignored["row exported again"]) == (
        2,
        30,
        2,
        1,
    )
    assert list(look.examples.values()) == [4]


def test_a_file_of_no_known_format_is_told(tmp_path):
    with pytest.raises(UnknownFormat, match="Looked for"):
        format_of(file_of(tmp_path, "notes.jsonl", {"note": 1}))
    (tmp_path / "text.jsonl").write_text("no JSON at all\n")
    with pytest.raises(UnknownFormat):
        format_of(tmp_path / "text.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.jsonl", b"", "no complete line"),
        ("blank.csv", b"", "no complete line"),
        ("calls.jsonl", b"\x28\xb5\x2f\xfd\x04\x00\n", "is compressed"),
        ("calls.jsonl", b"\x1f\x8b\x08\x00\n", "is compressed"),
    ],
)
def test_an_empty_or_packed_file_is_named_as_that(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnknownFormat, match=said):
        format_of(tmp_path / name)
    with pytest.raises(OSError):
        format_of(tmp_path / "absent.jsonl")


def test_rows_that_a_manifest_promises_are_counted(tmp_path):
    (tmp_path / "manifests").mkdir()
    (tmp_path / "observations").mkdir()
    file_of(tmp_path / "observations", "1.jsonl", CALL, CALL | {"id": "g2"})
    (tmp_path / "scores.json").write_text(json.dumps([SCORE], indent=1))
    manifest = tmp_path / "manifests" / "2026-07-01.json"
    whole = {"prefix/observations/1.jsonl": 2, "prefix/scores.json": 1}
    assert list(shortfalls(manifest, whole)) == []
    said = list(shortfalls(manifest, {"prefix/observations/1.jsonl": 3, "prefix/traces/1.jsonl": 1}))
    assert said[0].startswith("1.jsonl holds 2 rows, 2026-07-01.json says 3")


def stored(warehouse, tmp_path, *names):
    tally = Tally()
    for name in names:
        book = LogBook(warehouse, LogFolder(tmp_path), Source("support", "langfuse", NOW, b"k" * 32))
        for file in book.given([tmp_path / name]):
            for landing in book.read(file):
                tally.add(landing)
    return tally


@pytest.mark.parametrize("names", [("calls.jsonl", "late.jsonl"), ("late.jsonl", "calls.jsonl")])
def test_scores_and_traces_find_their_call_in_either_order(warehouse, tmp_path, names):
    file_of(tmp_path, "calls.jsonl", CALL)
    file_of(tmp_path, "late.jsonl", SCORE, TRACE)
    for _ in range(2):  # the same files again change nothing
        tally = stored(warehouse, tmp_path, *names)
    assert tally.stored == 0
    tables = (
        warehouse.rows(f"inference_log.{name}", system="support")
        for name in ("inferences", "feedback", "traces")
    )
    [row] = with_late_facts(*tables).rows(named=True)
    assert (row["rating"], row["session_id"], row["user_id"]) == (-1, "s1", "u1")


def test_a_corrected_score_replaces_the_one_before(warehouse, tmp_path):
    file_of(tmp_path, "one.jsonl", SCORE)
    file_of(tmp_path, "two.jsonl", SCORE | {"value": 1})
    stored(warehouse, tmp_path, "one.jsonl", "two.jsonl")
    assert warehouse.rows("inference_log.feedback")["rating"].to_list() == [1]
