"""Files read into the warehouse: a folder's, and files that lie anywhere."""

import json
from dataclasses import replace

import polars as pl
import pytest

from aiops_pipelines.compliance import privacy
from aiops_pipelines.inference_log.ingestion import Tally
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.resources.log_book import LogBook
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.inference_log.test_ingestion import NOW

SOURCE = Source("support", "aiops_jsonl", NOW, b"k" * 32)


def call(event_id, **changes):
    return json.dumps({"event_id": event_id, "occurred_at": "2026-06-01T12:00:00Z", **changes}) + "\n"


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def read(warehouse, logs, paths=None, source=SOURCE):
    book, tally = LogBook(warehouse, LogFolder(logs), source), Tally()
    for file in book.listed()[0] if paths is None else book.given(paths):
        for landing in book.read(file):
            tally.add(landing)
    return tally


def ids(warehouse):
    return warehouse.read("select event_id from inference_log.inferences order by all")["event_id"].to_list()


def test_what_is_stored_known_and_set_aside_is_counted(warehouse, logs):
    (logs / "a.jsonl").write_text(call("e1") + call("e2") + "{no\n" + call("e3", latency_ms=-1) + call("e1"))
    tally = read(warehouse, logs)
    assert (tally.stored, tally.known) == (2, 1)
    assert tally.refused.total() == 2 and any("latency_ms is -1" in reason for reason in tally.refused)
    assert str(tally) == "2 calls stored, 1 there already, 2 set aside"
    again = read(warehouse, logs)
    assert (again.stored, again.known, again.refused.total()) == (0, 0, 0)


def test_a_warehouse_from_before_a_column_takes_new_calls_and_keeps_its_own(tmp_path, warehouse, logs):
    """Calls stored before cache writes for an hour were counted have null there."""
    path = "inference_log.inferences"
    now = warehouse.tables[path]
    columns = tuple(column for column in now.columns if column.name != "cache_write_1h")
    before = Warehouse(tmp_path / "before.duckdb", {**warehouse.tables, path: replace(now, columns=columns)})
    stored = (
        now.empty()
        .drop("cache_write_1h")
        .clear(1)
        .with_columns(system=pl.lit("support"), event_id=pl.lit("e0"))
    )
    before.replace(path, stored, system="support")
    lives = {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100}
    usage = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_creation_input_tokens": 556,
        "cache_creation": lives,
    }
    (logs / "a.jsonl").write_text(call("e1", usage=usage))
    later = Warehouse(before.file, warehouse.tables)
    assert read(later, logs).stored == 1
    rows = later.read(f"select event_id, cache_write, cache_write_1h from {path} order by all").rows()
    assert rows == [("e0", None, None), ("e1", 556, 100)]


FULL = {
    "query": "Where is my parcel? jane@example.com",
    "answer": "On its way.",
    "user_id": "jane@example.com",
    "latency_ms": 12,
    "model_served": "gpt-4o",
    "endpoint": "chat",
    "retrieved": [{"chunk_id": "c1", "score": 0.5}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 3},
    "cost_reported_usd": 0.5,
}


def test_a_call_that_comes_again_with_other_content_is_set_aside_and_what_is_stored_stays(warehouse, logs):
    """A14: the same again, with less and with more than is stored (the controls), and with something else."""
    (logs / "a.jsonl").write_text(call("e1", **FULL) + call("e2", answer="Yes."))
    assert read(warehouse, logs).stored == 2
    same = call("e1", **FULL) * 2 + call("e2", answer="Yes.", latency_ms=9, usage=FULL["usage"])
    other = FULL | {"answer": "Lost, jane@example.com.", "retrieved": [{"chunk_id": "c2", "score": 0.5}]}
    tokens = FULL | {"usage": {"prompt_tokens": 10, "completion_tokens": 4}}
    (logs / "b.jsonl").write_text(same + call("e1", **other) + call("e1", **tokens) + call("e2"))
    tally = read(warehouse, logs)
    assert (tally.stored, tally.known) == (0, 4)
    assert tally.refused == {
        "stored already with another answer, retrieved": 1,
        "stored already with another output_visible, tokens_total, completion_tokens": 1,
    }
    rows = warehouse.read("select answer, latency_ms from inference_log.inferences order by event_id").rows()
    assert rows == [("On its way.", 12), ("Yes.", None)]
    aside = warehouse.read("select source_line, raw_masked from inference_log.quarantine order by all")
    assert aside["source_line"].to_list() == [4, 5]
    assert "Lost, " in aside["raw_masked"][0] and "jane" not in "".join(aside["raw_masked"])
    (logs / "b.jsonl").write_text((logs / "b.jsonl").read_text() + " \n" + call("e3"))
    read(warehouse, logs)
    (logs / "b.jsonl").write_text(call("e0") + (logs / "b.jsonl").read_text())
    assert read(warehouse, logs).refused.total() == 2
    assert warehouse.read("select count(*) from inference_log.quarantine").item() == 2


