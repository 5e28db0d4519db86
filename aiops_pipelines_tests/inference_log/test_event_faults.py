"""Faults of events on their way from a file into the warehouse, each with a control beside it.

Wide, deep, torn and absurd lines are also met one importer at a time in the tests of the importers.
"""

import gzip
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl
import pytest

from aiops_pipelines.costs.prices import call_costs
from aiops_pipelines.inference_log.ingestion import Tally
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.resources import log_book
from aiops_pipelines.resources.log_book import LogBook
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines.resources.writer import Writer

LATER = datetime(2026, 12, 1, tzinfo=UTC)
SOURCE = Source("support", "aiops_jsonl", LATER, b"k" * 32)
START = datetime(2026, 6, 1, 12, tzinfo=UTC)
CALL = {"occurred_at": "2026-06-01T12:00:00Z", "provider": "openai", "model_requested": "gpt-4.1-mini"}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
ROWS = "select * exclude (ingested_at) from inference_log.inferences order by event_id"


def call(event_id, **changes):
    return json.dumps(CALL | {"event_id": event_id, "usage": USAGE} | changes).encode() + b"\n"


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def read(warehouse, logs, source=SOURCE):
    book, tally = LogBook(warehouse, LogFolder(logs), source), Tally()
    for file in book.listed()[0]:
        for landing in book.read(file):
            tally.add(landing)
    return tally


def counted(tally):
    return tally.stored, tally.known, tally.refused.total()


def one(warehouse, sql):
    [row] = warehouse.read(sql).rows()
    return row


def test_c01_a_thousand_deliveries_over_three_files_are_one_call(warehouse, logs):
    for name in ("a", "b", "c"):
        (logs / f"{name}.jsonl").write_bytes(call("again") * 1_000 + call(f"only-{name}"))
    assert counted(read(warehouse, logs)) == (4, 2_999, 0)
    with (logs / "c.jsonl").open("ab") as stream:
        stream.write(call("again") * 1_000)
    assert counted(read(warehouse, logs)) == (0, 1_000, 0)
    assert one(warehouse, "select count(*), count(distinct event_id) from inference_log.inferences") == (4, 4)


def test_c02_a_call_that_comes_forty_days_late_is_in_the_hour_it_happened(warehouse, logs):
    days = [START + timedelta(days=day) for day in (40, 41, 39)]
    (logs / "a.jsonl").write_bytes(b"".join(call(f"e{t.day}", occurred_at=t.isoformat()) for t in days))
    read(warehouse, logs)
    with (logs / "a.jsonl").open("ab") as stream:
        stream.write(call("late", occurred_at=START.isoformat()))
    assert counted(read(warehouse, logs)) == (1, 0, 0)
    hours = warehouse.read(
        "select date_trunc('hour', occurred_at) as hour, count(*) as calls "
        "from inference_log.inferences group by all order by all"
    )
    assert hours["calls"].to_list() == [1, 1, 1, 1]
    assert hours["hour"].to_list() == [START, *sorted(days)]


def test_c03_clocks_that_are_wrong_are_kept_or_set_aside_never_lost(warehouse, logs):
    kept = [
        "2026-05-31T12:00:00Z",
        "2026-06-02T12:00:00Z",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
    ]
    refused = ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-06-30T23:59:60Z"]
    lines = [call(f"e{i}", occurred_at=at) for i, at in enumerate([*kept, *refused])]
    (logs / "a.jsonl").write_bytes(b"".join(lines))
    assert counted(read(warehouse, logs)) == (len(kept), 0, len(refused))
    half_past_two_twice = warehouse.read(
        "select occurred_at from inference_log.inferences where event_id in ('e2', 'e3') order by all"
    )["occurred_at"]
    assert half_past_two_twice[1] - half_past_two_twice[0] == timedelta(hours=1)
    assert one(warehouse, "select list(source_line order by source_line) from inference_log.quarantine") == (
        [5, 6, 7],
    )


def test_c03_a_call_dated_more_than_a_day_ahead_is_set_aside(warehouse, logs):
    moments = [LATER + timedelta(days=1, seconds=n) for n in (0, 1, 10**9)]
    lines = [call(f"e{i}", occurred_at=at.isoformat()) for i, at in enumerate(moments)]
    (logs / "a.jsonl").write_bytes(b"".join(lines))
    tally = read(warehouse, logs)
    assert counted(tally) == (1, 0, 2)
    assert list(tally.refused) == [
        "occurred_at lies more than a day ahead; the clock of the source is wrong."
    ]
    lines_aside = warehouse.read("select source_line, raw_masked from inference_log.quarantine order by all")
    assert lines_aside["source_line"].to_list() == [2, 3]
    assert "e1" in lines_aside["raw_masked"][0]


