"""What a fault does to a week of calls, and what counts as found."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.incidents.game_day import FAULTS, WEEK, last_rehearsal, outcome, planted, played_again
from aiops_pipelines.incidents.lifecycle import INCIDENTS
from aiops_pipelines.incidents.rules import CAUSES, SIGNALS
from aiops_pipelines.inference_log.aiops_jsonl import lines, read
from aiops_pipelines.inference_log.record import SCHEMA, TOKEN_COLUMNS
from aiops_pipelines.resources.practice import last_week
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import Limits
from aiops_pipelines.wording import day
from aiops_pipelines_tests.resources.test_completion import insert, system

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
LIMITS = Limits(guardrail_blocks_per_day=10)


def week(size: int = 200) -> pl.DataFrame:
    rows = [
        dict.fromkeys(SCHEMA)
        | {
            "event_id": f"e{n}",
            "occurred_at": MONDAY + timedelta(minutes=50 * n),
            "operation": "chat",
            "model_served": "m-1",
            "prompt_version": "v1",
            "status": "ok",
            "session_id": f"s{n // 2}",
            "query": f"question {n}",
            "answer": f"answer number {n} in nine words",
            "latency_ms": 1_000 + n,
            "time_to_first_token_ms": 100,
            **dict(zip(TOKEN_COLUMNS, (100, 0, 0, 30, 0), strict=True)),
            "tokens_total": 130,
            "system_prompt_tokens": 40,
            "tools_tokens": 0,
            "context_tokens": 40,
            "history_tokens": 0,
            "user_tokens": 20,
            "completion_tokens": 30,
        }
        for n in range(size)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def share(calls: pl.DataFrame, of: pl.Expr) -> float:
    return calls.filter(of).height / calls.height


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_the_same_each_time_and_leaves_calls_that_can_be_read(fault):
    calls = planted(fault, week(), LIMITS)
    assert calls.schema == week().schema
    assert calls.equals(planted(fault, week(), LIMITS))
    assert not calls.equals(week())
    numbered = calls.with_columns(event_id=pl.format("g{}", pl.int_range(pl.len())))
    batch = read(enumerate((line.encode() for line in lines(numbered)), start=1))
    assert not batch.rejections
    assert len(batch.records) == calls.height


def test_every_fault_can_be_named_by_a_rule():
    assert {cause for fault in FAULTS.values() for cause in fault.causes} <= CAUSES.keys()


def test_faults_strike_as_many_calls_as_they_say():
    calls = week(2_000)
    failing = pl.col("status") == "error"
    assert share(planted("outage", calls, LIMITS), failing) == pytest.approx(0.8, abs=0.04)
    assert share(planted("errors", calls, LIMITS), failing) == pytest.approx(0.2, abs=0.04)
    assert share(planted("blank_answers", calls, LIMITS), pl.col("answer") == "") == pytest.approx(
        0.8, abs=0.04
    )
    assert share(planted("refusals", calls, LIMITS), pl.col("status") == "refused") == pytest.approx(
        0.2, abs=0.04
    )
    assert planted("traffic_loss", calls, LIMITS).height == pytest.approx(400, abs=80)
    assert planted("latency", calls, LIMITS)["latency_ms"][:2].to_list() == [3_000, 3_003]


def test_a_failed_call_has_neither_answer_nor_tokens():
    failed = planted("outage", week(), LIMITS).filter(pl.col("status") == "error")
    assert failed["answer"].null_count() == failed["tokens_total"].null_count() == failed.height > 0


def test_a_longer_system_prompt_is_paid_as_uncached_input():
    calls = planted("cost_spiral", week(), LIMITS)
    assert calls["system_prompt_tokens"].to_list()[:1] == [200]
    assert calls["input_uncached"].to_list()[:1] == [260]
    assert calls["tokens_total"].to_list()[:1] == [290]
    unknown = week().with_columns(system_prompt_tokens=pl.lit(None, pl.Int64))
    assert planted("cost_spiral", unknown, LIMITS)["input_uncached"].to_list()[:1] == [200]


def test_the_log_stops_on_wednesday():
    assert planted("log_stop", week(), LIMITS)["occurred_at"].max() < MONDAY + timedelta(days=2)


def test_answers_are_exchanged_and_none_is_lost():
    before, after = week(), planted("wrong_answers", week(), LIMITS)
    moved = before["answer"] != after["answer"]
    assert moved.mean() == pytest.approx(0.5, abs=0.12)
    assert sorted(before["answer"]) == sorted(after["answer"])


def test_another_model_and_another_prompt_say_less_and_are_named():
    for fault, column, value in (
        ("model_change", "model_served", "m-1-game-day"),
        ("prompt_change", "prompt_version", "game-day"),
    ):
        calls = planted(fault, week(), LIMITS)
        assert calls[column].unique().to_list() == [value]
        assert calls["answer"].to_list()[:1] == ["answer number 0 in nine words"[:9]]
        assert calls["output_visible"].to_list()[:1] == calls["completion_tokens"].to_list()[:1] == [10]
        assert calls["tokens_total"].to_list()[:1] == [110]


def test_an_attack_is_blocked_on_wednesday_beside_all_other_calls():
    blocked = planted("attack", week(), LIMITS).filter(pl.col("status") == "blocked")
    assert blocked.height == 30
    assert set(blocked["occurred_at"].dt.date()) == {(MONDAY + timedelta(days=2)).date()}


@given(st.integers(0, 20 * 24 * 60), st.integers(1, 4))
def test_a_week_is_played_again_between_two_moments_without_a_gap_or_an_overlap(minutes, weeks):
    after, until = MONDAY + timedelta(minutes=minutes), MONDAY + timedelta(weeks=weeks)
    calls = week(2 * 7)
    again = played_again(calls, after, until)["occurred_at"].to_list()
    wanted = [
        at + WEEK * n for n in range(1, 5) for at in calls["occurred_at"] if after < at + WEEK * n < until
    ]
    assert again == sorted(wanted)


def test_a_call_that_a_wrong_clock_dated_years_ahead_does_not_end_the_log(warehouse: Warehouse) -> None:
    """Such calls were taken in before they were set aside."""
    calls = week(20).with_columns(system=pl.lit("shop"))
    lost = calls.head(1).with_columns(event_id=pl.lit("ahead"), occurred_at=MONDAY + timedelta(days=4_000))
    insert(warehouse, "inference_log.inferences", *calls.to_dicts(), *lost.to_dicts())
    now = MONDAY + timedelta(days=10)
    last, played = last_week(warehouse, system(), now, now)
    assert last == calls["occurred_at"].max() and played.height == 20


def test_calls_played_again_are_in_sessions_of_their_own():
    again = played_again(week(4), MONDAY + WEEK - timedelta(microseconds=1), MONDAY + 3 * WEEK)
    assert again["session_id"].n_unique() == 4
    assert not set(again["session_id"]) & set(week(4)["session_id"])


def signal(cause: str, day: int, subject: str = "", severity: str = "P3") -> dict:
    at = MONDAY + timedelta(days=day)
    return {
        "system": "s",
        "period_start": at,
        "period_end": at + timedelta(days=1),
        "signal": "service_alert",
        "subject": subject,
        "cause": cause,
        "severity": severity,
        "value": 0.2,
        "limit_value": 0.05,
        "evidence": f"{cause} on day {day}.",
    }


def signals(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SIGNALS)


def incidents(*rows: tuple[str, str, int]) -> pl.DataFrame:
    blank = dict.fromkeys(INCIDENTS) | {"status": "open"}
    opened = [
        blank | {"incident_id": number, "cause": cause, "opened_at": MONDAY + timedelta(days=day)}
        for number, cause, day in rows
    ]
    return pl.DataFrame(opened, schema=INCIDENTS)


def test_only_what_breaks_with_the_fault_alone_is_found():
    before = {"signals": signals(signal("errors", 0)), "incidents": incidents()}
    assert not outcome("outage", MONDAY, before, signals(signal("errors", 0)), incidents()).found
    earlier = signals(signal("errors", 0), signal("errors", -5))
    assert not outcome("outage", MONDAY, before, earlier, incidents()).found


def test_what_is_found_is_told_with_its_first_signal_of_a_right_cause_and_the_worst_severity():
    nothing = {"signals": signals(), "incidents": incidents()}
    found = signals(
        signal("latency", 0), signal("errors", 1), signal("errors", 2, "no_useful_outputs", severity="P1")
    )
    came = outcome(
        "outage", MONDAY, nothing, found, incidents(("INC-1", "errors", 2), ("INC-2", "latency", 1))
    )
    assert (came.found, came.named, came.joined) == (True, True, False)
    assert (came.hours, came.severity, came.incident_id) == (48, "P1", "INC-1")
    assert came.causes == ("latency", "errors")
    assert came.evidence == "errors on day 1."


def test_a_fault_under_another_name_is_found_and_not_named():
    nothing = {"signals": signals(), "incidents": incidents()}
    came = outcome(
        "outage", MONDAY, nothing, signals(signal("latency", 0)), incidents(("INC-2", "latency", 1))
    )
    assert (came.found, came.named, came.causes, came.hours) == (True, False, ("latency",), 24)


def test_a_fault_that_joins_an_open_incident_tells_nobody_anew():
    still = incidents(("INC-1", "errors", -7))
    nothing = {"signals": signals(), "incidents": still}
    assert outcome("outage", MONDAY, nothing, signals(signal("errors", 1)), still).joined
    resolved = {"signals": signals(), "incidents": still.with_columns(status=pl.lit("resolved"))}
    assert not outcome("outage", MONDAY, resolved, signals(signal("errors", 1)), still).joined


def test_the_last_rehearsal_of_a_runbook_is_the_last_day_its_cause_was_found():
    schema = {
        "held_at": pl.Datetime("us", "UTC"),
        "fault": pl.String,
        "found": pl.Boolean,
        "causes": pl.List(pl.String),
    }
    held = [
        (MONDAY, "outage", True, ["latency", "errors"]),
        (MONDAY + WEEK, "errors", True, ["errors"]),
        (MONDAY + 2 * WEEK, "latency", False, []),
    ]
    games = pl.DataFrame(held, schema=schema, orient="row")
    assert last_rehearsal(games, ("errors",)) == f"{day(MONDAY + WEEK)}, by errors: one call in five fails."
    assert (
        last_rehearsal(games, ("budget", "latency")) == f"{day(MONDAY)}, by outage: four calls in five fail."
    )
    for nothing in (last_rehearsal(games, ("volume",)), last_rehearsal(games.clear(), ("errors",))):
        assert nothing.startswith("Never, for this system")


def test_lines_are_read_as_the_calls_they_were_written_from():
    calls = week(3).with_columns(cost_reported_usd=pl.lit("0.0125").cast(pl.Decimal(38, 12)))
    records = read(enumerate((line.encode() for line in lines(calls)), start=1)).records
    for row, record in zip(calls.rows(named=True), records, strict=True):
        assert {
            name: record[name]
            for name in row.keys() & record.keys() - {"part_method", "token_convention", "source_line"}
        } == {
            name: row[name]
            for name in row.keys() & record.keys() - {"part_method", "token_convention", "source_line"}
        }
    assert "tokens_total" not in json.loads(next(lines(calls)))