def test_calls_stored_before_a_kind_of_personal_data_was_masked_contradict_nothing(
    warehouse, logs, monkeypatch
):
    known = {name: found for name, found in privacy._DETECTORS.items() if name != "NATIONAL_ID"}
    query = "My DNI is 12345678Z, my number is 850709-9805."  # a telephone number, before
    said = {"user_id": "12345678Z", "query": query, "answer": "Thank you."}
    (logs / "a.jsonl").write_text(call("e1", **said))
    with monkeypatch.context() as before:
        before.setattr(privacy, "_DETECTORS", known)
        read(warehouse, logs)
    stored = warehouse.rows("inference_log.inferences").row(0, named=True)
    assert (stored["user_id"], stored["query"]) == (
        "12345678Z",
        "My DNI is 12345678Z, my number is [PHONE].",
    )
    (logs / "b.jsonl").write_text(call("e1", **said))
    again = read(warehouse, logs)
    assert (again.known, again.refused) == (1, {})
    (logs / "c.jsonl").write_text(call("e1", **said | {"answer": "No."}))  # the control
    assert read(warehouse, logs).refused == {"stored already with another answer": 1}


SPANS = replace(SOURCE, format="otlp_json")


def span(number, operation, **attributes):
    """A line with one span of a trace; spans follow one another by a second."""
    said = {"gen_ai.operation.name": operation, **attributes}
    ns = (1_780_300_000 + number) * 10**9
    one = {
        "traceId": "a" * 32,
        "spanId": f"{number:016x}",
        "startTimeUnixNano": str(ns),
        "endTimeUnixNano": str(ns + 10**8),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in said.items()],
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]}) + "\n"


def chat(number, answer):
    said = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": answer}]}])
    return span(number, "chat", **{"gen_ai.request.model": "gpt-4o", "gen_ai.output.messages": said})


def search(number):
    found = json.dumps([{"id": f"c{number}", "score": 0.5}])
    return span(number, "retrieval", **{"gen_ai.retrieval.documents": found})


def test_a_log_of_spans_that_is_read_again_as_a_whole_contradicts_nothing(warehouse, logs):
    """While the file grew, the second search stood behind the last call; in the rotated copy it has its own."""
    first, then = search(1) + chat(2, "Yes.") + search(3), chat(4, "No.")
    for content in (first, first + then):
        (logs / "a.jsonl").write_text(content)
        assert read(warehouse, logs, source=SPANS).stored == 1
    (logs / "a-1.jsonl").write_text(first + then)
    again = read(warehouse, logs, source=SPANS)
    assert (again.known, again.refused) == (2, {})
    (logs / "b.jsonl").write_text(chat(4, "Perhaps."))  # the control: the call's own words
    assert read(warehouse, logs, source=SPANS).refused == {"stored already with another answer": 1}


def test_files_outside_the_log_folder_are_read_once_and_never_missed(warehouse, logs, tmp_path):
    outside = tmp_path / "export.jsonl"
    outside.write_text(call("e1"))
    (logs / "a.jsonl").write_text(call("e2"))
    assert read(warehouse, logs, [outside, logs / "a.jsonl"]).stored == 2
    assert read(warehouse, logs, [outside]).stored == 0
    assert read(warehouse, logs).stored == 0  # the folder's file is known under the same name
    outside.unlink()
    assert LogBook(warehouse, LogFolder(logs), SOURCE).listed()[1] == []
    assert ids(warehouse) == ["e1", "e2"]


def test_a_folder_says_what_is_wrong_with_it(warehouse, logs):
    (logs / "a.jsonl").write_text(call("e1"))
    read(warehouse, logs)
    (logs / "a.jsonl").unlink()
    files, problems = LogBook(warehouse, LogFolder(logs), SOURCE).listed()
    assert files == [] and len(problems) == 2
    assert "no log file yet" in problems[0] and "a.jsonl was read before and is gone" in problems[1]


def test_a_file_that_is_not_there_is_said(warehouse, logs):
    with pytest.raises(FileNotFoundError):
        LogBook(warehouse, LogFolder(logs), SOURCE).given([logs / "absent.jsonl"])
