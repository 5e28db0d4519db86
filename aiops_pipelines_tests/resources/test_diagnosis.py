"""The queries of a runbook are asked of the tables, and reach nothing else."""

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from aiops_pipelines.incidents.runbooks import Query, Runbook
from aiops_pipelines.resources import diagnosis
from aiops_pipelines.resources.diagnosis import diagnose

NOW = datetime(2026, 6, 8, 12, tzinfo=UTC)
INCIDENT = {"system": "support", "incident_id": "INC-1", "runbook": "latency"}
CALLS = "select endpoint, latency_ms from inference_log.inferences where system = $system order by all"


def runbook(*sqls: str) -> dict[str, Runbook]:
    queries = [Query(question=f"Number {at}?", sql=sql) for at, sql in enumerate(sqls, 1)]
    words = dict.fromkeys(("title", "owner", "meaning", "remedy", "rollback"), "text")
    made = {"name": "latency", "causes": ("latency",), "decide": ("If slow, wait.",), "verify": queries[0]}
    return {"latency": Runbook.model_validate(words | made | {"diagnosis": queries})}


def answers(warehouse, *sqls: str) -> list[dict]:
    found = diagnose(warehouse, [INCIDENT], runbook(*sqls), NOW)
    assert found.schema == warehouse.tables["incidents.diagnoses"].schema
    return found.rows(named=True)


def calls(warehouse, number: int) -> None:
    rows = [
        {"system": system, "event_id": f"{at}", "endpoint": "ask", "latency_ms": 100 + at, "occurred_at": NOW}
        for system in ("support", "other")
        for at in range(number)
    ]
    blank = dict.fromkeys(warehouse.tables["inference_log.inferences"].schema)
    frame = pl.DataFrame(
        [blank | row for row in rows], schema=warehouse.tables["inference_log.inferences"].schema
    )
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", frame)


def test_the_answer_is_kept_with_its_question(warehouse):
    calls(warehouse, 2)
    (row,) = answers(warehouse, CALLS)
    assert {name: row[name] for name in ("asked_at", "position", "question", "has_more", "failure")} == {
        "asked_at": NOW, "position": 1, "question": "Number 1?", "has_more": False, "failure": None,
    }  # fmt: skip
    assert json.loads(row["answer"]) == {
        "columns": ["endpoint", "latency_ms"],
        "rows": [["ask", 100], ["ask", 101]],
    }


def test_twenty_rows_are_kept_and_more_are_told(warehouse):
    calls(warehouse, 21)
    (row,) = answers(warehouse, CALLS)
    assert (len(json.loads(row["answer"])["rows"]), row["has_more"]) == (20, True)


@pytest.mark.parametrize(
    "sql",
    [
        "select content from read_text('/etc/hostname') where $system = $system",
        "select * from '/etc/hostname' where $system = $system",
        "from glob('/*') where $system = $system",
        "select getenv('HOME'), $system",
    ],
)
def test_a_query_reaches_nothing_but_the_tables(warehouse, sql):
    (row,) = answers(warehouse, sql)
    assert row["answer"] is None and row["failure"]


def test_a_query_that_fails_is_a_reason_and_the_next_is_asked(warehouse):
    first, second = answers(warehouse, "select 1 from gone where system = $system", CALLS)
    assert "gone does not exist" in first["failure"] and first["answer"] is None
    assert second["answer"] and second["failure"] is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("map {date '2026-06-01': 1}", "keys must be str"),
        ("'nan'::double", "not JSON compliant"),
        ("'-inf'::double", "not JSON compliant"),
    ],
)
def test_an_answer_that_is_no_json_is_a_reason_and_the_next_is_asked(warehouse, value, reason):
    first, second = answers(warehouse, f"select {value}, $system", CALLS)
    assert first["answer"] is None and reason in first["failure"]
    assert second["answer"] and second["failure"] is None


def test_a_query_is_not_asked_for_ever(warehouse, monkeypatch):
    monkeypatch.setattr(diagnosis, "LONGEST_S", 0.2)
    endless = "select count(*) from range(1000000000) a, range(1000000000) b where $system = $system"
    (row,) = answers(warehouse, endless)
    assert "INTERRUPT" in row["failure"].upper()


def test_the_tables_can_be_written_afterwards(warehouse):
    answers(warehouse, CALLS)
    calls(warehouse, 1)


def test_a_file_that_is_held_is_not_locked(warehouse):
    with warehouse.held(), pytest.raises(RuntimeError), warehouse.locked():
        pass
