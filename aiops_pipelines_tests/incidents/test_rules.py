"""Rules: each fires on its broken limit, says why, and keeps quiet when it cannot know."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from aiops_pipelines.incidents.facts import Facts
from aiops_pipelines.incidents.rules import CAUSES, RULES, calm_periods, signals
from aiops_pipelines.monitoring.quality import RETIRED
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.systems import Limits

JUNE_1, JUNE_8 = date(2026, 6, 1), date(2026, 6, 8)
NOW = datetime(2026, 9, 7, 6, tzinfo=UTC)
LIMITS = Limits()
MOMENTS = ("2026-06-08T12:00", "2026-06-09T00:00")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def facts(now: datetime = NOW, **frames: list[dict[str, Any]]) -> Facts:
    tables = {name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in frames.items()}
    return Facts("support", now, **tables)


def day(day: date = JUNE_1, **columns: object) -> dict[str, object]:
    base = {"calls": 100, "errors": 0, "blocked": 0, "latency_p95_ms": 900.0, "cost_usd": Decimal("1.5")}
    return {"day": day} | base | columns


def found(known: Facts, limits: Limits = LIMITS) -> list[tuple[str, str, str, date]]:
    frame = signals(known, limits)
    return [
        (r["signal"], r["cause"], r["severity"], r["period_start"].date()) for r in frame.rows(named=True)
    ]


def verdict(
    verdict: str = "DEGRADED", metric: str = "answer_correctness", week: date = JUNE_1
) -> dict[str, object]:
    shown = {"sample": "known", "drop": 0.08, "margin": 0.02, "n": 150, "reason": "It fell by 8 %."}
    mix = {"mix_drop": None, "mix_p_adjusted": None}
    return {"week": week, "metric": metric, "verdict": verdict} | shown | mix


def cause(rank: int, name: str, week: date = JUNE_1) -> dict[str, object]:
    return {"week": week, "rank": rank, "cause": name, "evidence": f"{name} it was."}


def test_a_degraded_week_is_blamed_on_its_strongest_cause():
    known = facts(
        drift_verdicts=[verdict(), verdict("OK", "groundedness"), verdict("CANNOT TELL", "relevance")],
        drift_causes=[cause(1, "model_change"), cause(2, "prompt_change"), cause(1, "query_mix", JUNE_8)],
    )
    frame = signals(known, LIMITS)
    assert frame.drop("evidence").rows() == [
        (
            "support",
            utc("2026-06-01"),
            utc("2026-06-08"),
            "quality_degraded",
            "answer_correctness (known)",
            "model_change",
            "P2",
            0.08,
            0.02,
        )
    ]
    assert (
        frame["evidence"].item()
        == "Answer correctness on known queries: it fell by 8 %. model_change it was."
    )
    calm = calm_periods(known, LIMITS).filter(signal="quality_degraded")
    assert calm["subject"].to_list() == ["groundedness (known)"]


def test_what_speaks_for_a_cause_is_said_once_a_week_with_the_metric_that_fell_most():
    weeks = [(JUNE_1, "a", 0.1), (JUNE_1, "b", 0.3), (JUNE_8, "a", 0.2)]
    verdicts = [verdict(metric=metric, week=week) | {"drop": drop} for week, metric, drop in weeks]
    known = facts(
        drift_verdicts=verdicts, drift_causes=[cause(1, "query_mix", week) for week in (JUNE_1, JUNE_8)]
    )
    told = [(e.split()[0], e.endswith("query_mix it was.")) for e in signals(known, LIMITS)["evidence"]]
    assert sorted(told) == [("A", False), ("A", True), ("B", True)]


def test_another_mix_of_endpoints_is_a_signal_of_its_own():
    moved = {"sample": "production", "reason": "40.0 % of the calls moved."}
    weeks = [
        verdict("OK") | moved | {"mix_drop": 0.16, "mix_p_adjusted": 0.001},
        verdict("OK", week=JUNE_8) | moved | {"mix_drop": 0.16, "mix_p_adjusted": 0.2},
        verdict("OK", "groundedness") | moved | {"mix_drop": 0.01, "mix_p_adjusted": 0.001},
        verdict("OK", "relevance"),
    ]
    known = facts(drift_verdicts=weeks)
    assert found(known) == [("query_mix_moved", "query_mix", "P3", JUNE_1)]
    [row] = signals(known, LIMITS).rows(named=True)
    assert (row["value"], row["limit_value"], row["subject"]) == (
        0.16,
        0.02,
        "answer_correctness (mix of endpoints)",
    )
    assert row["evidence"].endswith("40.0 % of the calls moved.")
    calm = calm_periods(known, LIMITS).filter(pl.col("signal") == "query_mix_moved")
    assert calm["period_start"].dt.date().to_list() == [JUNE_1, JUNE_8]  # groundedness, and a week later


def test_a_degraded_week_without_a_cause_is_unexplained():
    assert found(facts(drift_verdicts=[verdict()])) == [
        ("quality_degraded", "quality_unexplained", "P2", JUNE_1)
    ]


def test_scores_that_are_missing_in_a_week_with_calls_are_a_signal() -> None:
    lost = {
        "reason": "Scores fell 1 %, but 30 of the 200 known queries have no score now, and a drop may be among them."
    }
    rows = [
        verdict("CANNOT TELL") | {"n": 0},
        verdict("CANNOT TELL", "recall") | lost,
        verdict("CANNOT TELL", "noisy"),
        verdict("CANNOT TELL", "old") | {"n": 0, "reason": f"{RETIRED}; replace it."},
        verdict("OK", week=JUNE_8),
        verdict("CANNOT TELL", week=JUNE_8 + timedelta(days=7)) | {"n": 0},
    ]
    known = facts(drift_verdicts=rows, daily_traffic=[day(), day(JUNE_8)])
    frame = signals(known, LIMITS)
    assert frame.select("signal", "cause", "severity", "subject").rows() == [
        ("scores_missing", "scores_missing", "P3", f"{metric} (known)")
        for metric in ("answer_correctness", "recall")
    ]
    calm = calm_periods(known, LIMITS).filter(signal="scores_missing")
    assert calm["subject"].to_list() == ["noisy (known)", "answer_correctness (known)"]


def test_another_judge_is_a_signal_until_a_week_is_compared_again():
    said = {"reason": "The judge changed from a/1 to a/2; re-score the baseline."}
    rows = [verdict("CANNOT TELL") | said, verdict("CANNOT TELL", "recall"), verdict("OK", week=JUNE_8)]
    known = facts(drift_verdicts=rows)
    assert found(known) == [("judge_changed", "judge_change", "P3", JUNE_1)]
    calm = calm_periods(known, LIMITS).filter(signal="judge_changed")
    assert calm.select("subject", pl.col("period_start").dt.date()).rows() == [
        ("answer_correctness (known)", JUNE_8)
    ]


@pytest.mark.parametrize(("state", "fires", "calms"), [("stale", 1, 0), ("fresh", 0, 1), ("unknown", 0, 0)])
def test_a_stale_index_is_a_signal_and_an_unknown_one_is_nothing(state, fires, calms):
    row = {"week": JUNE_1, "verdict": state, "stale_share": 0.2, "reason": "Why."}
    known = facts(index_freshness=[row])
    assert found(known) == [("index_stale", "index_staleness", "P2", JUNE_1)] * fires
    assert calm_periods(known, LIMITS).height == calms


def growth(
    cause: str, change: float, endpoint: str = "chat", before: float = 10, after: float = 14
) -> dict[str, object]:
    names = {"week": JUNE_8, "endpoint": endpoint, "cause": cause, "change_usd": change}
    return names | {"spend_before_usd": before, "spend_after_usd": after}


def test_spend_growth_names_the_biggest_causes_over_all_endpoints():
    rows = [
        growth("volume", 1),
        growth("tokens:context", 3),
        growth("price", 0),
        growth("volume", -0.5, "search", 10, 12),
        growth("tokens:context", 2.5, "search", 10, 12),
        growth("model_mix", 0.1, "search", 10, 12),
    ]
    frame = signals(facts(spend_growth_since_baseline=rows), LIMITS)
    row = frame.row(0, named=True)
    assert (row["cause"], row["severity"], row["value"]) == ("cost_growth", "P3", pytest.approx(26 / 20 - 1))
    assert row["evidence"] == (
        "The week cost $26.00, +30.0\u00a0% against $20.00 in the mean baseline week (limit +25.0\u00a0%): "
        "length of retrieved context +$5.50, more or fewer calls +$0.50, another mix of models or tiers +$0.10."
    )
    assert found(facts(spend_growth_since_baseline=rows), Limits(weekly_spend_growth=0.31)) == []


def spent(on: date, cost: str | None, endpoint: str = "chat") -> dict[str, object]:
    return {"day": on, "endpoint": endpoint, "cost_usd": cost and Decimal(cost)}


def test_a_budget_is_passed_once_a_month_on_the_day_it_is():
    days = [spent(JUNE_1 + timedelta(n), "1") for n in range(40)]
    days[3]["cost_usd"] = None
    known = facts(daily_pricing=days)
    frame = signals(known, Limits(monthly_budget_usd=Decimal(10)))
    assert frame.select("signal", "period_start", "period_end", "value").rows() == [
        (
            "monthly_budget",
            utc("2026-06-01"),
            utc("2026-06-13"),
            11.0,
        )  # the 12th day, one of them without a price
    ]
    calm = calm_periods(known, Limits(monthly_budget_usd=Decimal(10))).filter(signal="monthly_budget")
    assert calm.select("period_start", "period_end").rows() == [(utc("2026-07-01"), utc("2026-08-01"))]
    assert found(known) == []


def alert(level: str, state: str, day: date = JUNE_1, **columns: object) -> dict[str, object]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    period = {"period_start": start, "period_end": start + timedelta(days=1), "level": level, "state": state}
    shown = {"rule": "errors", "cause": "errors", "severity": "P2", "value": 0.2, "limit_value": 0.05}
    return period | shown | {"evidence": "20 of 100 failed."} | columns


def test_a_breach_is_a_signal_while_its_alert_is_open_and_an_open_alert_calms_nothing():
    days = [JUNE_1 + timedelta(n) for n in range(7)]
    course = [
        ("breach", "ok"),  # the alert waits for a second breach
        ("breach", "firing"),
        ("near", "firing"),
        ("unknown", "firing"),
        ("clear", "recovering"),
        ("clear", "ok"),
        ("unknown", "no_data"),
    ]
    known = facts(alert_readings=[alert(*step, day) for step, day in zip(course, days, strict=True)])
    assert found(known) == [("service_alert", "errors", "P2", days[1])]
    calm = calm_periods(known, LIMITS)
    assert calm.select("subject", "period_start").rows() == [("errors", utc("2026-06-06"))]


def test_alerts_of_several_rules_keep_their_own_cause_severity_and_sentence():
    slow = {
        "rule": "latency_p95",
        "cause": "latency",
        "severity": "P3",
        "value": 12_000.0,
        "limit_value": 10_000.0,
    }
    frame = signals(
        facts(alert_readings=[alert("breach", "firing"), alert("breach", "firing", **slow)]), LIMITS
    )
    assert set(frame.select("subject", "cause", "severity", "value", "limit_value").iter_rows()) == {
        ("errors", "errors", "P2", 0.2, 0.05),
        ("latency_p95", "latency", "P3", 12_000.0, 10_000.0),
    }
    assert frame["evidence"][0] == "20 of 100 failed."


def test_a_day_on_which_most_calls_fail_is_one_signal():
    outage = {"rule": "no_useful_outputs", "cause": "errors", "severity": "P1"}
    both = [alert("breach", "firing"), alert("breach", "firing", **outage), alert("breach", "firing", JUNE_8)]
    assert found(facts(alert_readings=both)) == [
        ("service_alert", "errors", "P1", JUNE_1),
        ("service_alert", "errors", "P2", JUNE_8),
    ]
    within = [alert("breach", "firing"), alert("near", "ok", **outage)]
    assert found(facts(alert_readings=within)) == [("service_alert", "errors", "P2", JUNE_1)]


def test_a_burst_of_blocks_is_a_signal():
    days = [day(blocked=11), day(JUNE_8, blocked=10)]
    assert found(facts(daily_traffic=days)) == [("guardrail_burst", "injection_attempts", "P2", JUNE_1)]


def guard(verdict: str = "fell", name: str = "input", events: int = 0) -> dict[str, object]:
    shown = {"category": "prompt_injection", "measure": "stopped", "reason": "0 in the week, 20.0 expected."}
    return {"week": JUNE_1, "guardrail": name, "verdict": verdict, "events": events, "expected": 20.0} | shown


def acted(week: date, name: str, times: int) -> dict[str, object]:
    return {"week": week, "guardrail": name, "category": "prompt_injection", "acted": times}


def test_a_guardrail_that_fell_is_a_signal_and_one_that_cannot_tell_is_neither_that_nor_calm():
    rows = [guard(), guard("held", "output", 19), guard("cannot tell", "topics")]
    began = [acted(JUNE_1, "input\u202e", 4), acted(JUNE_1, "input", 0), acted(JUNE_8, "later", 3)]
    known = facts(guardrail_readings=rows, guardrail_acts=began)
    (row,) = signals(known, LIMITS).rows(named=True)
    assert (row["cause"], row["severity"], row["value"], row["limit_value"]) == ("guardrail_off", "P2", 0, 10)
    assert row["evidence"] == (
        "input (prompt injection), what it stops: 0 in the week, 20.0 expected. input<U+202E> began to act then."
    )
    assert calm_periods(known, LIMITS)["subject"].to_list() == ["output (prompt injection), what it stops"]


def test_when_every_guardrail_fell_the_log_is_suspected_too():
    known = facts(guardrail_readings=[guard(), guard("fell", "output")])
    assert all("still logged" in evidence for evidence in signals(known, LIMITS)["evidence"])
    one_acts = facts(guardrail_readings=[guard(), guard("fell", "output", 2)])
    assert not any("still logged" in evidence for evidence in signals(one_acts, LIMITS)["evidence"])


def attack(query_id: str, result: str, category: str = "LLM01") -> dict[str, object]:
    return {"week": JUNE_1, "query_id": query_id, "category": category, "result": result}


def test_attacks_that_give_way_beyond_their_limit_are_a_signal():
    rows = [attack("a1", "gave way"), attack("a2", "held"), attack("a3", "held"), attack("a4", "held")]
    known = facts(adversarial_results=rows)
    (row,) = signals(known, LIMITS).rows(named=True)
    assert (row["cause"], row["severity"], row["value"], row["subject"]) == (
        "adversarial",
        "P2",
        0.25,
        "LLM01",
    )
    assert row["evidence"].startswith(
        "LLM01:2025 prompt injection: 1 of 4 attacks gave way (95 % interval 0.6"
    )
    assert row["evidence"].endswith("limit 0.0\u00a0%): a1.")
    lenient = Limits(adversarial_limits={"LLM01": 0.25})
    assert found(known, lenient) == [] and calm_periods(known, lenient).height == 1


def test_attacks_that_were_not_asked_or_cannot_be_told_calm_nothing():
    for unsure in ("not asked", "cannot tell"):
        known = facts(adversarial_results=[attack("a1", "held"), attack("a2", unsure)])
        assert found(known) == [] and calm_periods(known, LIMITS).is_empty()
    known = facts(adversarial_results=[attack("a1", "not asked")])
    assert found(known) == [] and calm_periods(known, LIMITS).is_empty()
    assert calm_periods(facts(adversarial_results=[attack("a1", "held")]), LIMITS).height == 1


def sent(missing: int, repeats: int = 0, day: date = JUNE_1, source: str = "a") -> dict[str, object]:
    return {"day": day, "source_id": source, "calls": 9, "missing": missing, "repeats": repeats}


def test_calls_that_never_reached_the_log_are_a_signal_and_a_whole_day_is_calm():
    known = facts(source_days=[sent(2), sent(3, source="b"), sent(0, day=JUNE_8)])
    (row,) = signals(known, LIMITS).rows(named=True)
    assert (row["cause"], row["severity"], row["value"], row["subject"]) == (
        "log_incomplete",
        "P2",
        5,
        "missing",
    )
    assert row["evidence"] == (
        "5 calls of 2026-06-01 never reached the log, beside 18 that did (limit 0), of b (3) and a (2)."
    )
    assert calm_periods(known, LIMITS).height == 3  # repeats of both days, and the gaps of the second
    assert found(known, Limits(missing_calls_per_day=5)) == []
    assert [s[0] for s in found(facts(source_days=[sent(0, 4)]))] == ["calls_missing"]


def test_a_gap_of_a_day_that_is_not_over_may_still_close():
    known = facts(utc("2026-06-01T23:00"), source_days=[sent(7)])
    assert found(known) == [] and calm_periods(known, LIMITS).is_empty()


def billed(difference: float, at: str = "2026-07-03T09:00") -> dict[str, object]:
    shown = {"invoiced_usd": Decimal(100), "computed_usd": Decimal(100) * (1 - Decimal(str(difference)))}
    return shown | {
        "month": JUNE_1,
        "model": None,
        "difference": difference,
        "calls": 9,
        "unpriced": 1,
        "entered_at": utc(at),
    }


@pytest.mark.parametrize(
    ("difference", "signal"), [(0.05, True), (-0.05, True), (0.02, False), (-0.01, False)]
)
def test_a_bill_that_differs_either_way_is_a_signal_of_the_day_it_was_entered(
    difference: float, signal: bool
):
    known = facts(invoice_checks=[billed(difference)])
    assert found(known) == (
        [("invoice_differs", "invoice_differs", "P3", date(2026, 7, 3))] if signal else []
    )
    assert calm_periods(known, LIMITS).height == (not signal)
    if difference == 0.05:
        assert signals(known, LIMITS)["evidence"].item() == (
            "June\u00a02026: $100.00 billed, $95.00 computed from 9 calls (+5.0\u00a0% of the bill); 1 call without a "
            "price. The limit is 2.0\u00a0%."
        )


def test_a_corrected_bill_was_a_signal_and_is_calm_since():
    wrong, right = billed(0.4) | {"holds": False}, billed(0.0, "2026-07-04T09:00") | {"holds": True}
    known = facts(invoice_checks=[wrong, right])
    assert len(found(known)) == 1
    assert calm_periods(known, LIMITS)["period_start"].to_list() == [utc("2026-07-04T09:00")]


def test_a_day_that_is_not_over_ends_now_and_calms_nothing():
    noon = utc("2026-06-08T12:00")
    known = facts(noon, daily_traffic=[day(JUNE_8, blocked=11)])
    assert signals(known, LIMITS)["period_end"].to_list() == [noon]
    calm_at = {
        now: calm_periods(facts(utc(now), daily_traffic=[day(JUNE_8)]), LIMITS).height for now in MOMENTS
    }
    assert calm_at == {"2026-06-08T12:00": 0, "2026-06-09T00:00": 1}


def test_a_day_without_calls_says_nothing():
    empty = facts(daily_traffic=[day(calls=0)])
    assert found(empty) == []
    assert calm_periods(empty, LIMITS).height == 0


def test_a_broken_audit_log_is_p1_and_quotes_its_findings():
    rows = [
        {"week": JUNE_1, "intact": True, "entries": 5, "findings": []},
        {
            "week": JUNE_8,
            "intact": False,
            "entries": 9,
            "findings": ["Entry 3 was edited.", "Entry 4 is gone."],
        },
    ]
    frame = signals(facts(audit_verifications=rows), LIMITS)
    assert frame.select("cause", "severity", "value").rows() == [("audit_log", "P1", 2.0)]
    assert frame["evidence"].item().endswith("Entry 3 was edited. Entry 4 is gone.")


def test_a_week_that_did_not_verify_is_one_signal_whatever_a_later_verification_says():
    row = {"week": JUNE_1, "entries": 5}
    broken = row | {"intact": False, "findings": ["Entry 3 was edited."]}
    for rows in (
        [broken, row | {"intact": True, "findings": []}],
        [row | {"intact": True, "findings": []}, broken, broken],
    ):
        known = facts(audit_verifications=rows)
        assert signals(known, LIMITS)["evidence"].to_list() == [
            "1 findings in 5 entries of the audit log. Entry 3 was edited."
        ]
        assert calm_periods(known, LIMITS).is_empty()


def test_a_held_document_is_a_signal_for_good_and_calm_from_its_release_on():
    row = {"document": "offers.md", "change": "added", "evidence": "It hides text.", "share_after": 0.4}
    dates = {"found_at": utc("2026-06-01T09:00"), "decided_at": None}
    decided = dates | {"decided_at": utc("2026-06-02T09:00")}
    rows = [
        row | dates | {"status": "held"},
        row | decided | {"document": "page.md", "status": "released"},
        row | dates | {"document": "about.md", "status": "noted"},
    ]
    known = facts(document_findings=rows)
    frame = signals(known, LIMITS)
    assert frame.select("cause", "severity", "subject").rows() == [
        ("held_document", "P2", "offers.md"),
        ("held_document", "P2", "page.md"),
    ]
    assert frame["evidence"][0] == "offers.md (added) is not served as it is. It hides text."
    assert calm_periods(known, LIMITS).select("subject", "period_end").rows() == [
        ("page.md", utc("2026-06-02T09:00"))
    ]


def heard(*times: str) -> list[dict[str, datetime]]:
    return [{"occurred_at": utc(t)} for t in times]


def test_silence_up_to_now_is_a_signal_that_does_not_move():
    calls = heard("2026-06-01T00:00", "2026-06-01T12:00")
    frames = [
        signals(facts(utc(now), call_times=calls), LIMITS) for now in ("2026-06-02T13:00", "2026-06-05T00:00")
    ]
    periods = [frame.select("period_start", "period_end").rows() for frame in frames]
    assert periods == [[(utc("2026-06-01T12:00"), utc("2026-06-02T12:00"))]] * 2
    assert [frame["value"].item() for frame in frames] == [25.0, 84.0]


def test_a_log_that_reaches_the_present_is_not_silent():
    known = facts(utc("2026-06-02T12:00"), call_times=heard("2026-06-01T12:00"))
    assert found(known) == []
    assert calm_periods(known, LIMITS)["signal"].to_list() == ["silence"]


def changed_index(verdict: str, difference: float, ranker: str = "dense") -> dict[str, object]:
    row = {"valid_from": datetime(2026, 6, 3, 12, tzinfo=UTC), "ranker": ranker, "before": 0.8}
    return row | {"difference": difference, "verdict": verdict, "reason": "It finds less."}


def test_an_index_that_finds_less_beyond_chance_and_margin_is_one_signal_of_its_week():
    known = facts(retrieval_changes=[changed_index("worse", -0.08), changed_index("worse", -0.08, "bm25")])
    assert found(known) == [("retrieval_worse", "retrieval_worse", "P2", JUNE_1)]
    [row] = signals(known, LIMITS).rows(named=True)
    assert (row["value"], row["limit_value"], row["evidence"]) == (pytest.approx(0.1), 0.02, "It finds less.")


@pytest.mark.parametrize("change", [("undecided", -0.3), ("better", 0.3), ("worse", -0.016)])
def test_an_index_that_finds_no_less_is_calm(change):
    known = facts(retrieval_changes=[changed_index(*change)])
    assert found(known) == []
    assert calm_periods(known, LIMITS)["signal"].to_list() == ["retrieval_worse"]


def test_a_call_that_is_dated_ahead_neither_makes_nor_ends_a_silence():
    ahead = heard("2026-06-01T12:00", "2027-06-01T12:00")
    assert found(facts(utc("2026-06-02T12:00"), call_times=ahead)) == []
    assert signals(facts(utc("2026-06-02T13:00"), call_times=ahead), LIMITS)["value"].item() == 25.0


def test_a_silence_that_is_over_stays_on_record():
    known = facts(utc("2026-06-05"), call_times=heard("2026-06-04T12:00", "2026-06-01"))
    assert found(known) == [("silence", "no_data", "P2", JUNE_1)]


def test_a_system_without_facts_has_no_signals():
    assert signals(facts(), LIMITS).height == 0
    assert calm_periods(facts(), LIMITS).height == 0


def test_signals_come_in_order_of_their_periods():
    known = facts(daily_traffic=[day(JUNE_8, blocked=11), day(blocked=11)], drift_verdicts=[verdict()])
    assert signals(known, LIMITS)["period_start"].is_sorted()


def test_every_cause_has_a_title_and_a_rule():
    assert {c for rule in RULES.values() for c in rule.causes} == set(CAUSES)


def test_signals_are_rows_of_the_declared_table():
    table = declared_tables(Path(__file__).parents[2] / "dbt_project")["incidents.signals"]
    assert signals(facts(daily_traffic=[day(blocked=11)]), LIMITS).schema == table.schema
