"""Any two periods compared: what is added up, what is left out and what cannot be compared."""

from datetime import date

import polars as pl
import pytest

from aiops_pipelines.costs.compared import SpendError, compared, without_cost
from aiops_pipelines_tests.costs.test_growth import DEAR, JUNE_8, PARTS, SMALL, Cells, cells

MAY, JUNE = (date(2026, 5, 1), date(2026, 5, 31)), (date(2026, 6, 1), date(2026, 6, 30))


def test_periods_are_added_up_over_their_days_and_endpoints():
    """Two days of 100 calls at 0.0014 USD against one of 300, and an endpoint whose price is ten-fold."""
    other: Cells = {("search", "small"): (100, PARTS)}
    before = cells({SMALL: (100, PARTS)}).vstack(cells({SMALL: (100, PARTS)}, JUNE_8)).vstack(cells(other))
    after = cells({SMALL: (300, PARTS), ("search", "small"): (100, DEAR)})
    found = compared("s", MAY, JUNE, (before, after), ({}, {"unknown": 2})).as_data()
    assert found["causes"] == pytest.approx({"price": 1.26, "volume": 0.14} | zeros(found["causes"]))
    assert (found["spend_before_usd"], found["spend_after_usd"]) == pytest.approx((0.42, 1.82))
    assert found["residual_usd"] == pytest.approx(0, abs=1e-12)
    assert [row["endpoint"] for row in found["endpoints"]] == ["chat", "search"]
    assert (found["days"], found["days_in_both"], found["calls_unpriced"]) == ([31, 30], 0, [0, 2])
    assert found["calls_unpriced_why"] == [{}, {"unknown": 2}]


def zeros(causes: dict[str, float]) -> dict[str, float]:
    return {cause: 0.0 for cause in causes if cause not in ("price", "volume")}


def test_no_data_is_not_zero_spend():
    nothing = cells({})
    with pytest.raises(SpendError, match=r"no call with a known price from 2026-06-01 to 2026-06-30"):
        compared("s", MAY, JUNE, (cells({SMALL: (1, PARTS)}), nothing), ({}, {}))


def test_a_period_that_ends_before_it_begins_is_refused():
    frame = cells({SMALL: (1, PARTS)})
    with pytest.raises(SpendError, match="ends before it begins"):
        compared("s", (MAY[1], MAY[0]), JUNE, (frame, frame), ({}, {}))


def test_calls_without_a_cost_are_counted_by_the_reason():
    calls = pl.DataFrame({"event_id": list("abcde")})
    statuses = ["priced", "unknown", "no_usage", "unknown"]
    costs = pl.DataFrame({"price_status": statuses, "cost_usd": [1.0, None, None, None]})
    assert without_cost(calls, costs) == {"no_usage": 1, "unknown": 2, "pending": 1}
    assert without_cost(calls[:1], costs[:1]) == {}


def test_periods_that_overlap_say_by_how_much():
    frame = cells({SMALL: (1, PARTS)})
    late = (date(2026, 5, 30), date(2026, 6, 30))
    assert compared("s", MAY, late, (frame, frame), ({}, {})).days_in_both == 2