def test_c03_a_story_that_ends_ahead_has_its_calls(warehouse, logs):
    ends = LATER + timedelta(days=9)
    (logs / "a.jsonl").write_bytes(call("e0", occurred_at=ends.isoformat()))
    assert counted(read(warehouse, logs, replace(SOURCE, story_ends=ends))) == (1, 0, 0)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"latency_ms": "300 ms"}, "latency_ms must be a number, not text."),
        ({"occurred_at": None}, "occurred_at is missing; a call without it cannot be stored."),
        ({"region": "eu"}, None),
    ],
    ids=["another type", "missing", "new"],
)
def test_c04_a_field_that_changes_at_row_30_001_costs_that_row_alone(warehouse, logs, fault, reason):
    lines = [call(f"e{i:05d}", latency_ms=i) for i in range(30_100)]
    lines[30_000] = call("e30000", **({"latency_ms": 30_000} | fault))
    (logs / "a.jsonl").write_bytes(b"".join(lines))
    tally = read(warehouse, logs)
    assert counted(tally) == (30_100 - bool(reason), 0, bool(reason))
    assert dict(tally.ignored) == ({} if reason else {"region": 1})
    aside = warehouse.rows("inference_log.quarantine", system="support")
    assert aside.select("source_line", "reason").rows() == ([(30_001, reason)] if reason else [])
    expected = sum(range(30_100)) - (30_000 if reason else 0)
    assert one(warehouse, "select sum(latency_ms)::bigint from inference_log.inferences") == (expected,)


def test_c05_a_torn_last_line_waits_and_is_counted(warehouse, logs):
    whole = call("e2")
    (logs / "a.jsonl").write_bytes(call("e1") + whole[:50])
    assert counted(read(warehouse, logs)) == (1, 0, 0)
    waiting = "select waiting_bytes from inference_log.log_files"
    assert one(warehouse, waiting) == (50,)
    with (logs / "a.jsonl").open("ab") as stream:
        stream.write(whole[50:])
    assert counted(read(warehouse, logs)) == (1, 0, 0)
    assert one(warehouse, waiting) == (0,)


HOSTILE = {
    "20 MB": b'{"event_id": "' + b"x" * 20_000_000 + b'"}\n',
    "1,000 fields": call("wide", **{f"c{i}": 1 for i in range(1_000)}),
    "20,000 levels": b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"\n",
    "NUL": call("nul", query="a\0b"),
    "not UTF-8": b'{"event_id": "\xff\xfe"}\n',
    "negative count": call("negative", usage={"prompt_tokens": -5, "completion_tokens": 1}),
    "absurd count": call("absurd", usage={"prompt_tokens": 10**11, "completion_tokens": 1}),
    "score that is none": call("nan").replace(b"}\n", b"") + b'}, "retrieved": [{"chunk_id": "c", "score": NaN}]}\n',
    "infinite latency": call("inf")[:-2] + b', "latency_ms": 1e400}\n',
    "two values": call("first")[:-1] + call("second"),
    "key twice": call("twice")[:-2] + b', "event_id": "other"}\n',
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_c06_c07_a_hostile_line_is_set_aside_with_its_place_and_the_rest_is_as_without_it(
    warehouse, logs, name
):
    good = [call(f"e{i:04d}", latency_ms=i, colour="red") for i in range(300)]
    (logs / "a.jsonl").write_bytes(b"".join([*good[:200], HOSTILE[name], *good[200:]]))
    assert counted(read(warehouse, logs)) == (300, 0, 1)
    [aside] = warehouse.rows("inference_log.quarantine", system="support").rows(named=True)
    assert aside["source_line"] == 201 and aside["reason"]
    totals = (
        "select count(*), sum(latency_ms)::bigint, sum(tokens_total)::bigint from inference_log.inferences"
    )
    assert one(warehouse, totals) == (300, sum(range(300)), 300 * 15)


def test_c08_an_unknown_model_has_no_cost_and_never_a_cost_of_nothing(warehouse, logs):
    (logs / "a.jsonl").write_bytes(call("e1", provider="acme", model_requested="colossus-9") + call("e2"))
    read(warehouse, logs)
    calls = warehouse.read("select * from inference_log.inferences order by event_id")
    unknown, known = call_costs(calls, PriceBook().price_of).rows(named=True)
    assert (unknown["price_status"], unknown["cost_usd"]) == ("unknown", None)
    assert known["price_status"] == "priced" and known["cost_usd"] > 0


def test_c09_a_writer_that_fails_a_hundred_times_loses_and_doubles_nothing(warehouse, logs, monkeypatch):
    (logs / "a.jsonl").write_bytes(call("e1") + b"{no\n" + call("e2"))
    tables = (log_book.INFERENCES, log_book.QUARANTINE, log_book.LOG_FILES)
    failing, failed = [""], []

    def full(method):
        def write(writer, path, *arguments, **keys):
            if path == failing[0]:
                failed.append(path)
                raise OSError("No space left on device")
            return method(writer, path, *arguments, **keys)

        return write

    book = LogBook(warehouse, LogFolder(logs), SOURCE)
    [file] = book.listed()[0]
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "append", full(Writer.append))
        patched.setattr(Writer, "replace", full(Writer.replace))
        with warehouse.held():  # opening the file a hundred times is not what is tried here
            for attempt in range(100):
                failing[0] = tables[attempt % 3]
                with pytest.raises(OSError, match="No space left"):
                    list(book.read(file))
                assert all(warehouse.rows(path).height == 0 for path in tables)
    assert len(failed) == 100
    assert all(warehouse.rows(path).height == 0 for path in tables)
    assert counted(read(warehouse, logs)) == (2, 0, 1)
    assert counted(read(warehouse, logs)) == (0, 0, 0)


