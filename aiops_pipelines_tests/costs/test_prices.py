"""Costs of calls, against hand-computed figures and an exact reference."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops_pipelines.costs.prices import Rates, UnitPrices, call_costs, missing_price
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines_tests.shared_data import shared

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
PARTS = ["input_uncached_usd", "cache_read_usd", "cache_write_usd", "output_usd"]
SCHEMA = {
    "system": pl.String,
    "event_id": pl.String,
    "provider": pl.String,
    "model_requested": pl.String,
    "model_served": pl.String,
    "service_tier": pl.String,
    "occurred_at": pl.Datetime("us", "UTC"),
    "token_convention": pl.String,
    "tokens_total": pl.Int64,
    "input_uncached": pl.Int64,
    "cache_read": pl.Int64,
    "cache_write": pl.Int64,
    "output_visible": pl.Int64,
    "reasoning": pl.Int64,
}


def rates(*prices: str, start: int = 0) -> Rates:
    return Rates(*(Decimal(p) for p in prices), from_input_tokens=start)


def calls(*rows: dict[str, object]) -> pl.DataFrame:
    base = {
        "system": "s",
        "provider": "p",
        "model_served": "m",
        "occurred_at": NOON,
        "token_convention": "disjoint",
    }
    return pl.DataFrame([base | {"event_id": str(n)} | row for n, row in enumerate(rows)], schema=SCHEMA)


def cost(row: dict[str, object], *tiers: Rates) -> dict[str, object]:
    return call_costs(calls(row), lambda *_: UnitPrices(tiers, "list")).row(0, named=True)


def test_each_part_is_billed_at_its_own_price():
    row = cost(
        {
            "input_uncached": 1000,
            "cache_read": 2000,
            "cache_write": 400,
            "output_visible": 150,
            "reasoning": 50,
        },
        rates("2.50", "0.25", "3.125", "10"),
    )
    assert [row[part] for part in PARTS] == [Decimal(x) for x in ("0.0025", "0.0005", "0.00125", "0.002")]
    assert row["cost_usd"] == row["cost_low_usd"] == row["cost_high_usd"] == Decimal("0.00625")
    assert (row["price_status"], row["price_source"]) == ("priced", "list")


def test_the_smallest_price_of_one_token_is_not_lost():
    assert cost({"input_uncached": 1}, rates("0.000001", "0", "0", "0"))["cost_usd"] == Decimal(
        "0.000000000001"
    )


def test_the_tier_is_that_of_the_whole_input_and_holds_for_all_tokens():
    tiers = rates("1", "0.1", "1", "10"), rates("2", "0.2", "2", "15", start=200_001)
    at_threshold = cost({"input_uncached": 100_000, "cache_read": 100_000, "output_visible": 1000}, *tiers)
    above = cost({"input_uncached": 100_000, "cache_read": 100_001, "output_visible": 1000}, *tiers)
    assert at_threshold["cost_usd"] == Decimal("0.1") + Decimal("0.01") + Decimal("0.01")
    assert above["cost_usd"] == Decimal("0.2") + Decimal("0.0200002") + Decimal("0.015")


def test_an_unknown_price_is_null_and_never_zero():
    row = call_costs(calls({"input_uncached": 10}), lambda *_: None).row(0, named=True)
    assert row["price_status"] == "unknown"
    assert [value for name, value in row.items() if name.endswith("_usd")] == [None] * 7


def test_a_call_without_a_model_is_unknown():
    frame = call_costs(
        calls({"input_uncached": 10, "model_served": None}),
        lambda *_: UnitPrices((rates("1", "1", "1", "1"),), "x"),
    )
    assert frame["price_status"].to_list() == ["unknown"]


def test_a_call_without_provider_or_contract_is_unknown_though_the_book_knows_the_model():
    rows = [{"input_uncached": 10, "model_served": "gpt-4o", "provider": name} for name in (None, "openai")]
    assert call_costs(calls(*rows), PriceBook().price_of)["price_status"].to_list() == ["unknown", "priced"]


def test_output_of_a_model_sold_without_output_is_unknown():
    embedding = Rates(Decimal(1), Decimal(1), Decimal(1), None)
    assert cost({"input_uncached": 5, "output_visible": 0}, embedding)["cost_usd"] == Decimal("0.000005")
    assert cost({"input_uncached": 5, "output_visible": 1}, embedding)["price_status"] == "unknown"


def test_a_call_without_usage_has_no_cost():
    row = cost({"token_convention": None}, rates("1", "1", "1", "1"))
    assert (row["price_status"], row["cost_usd"], row["cost_low_usd"]) == ("no_usage", None, None)


def test_an_ambiguous_call_has_two_bounds_and_no_figure():
    """200 uncached, 800 cached, 90 visible and 10 reasoning; or 1000 uncached and 100 visible beside them."""
    counts = {"input_uncached": 200, "cache_read": 800, "output_visible": 90, "reasoning": 10}
    row = cost(counts | {"token_convention": "ambiguous"}, rates("2", "0.2", "2", "10"))
    assert (row["price_status"], row["cost_usd"], row["output_usd"]) == ("ambiguous", None, None)
    assert row["cost_low_usd"] == Decimal("0.0004") + Decimal("0.00016") + Decimal("0.001")
    assert row["cost_high_usd"] == Decimal("0.002") + Decimal("0.00016") + Decimal("0.0011")


def test_what_a_total_holds_beyond_its_parts_costs_at_most_what_output_does():
    """A total of 109 over 35 and 12: 62 tokens of hidden reasoning, as Gemini's OpenAI interface leaves out."""
    counts = {"input_uncached": 35, "output_visible": 12, "tokens_total": 109}
    row = cost(counts | {"token_convention": "ambiguous"}, rates("2", "0.2", "2", "10"))
    assert row["cost_low_usd"] == Decimal("0.00007") + Decimal("0.00012")
    assert row["cost_high_usd"] == Decimal("0.00007") + Decimal("0.00074")


