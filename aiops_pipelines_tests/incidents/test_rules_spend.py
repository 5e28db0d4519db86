"""Rules on money: unusual hours and budgets of a day and of an endpoint."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from aiops_pipelines.incidents.rules import calm_periods, signals
from aiops_pipelines.systems import Limits
from aiops_pipelines_tests.incidents.test_rules import JUNE_1, JUNE_8, LIMITS, facts, found, spent


def unusual(on: date = JUNE_1, **columns: object) -> dict[str, object]:
    base = {"step": "hour", "judged": 24, "unusual": 3, "cost_usd": 9.0, "expected_usd": 3.0}
    return {"day": on} | base | {"endpoint": "chat", "cause": "tokens:history", "cause_usd": 5.5} | columns


def test_unusual_hours_open_an_incident_that_says_why():
    known = facts(spend_anomalies=[unusual()])
    assert found(known) == [("spend_anomaly", "cost_anomaly", "P3", JUNE_1)]
    row = signals(known, LIMITS).row(0, named=True)
    assert (row["value"], row["limit_value"]) == (2.0, 0.5)
    assert row["evidence"] == (
        "3 of 24 hours of 2026-06-01 cost $9.00 where $3.00 is usual (limit +50.0\u00a0%); "
        "mostly length of the history at chat, +$5.50 over the day."
    )


def test_a_small_excess_is_calm_and_so_is_a_usual_day():
    slight = unusual(cost_usd=4.4)
    usual = unusual(
        JUNE_8, unusual=0, cost_usd=0.0, expected_usd=0.0, cause=None, endpoint=None, cause_usd=None
    )
    known = facts(spend_anomalies=[slight, usual])
    assert found(known) == []
    assert calm_periods(known, LIMITS)["signal"].to_list() == ["spend_anomaly"] * 2


def test_hours_that_usually_cost_nothing_are_unusual_without_a_cause():
    known = facts(
        spend_anomalies=[
            unusual(expected_usd=0.0, step="day", judged=1, unusual=1, cause=None, endpoint=None)
        ]
    )
    assert [name for name, *_ in found(known, Limits(spend_anomaly=3, silent_hours=10**6))] == [
        "spend_anomaly"
    ]
    row = signals(known, LIMITS).row(0, named=True)
    assert row["value"] is None
    assert [row["evidence"]] == ["All of 2026-06-01 cost $9.00 where $0.00 is usual (limit +50.0\u00a0%)."]


@pytest.mark.parametrize(("cost", "broken"), [("1.5", False), ("1.51", True), (None, False)])
def test_a_day_passes_its_budget(cost, broken):
    known = facts(daily_pricing=[spent(JUNE_1, cost), spent(JUNE_1, None, "search")])
    limits = Limits(daily_budget_usd=Decimal("1.5"), silent_hours=10**6)
    assert found(known, limits) == [("daily_budget", "budget", "P3", JUNE_1)] * broken
    assert "daily_budget" not in [signal for signal, *_ in found(known)]


def test_budgets_are_of_all_that_was_called_at_any_endpoint():
    """A day of a dollar of chats and 0.6 of embeddings passes 1.5 a day, and 1.5 a month."""
    known = facts(daily_pricing=[spent(JUNE_1, "1"), spent(JUNE_1, "0.6", "embed")])
    limits = Limits(daily_budget_usd=Decimal("1.5"), monthly_budget_usd=Decimal("1.5"), silent_hours=10**6)
    assert {name for name, *_ in found(known, limits)} == {"daily_budget", "monthly_budget"}


def test_an_endpoint_passes_its_budget_of_the_month():
    rows = [spent(JUNE_1, "2"), spent(JUNE_8, "2"), spent(JUNE_8, "90", "search")]
    rows += [spent(date(2026, 7, 1), "2.9"), spent(JUNE_8, None)]
    limits = Limits(endpoint_budgets_usd={"chat": Decimal(3)})
    frame = signals(facts(daily_pricing=rows), limits)
    assert frame.select("signal", "subject", "value").rows() == [("endpoint_budget", "chat", 4.0)]
    assert "chat has cost $4.00 since 2026-06-01" in frame["evidence"][0]
    assert calm_periods(facts(daily_pricing=rows), limits)["period_start"][0].date() == date(2026, 7, 1)


def test_unusual_hours_that_cost_next_to_nothing_are_no_incident() -> None:
    """Two cents where half a cent is usual, on days of a dollar fifty; a quarter of such a day is 0.375."""
    weeks = [spent(JUNE_1 + timedelta(days=n), "1.5") for n in range(15)]
    judged = {"day": JUNE_1 + timedelta(days=14), "step": "hour", "judged": 24, "unusual": 1, "cause": None}
    judged |= {"endpoint": None, "cause_usd": None}
    small, large = ({"expected_usd": 0.005, "cost_usd": cost} for cost in (0.02, 0.39))
    assert found(facts(daily_pricing=weeks, spend_anomalies=[judged | small])) == []
    (only,) = found(facts(daily_pricing=weeks, spend_anomalies=[judged | large]))
    assert only[0] == "spend_anomaly"
