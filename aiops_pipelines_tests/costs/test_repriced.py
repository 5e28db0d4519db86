"""A period at the prices of another date, beside what it did cost."""

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from aiops_pipelines.costs.compared import SpendError
from aiops_pipelines.costs.prices import call_costs
from aiops_pipelines.costs.repriced import at_prices_of, repriced
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines_tests.costs.test_prices import calls

JULY = datetime(2026, 7, 1, 23, 45, tzinfo=UTC)


def priced(*rows: dict[str, object], as_of: date) -> dict[str, dict[str, object]]:
    frame = calls(*({"provider": "openai", "occurred_at": JULY} | row for row in rows))
    costs = call_costs(frame, PriceBook().price_of)
    then = call_costs(at_prices_of(frame, as_of), PriceBook().price_of)
    return {row["model"]: row for row in repriced("s", frame, costs, then).iter_rows(named=True)}


def test_a_model_costs_what_it_cost_on_the_date():
    """o3 was 10 USD a million until 9 June 2025 and is 2 since: 1,000 tokens are 0.01 and 0.002 USD."""
    found = priced({"model_served": "o3", "input_uncached": 1000}, as_of=date(2025, 6, 1))["o3"]
    assert (found["cost_usd"], found["repriced_usd"], found["change_usd"]) == tuple(
        Decimal(x) for x in ("0.002", "0.01", "0.008")
    )
    assert "before 2025-06-10" in found["price_source"]


def test_calls_without_a_price_are_counted_and_in_no_sum():
    rows = [{"model_served": name, "input_uncached": 1000} for name in ("o3", "house-llm", "o3")]
    found = priced(*rows, as_of=date(2026, 7, 1))
    assert found["o3"]["calls"] == 2 and found["o3"]["change_usd"] == 0
    assert (found["house-llm"]["calls_unpriced"], found["house-llm"]["cost_usd"]) == (1, None)
    assert list(found) == ["o3", "house-llm"]


def test_the_time_of_the_day_stays():
    moved = at_prices_of(calls({"occurred_at": JULY}), date(2025, 4, 1))["occurred_at"]
    assert moved.to_list() == [datetime(2025, 4, 1, 23, 45, tzinfo=UTC)]
    assert moved.dtype == pl.Datetime("us", "UTC")


def test_no_call_is_no_answer():
    empty = calls().clear()
    with pytest.raises(SpendError, match="has no call in that period"):
        repriced("s", empty, call_costs(empty, PriceBook().price_of), call_costs(empty, PriceBook().price_of))