KILLED = """
import os, sys
from datetime import datetime, UTC
from pathlib import Path
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.project import Project
from aiops_pipelines.resources import log_book, portions, tabular
from aiops_pipelines.resources.log_book import LOG_FILES, LogBook
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.writer import Writer

log_book.PIECE_BYTES = 20_000
tabular.table_lines.__defaults__ = (100,)
portions.PORTION_LINES = log_book.PORTION_LINES = 100
replace, written = Writer.replace, []
def dies(writer, path, *arguments, **keys):
    written.append(path)
    if written.count(LOG_FILES) == 4:  # the rows are appended, how far the file is read is not
        os.kill(os.getpid(), 9)
    replace(writer, path, *arguments, **keys)
Writer.replace = dies
warehouse = Warehouse(Path(sys.argv[1]), declared_tables(Project(Path()).dbt))
mapping = {name: name for name in ("event_id", "occurred_at", "latency_ms")}
source = Source("support", sys.argv[3], datetime.now(UTC), b"k" * 32, mapping=mapping)
book = LogBook(warehouse, LogFolder(Path(sys.argv[2])), source)
for file in book.listed()[0]:
    for landing in book.read(file):
        pass
"""


def kill(project, logs, form):
    """Read the logs in a process that dies while it stores the fourth portion."""
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(project.warehouse), str(logs), form],
        env=os.environ | {"AIOPS_DATA": str(project.data)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr


def test_a_read_that_is_killed_half_way_goes_on_without_loss_or_double(project, warehouse, logs):
    lines = [call(f"e{i:04d}", latency_ms=i) for i in range(1_000)]
    lines[500] = b"{no\n"
    (logs / "a.jsonl").write_bytes(b"".join(lines))
    kill(project, logs, "aiops_jsonl")
    [before] = warehouse.rows(log_book.LOG_FILES).rows(named=True)
    assert 0 < before["rows_stored"] < 999 and before["size_bytes"] == before["bytes_read"]
    assert one(warehouse, "select count(*) from inference_log.inferences") == (before["rows_stored"],)
    rest = read(warehouse, logs)
    assert (rest.stored, rest.known) == (999 - before["rows_stored"], 0)
    [after] = warehouse.rows(log_book.LOG_FILES).rows(named=True)
    assert (after["rows_stored"], after["rows_known"], after["rows_quarantined"]) == (999, 0, 1)
    with duckdb.connect(str(project.warehouse), read_only=True) as connection:
        stored = connection.execute(ROWS).pl()
    assert stored["latency_ms"].to_list() == [i for i in range(1_000) if i != 500]
    assert stored["source_line"].to_list() == [i for i in range(1, 1_001) if i != 501]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv", "a.parquet"])
def test_a_killed_read_of_a_file_that_is_read_whole_begins_again_and_knows_what_is_stored(
    project, warehouse, logs, name
):
    rows = [
        {"event_id": f"e{i:04d}", "occurred_at": "2026-06-01T12:00:00Z", "latency_ms": i}
        for i in range(1_000)
    ]
    frame, path = pl.DataFrame(rows), logs / name
    form = "aiops_jsonl" if "json" in name else "mapped"
    if name == "a.parquet":
        frame.write_parquet(path, row_group_size=100)
    else:
        content = frame.write_ndjson() if "json" in name else frame.write_csv()
        path.write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())
    kill(project, logs, form)
    [before] = warehouse.rows(log_book.LOG_FILES).rows(named=True)
    assert 0 < before["rows_stored"] < 1_000
    source = Source("support", form, LATER, b"k" * 32, mapping={key: key for key in rows[0]})
    rest = read(warehouse, logs, source)
    assert counted(rest) == (1_000 - before["rows_stored"], before["rows_stored"], 0)
    assert counted(read(warehouse, logs, source)) == (0, 0, 0)
    totals = (
        "select count(*), count(distinct event_id), sum(latency_ms)::bigint from inference_log.inferences"
    )
    assert one(warehouse, totals) == (1_000, 1_000, sum(range(1_000)))
