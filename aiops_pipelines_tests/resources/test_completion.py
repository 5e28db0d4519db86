from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from aiops_pipelines.resources.completion import (
    LATER,
    _said,
    due_months,
    due_weeks,
    enter,
    first_call,
    week_inputs,
)
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

pytestmark = pytest.mark.usefixtures("kept_open")

CLOCK = datetime(2026, 7, 2, tzinfo=UTC)
WEEKS = [date(2026, 6, 1), date(2026, 6, 8), date(2026, 6, 15), date(2026, 6, 22)]
JUNE = date(2026, 6, 1)
Due = Callable[[], tuple[list[date], list[date]]]


def system(name: str = "shop", **changes: Any) -> System:
    content = {"name": name, "title": "t", "inference_log": {"folder": "logs"}}
    return System.model_validate(content | changes)


def insert(warehouse: Warehouse, table: str, *rows: dict[str, Any]) -> None:
    frame = pl.DataFrame(list(rows), schema=warehouse.tables[table].schema)
    with warehouse.writing() as writer:
        writer.append(table, frame)


def call(event_id: str, *day: int, system: str = "shop") -> dict[str, Any]:
    return {"system": system, "event_id": event_id, "occurred_at": datetime(2026, *day, 12, tzinfo=UTC)}


def query(
    query_id: str, text: str = "How much?", since: datetime = datetime(2026, 1, 1, tzinfo=UTC)
) -> dict[str, Any]:
    return {
        "system": "shop",
        "query_id": query_id,
        "query": text,
        "valid_from": since,
        "reference_answer": "9",
    }


@pytest.fixture
def done(warehouse: Warehouse) -> Due:
    """A shop with a call on 2 and on 17 June, all of whose closed periods are entered; asks what is due."""
    with warehouse.held():
        insert(warehouse, "inference_log.inferences", call("e1", 6, 2), call("e2", 6, 17))
        insert(warehouse, "rag.known_queries", query("q1"))
        enter(warehouse, system(), "weekly", WEEKS, CLOCK)
        enter(warehouse, system(), "monthly", [JUNE], CLOCK)
    return lambda: (due_weeks(warehouse, system(), CLOCK), due_months(warehouse, system(), CLOCK))


def test_nothing_is_due_of_an_empty_log(warehouse: Warehouse) -> None:
    assert first_call(warehouse, system()) is None
    assert due_weeks(warehouse, system(), CLOCK) == []
    assert due_months(warehouse, system(), CLOCK) == []


def test_every_closed_period_since_the_first_call_is_due_until_it_is_entered(warehouse: Warehouse) -> None:
    insert(warehouse, "inference_log.inferences", call("e1", 6, 2))
    assert first_call(warehouse, system()) == datetime(2026, 6, 2, 12, tzinfo=UTC)
    assert due_weeks(warehouse, system(), CLOCK) == WEEKS  # the empty ones as well: no calls is a finding
    assert due_months(warehouse, system(), CLOCK) == [JUNE]
    enter(warehouse, system(), "weekly", WEEKS[:2], CLOCK)
    assert due_weeks(warehouse, system(), CLOCK) == WEEKS[2:]
    assert due_months(warehouse, system(), CLOCK) == [JUNE]
    enter(warehouse, system(), "monthly", [JUNE], CLOCK)
    assert due_months(warehouse, system(), CLOCK) == []


def test_what_is_entered_stays_so(done: Due) -> None:
    assert done() == ([], [])


def test_entering_again_leaves_one_row_a_period(warehouse: Warehouse, done: Due) -> None:
    later = datetime(2026, 7, 3, tzinfo=UTC)
    enter(warehouse, system(), "weekly", WEEKS[:1], later)
    rows = warehouse.rows("operations.completed_periods", cadence="weekly").sort("period")
    assert rows["period"].to_list() == WEEKS
    assert rows["completed_at"].to_list() == [later, CLOCK, CLOCK, CLOCK]
    assert rows["inputs"].str.len_chars().unique().to_list() == [16]