def test_prices_are_asked_for_the_served_model_once_per_half_hour():
    asked = []

    def price_of(provider: str, model: str, at: datetime, tier: str | None) -> UnitPrices:
        asked.append((provider, model, at.strftime("%H:%M")))
        return UnitPrices((rates("1", "1", "1", "1"),), "x")

    late = NOON.replace(minute=59)
    rows = [{"occurred_at": t, "input_uncached": 1} for t in (NOON, NOON.replace(minute=29), late)]
    call_costs(
        calls(*rows, {"model_served": None, "model_requested": "asked", "input_uncached": 1}), price_of
    )
    assert asked == [("p", "m", "12:00"), ("p", "m", "12:30"), ("p", "asked", "12:00")]


def test_each_call_has_the_price_of_its_tier():
    def price_of(provider: str, model: str, at: datetime, tier: str | None) -> UnitPrices | None:
        return None if tier == "gold" else UnitPrices((rates("1", "1", "1", "1" if tier else "2"),), "x")

    tiers = (None, "flex", "gold")
    rows = [{"service_tier": tier, "input_uncached": 0, "output_visible": 1_000_000} for tier in tiers]
    costs = call_costs(calls(*rows), price_of)
    assert costs["cost_usd"].to_list() == [Decimal(2), Decimal(1), None]
    assert costs["price_status"].to_list() == ["priced", "priced", "unknown"]


def test_a_call_whose_provider_is_not_logged_is_priced_beside_those_that_name_one():
    def price_of(provider: str | None, model: str, at: datetime, tier: str | None) -> UnitPrices:
        return UnitPrices((rates("1" if provider else "2", "0", "0", "0"),), str(provider))

    rows = [{"provider": name, "input_uncached": 1_000_000} for name in ("p", None)]
    found = call_costs(calls(*rows), price_of)
    assert found["cost_usd"].to_list() == [Decimal(1), Decimal(2)]
    assert found["price_source"].to_list() == ["p", "None"]


def test_calls_keep_their_order_and_no_calls_are_no_rows():
    frame = calls(*({"input_uncached": n} for n in (9, 1, 5)))
    assert call_costs(frame, lambda *_: UnitPrices((rates("1", "1", "1", "1"),), "x"))[
        "event_id"
    ].to_list() == list("012")
    empty = call_costs(frame.clear(), lambda *_: None)
    assert empty.height == 0
    assert empty.schema["cost_usd"] == pl.Decimal(38, 12)


def test_audio_and_images_are_priced_apart_where_they_have_a_price():
    """1,000 of input at 1 USD a million, 400 of them audio at 3; 100 of output at 10, 60 of them images at 30."""
    counts = {
        **{"input_uncached": 1000, "cache_read": 50, "output_visible": 100},
        **{
            "input_uncached_audio": 400,
            "input_uncached_image": 100,
            "cache_read_audio": 50,
            "output_image": 60,
        },
    }
    frame = calls({}).with_columns(pl.lit(n, dtype=pl.Int64).alias(name) for name, n in counts.items())
    apart = {"input_uncached_audio": Decimal(3), "output_image": Decimal(30)}

    def costing(output, apart):
        tier = Rates(Decimal(1), Decimal("0.5"), Decimal(1), output, apart=apart)
        return call_costs(frame, lambda *_: UnitPrices((tier,), "list")).row(0, named=True)

    row = costing(Decimal(10), apart)
    assert row["input_uncached_usd"] == Decimal("0.0018")
    assert row["cache_read_usd"] == Decimal("0.000025")
    assert row["output_usd"] == Decimal("0.0022")
    assert row["cost_usd"] == Decimal("0.004025")
    assert row["price_source"] == (
        "list; audio billed as text, for want of a price; image billed as text, for want of a price"
    )
    assert costing(Decimal(10), {})["cost_usd"] == Decimal("0.002025")
    all_apart = apart | {"cache_read_audio": Decimal(1), "input_uncached_image": Decimal(1)}
    assert costing(Decimal(10), all_apart)["price_source"] == "list"
    # Sold by the image alone, text has no price.
    assert costing(None, apart)["price_status"] == "unknown"