def test_a_late_call_makes_its_week_and_month_due_again_and_no_other(warehouse: Warehouse, done: Due) -> None:
    insert(warehouse, "inference_log.inferences", call("e3", 6, 9))
    assert done() == ([date(2026, 6, 8)], [JUNE])
    enter(warehouse, system(), "weekly", [date(2026, 6, 8)], CLOCK)
    assert done() == ([], [JUNE])


def test_midnight_belongs_to_the_week_that_begins(warehouse: Warehouse, done: Due) -> None:
    at = {"system": "shop", "event_id": "e3", "occurred_at": datetime(2026, 6, 8, tzinfo=UTC)}
    insert(warehouse, "inference_log.inferences", at)
    assert done()[0] == [date(2026, 6, 8)]


def test_a_call_in_place_of_another_is_noticed(warehouse: Warehouse, done: Due) -> None:
    with warehouse.writing() as writer:
        writer.delete("inference_log.inferences", event_id="e2")
        writer.append(
            "inference_log.inferences",
            pl.DataFrame([call("e9", 6, 17)], schema=warehouse.tables["inference_log.inferences"].schema),
        )
    assert done() == ([date(2026, 6, 15)], [JUNE])


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("rag.known_queries", query("q2")),
        ("rag.known_queries", query("q1", "How much now?", datetime(2026, 5, 1, tzinfo=UTC))),
        (
            "rag.judgements",
            {
                "system": "shop",
                "query_id": "q1",
                "valid_from": datetime(2026, 1, 1, tzinfo=UTC),
                "document": "a.md",
                "grade": 2,
            },
        ),
        (
            "rag.corpus_revisions",
            {"system": "shop", "revision": "rv-1", "valid_from": datetime(2026, 5, 1, tzinfo=UTC)},
        ),
        (
            "monitoring.baselines",
            {
                "system": "shop",
                "metric": "m",
                "sample": "known",
                "fingerprint": "f",
                "last_week": date(2026, 5, 25),
            },
        ),
    ],
    ids=["new query", "changed query", "judgement", "corpus", "baseline"],
)
def test_another_truth_makes_every_week_due_again(
    warehouse: Warehouse, done: Due, table: str, row: dict[str, Any]
) -> None:
    insert(warehouse, table, row)
    assert done() == (WEEKS, [JUNE])


def test_a_changed_answer_makes_every_week_due_again(warehouse: Warehouse, done: Due) -> None:
    warehouse.replace(
        "rag.known_queries",
        pl.DataFrame(
            [query("q1") | {"reference_answer": "10"}], schema=warehouse.tables["rag.known_queries"].schema
        ),
        system="shop",
    )
    assert done() == (WEEKS, [JUNE])


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (
            "rag.corpus_revisions",
            {"system": "shop", "revision": "rv-2", "valid_from": datetime(2026, 6, 15, tzinfo=UTC)},
        ),
        ("rag.known_queries", query("q2", since=datetime(2026, 6, 15, tzinfo=UTC))),
        (
            "rag.judgements",
            query("q1", since=datetime(2026, 6, 15, tzinfo=UTC)) | {"document": "a.md", "grade": 1},
        ),
    ],
    ids=["corpus", "query", "judgement"],
)
def test_a_truth_of_later_leaves_the_weeks_before_it(
    warehouse: Warehouse, done: Due, table: str, row: dict[str, Any]
) -> None:
    insert(warehouse, table, {name: row.get(name) for name in warehouse.tables[table].schema})
    assert done() == (WEEKS[2:], [JUNE])


@pytest.mark.parametrize(
    "changes",
    [{"limits": {"margin": 0.03}}, {"profile": "regulated"}, {"baseline": {"weeks": 2}}],
    ids=["limits", "profile", "baseline"],
)
def test_other_settings_make_every_week_due_again(
    warehouse: Warehouse, done: Due, changes: dict[str, Any]
) -> None:
    assert due_weeks(warehouse, system(**changes), CLOCK) == WEEKS
    assert due_months(warehouse, system(**changes), CLOCK) == [JUNE]
    assert due_weeks(warehouse, system(title="Another title", owner="me"), CLOCK) == []


def test_one_system_does_not_touch_another(warehouse: Warehouse, done: Due) -> None:
    desk = system("desk")
    insert(
        warehouse,
        "inference_log.inferences",
        call("e1", 6, 2, system="desk"),
        call("e2", 6, 3, system="desk"),
    )
    insert(warehouse, "rag.known_queries", query("q7") | {"system": "desk"})
    assert done() == ([], [])
    assert due_weeks(warehouse, desk, CLOCK) == WEEKS
    enter(warehouse, desk, "weekly", WEEKS, CLOCK)
    assert due_weeks(warehouse, desk, CLOCK) == []
    assert done() == ([], [])
    assert week_inputs(warehouse, desk, WEEKS[0]) != week_inputs(warehouse, system(), WEEKS[0])


def test_cadences_are_entered_apart(warehouse: Warehouse) -> None:
    insert(warehouse, "inference_log.inferences", call("e1", 6, 2))
    enter(warehouse, system(), "weekly", [JUNE], CLOCK)  # 1 June is a Monday and the first of a month
    assert due_weeks(warehouse, system(), CLOCK) == WEEKS[1:]
    assert due_months(warehouse, system(), CLOCK) == [JUNE]


def test_a_user_who_becomes_known_later_makes_the_weeks_of_the_trace_due(
    warehouse: Warehouse, done: Due
) -> None:
    insert(warehouse, "inference_log.inferences", call("e3", 6, 9) | {"trace_id": "t3"})
    enter(warehouse, system(), "weekly", WEEKS, CLOCK)
    insert(warehouse, "inference_log.traces", {"system": "shop", "trace_id": "t3", "user_id": "u3"})
    insert(warehouse, "inference_log.traces", {"system": "shop", "trace_id": "t9", "user_id": "u3"})
    assert done()[0] == [WEEKS[1]]


def test_a_baseline_that_another_judge_scored_alike_makes_the_weeks_after_it_due(
    warehouse: Warehouse, done: Due
) -> None:
    row = {"system": "shop", "sample": "known", "metric": "m", "fingerprint": "f", "last_week": WEEKS[1]}
    insert(warehouse, "monitoring.baselines", row | {"judge": "m/1"})
    enter(warehouse, system(), "weekly", WEEKS, CLOCK)
    assert done()[0] == []
    with warehouse.writing() as writer:
        writer.delete("monitoring.baselines", system="shop")
    insert(warehouse, "monitoring.baselines", row | {"judge": "m/2"})
    assert done()[0] == WEEKS[2:]


def test_a_setting_that_came_with_a_version_makes_nothing_due_again_before_it_is_set(
    done: Due, warehouse: Warehouse
) -> None:
    shop, chosen = system(), system(baseline={"guardrails_from": {"input": "2026-06-01"}})
    assert not any(name in _said(part) for part in (shop.limits, shop.baseline) for name in LATER)
    assert _said(shop.baseline) == '{"weeks":4,"minimum_rows":200}'
    assert due_weeks(warehouse, chosen, CLOCK) == WEEKS and done()[0] == []


def test_a_judge_that_is_named_makes_a_month_due_once_it_measured_it(warehouse: Warehouse, done: Due) -> None:
    named = {"kind": "openai_compatible", "base_url": "http://127.0.0.1:1/v1"}
    judged = system(judge=named | {"model": "m", "dated_name": "m-1"})
    row = {"system": "shop", "grain": "month", "period_start": JUNE, "answers": 0, "reason": "NOT MEASURED"}
    insert(warehouse, "monitoring.hallucination_rates", row)
    assert due_months(warehouse, judged, CLOCK) == []
    rated = {"judge": "j", "answers": 40, "rate": 0.1, "low": 0.02, "high": 0.3, "reason": None}
    insert(warehouse, "monitoring.hallucination_rates", row | rated)
    assert due_months(warehouse, judged, CLOCK) == [JUNE]