def test_cache_writes_for_an_hour_are_priced_apart_where_they_have_a_price():
    """556 written at 3.75 USD a million, 100 of them for an hour at 6: 456 x 3.75 + 100 x 6 = 2,310."""
    counts = {"input_uncached": 2048, "cache_read": 1800, "cache_write": 556, "output_visible": 503}
    frame = calls(counts).with_columns(cache_write_1h=pl.lit(100))
    for apart, wanted in (({"cache_write_1h": Decimal(6)}, "0.00231"), ({}, "0.002085")):
        tier = Rates(*map(Decimal, ("3", "0.30", "3.75", "15")), apart=apart)
        row = call_costs(frame, lambda *_, tier=tier: UnitPrices((tier,), "list")).row(0, named=True)
        assert row["cache_write_usd"] == Decimal(wanted)
        assert sum(row[part] for part in PARTS) == row["cost_usd"]


def test_output_that_is_all_images_needs_no_price_of_text():
    frame = calls({"input_uncached": 10, "output_visible": 60}).with_columns(output_image=pl.lit(60))
    tier = Rates(Decimal(1), Decimal(1), Decimal(1), None, apart={"output_image": Decimal(30)})
    row = call_costs(frame, lambda *_: UnitPrices((tier,), "list")).row(0, named=True)
    assert (row["price_status"], row["output_usd"]) == ("priced", Decimal("0.0018"))


tokens = st.none() | st.integers(0, 10**9)
price = st.decimals(0, 10_000, places=6)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[tokens] * 5), st.tuples(*[price] * 4))
def test_cost_is_exact_and_parts_add_up(counts, prices):
    row = cost(dict(zip(list(SCHEMA)[-5:], counts, strict=True)), Rates(*prices))
    if all(c is None for c in counts):
        assert row["price_status"] == "no_usage"
        return
    u, r, w, v, s = (c or 0 for c in counts)
    exact = (u * prices[0] + r * prices[1] + w * prices[2] + (v + s) * prices[3]) / Decimal(10**6)
    assert row["cost_usd"] == exact
    assert sum(row[part] for part in PARTS) == row["cost_usd"]


def test_a_day_of_real_traffic_costs_what_its_totals_cost():
    trace = pl.read_parquet(shared("token_traces/azure_llm_2023_conv.parquet")).with_row_index()
    frame = trace.select(
        system=pl.lit("s"),
        event_id=pl.col("index").cast(pl.String),
        provider=pl.lit("openai"),
        model_requested=pl.lit(None, dtype=pl.String),
        model_served=pl.lit("gpt-4o"),
        occurred_at=pl.col("timestamp").dt.replace_time_zone("UTC"),
        token_convention=pl.lit("disjoint"),
        input_uncached=pl.col("input_tokens").cast(pl.Int64),
        cache_read=pl.lit(0, dtype=pl.Int64),
        cache_write=pl.lit(0, dtype=pl.Int64),
        output_visible=pl.col("output_tokens").cast(pl.Int64),
        reasoning=pl.lit(None, dtype=pl.Int64),
    )
    list_price = UnitPrices((rates("2.50", "1.25", "2.50", "10"),), "list")
    total = call_costs(frame, lambda *_: list_price)["cost_usd"].sum()
    assert total == (22_361_870 * Decimal("2.5") + 4_088_665 * 10) / 10**6


def test_costs_are_rows_of_the_declared_table():
    table = declared_tables(Path(__file__).parents[2] / "dbt_project")["costs.call_costs"]
    frame = call_costs(calls({"input_uncached": 1}, {}), lambda *_: None)
    assert frame.schema == table.schema


def test_a_missing_price_is_said_for_what_was_logged():
    assert missing_price("m", "batch", 2) == (
        "2 calls of the model m in the tier batch have no known price and count as unknown; add a contract "
        "price to the system's file."
    )
    assert missing_price(None, None, 1) == (
        "1 call that names no model has no known price and counts as unknown; log the model and its provider."
    )
