"""What calls would have cost at the prices of another date, beside what they did cost.

The costs that are stored stay as they are: this is an answer, not a correction.
"""

from datetime import date
from typing import Any

import polars as pl

from aiops_pipelines.costs.compared import SpendError
from aiops_pipelines.costs.prices import USD

SUMS = ["cost_usd", "repriced_usd"]
REPRICED = ["model", "calls", "calls_unpriced", *SUMS, "change_usd", "price_source"]


def at_prices_of(calls: pl.DataFrame, day: date) -> pl.DataFrame:
    """Move calls to a date, each at its own time of the day, so that off-peak prices stay off-peak."""
    at = pl.lit(day).cast(pl.Date).dt.combine(pl.col("occurred_at").dt.time())
    return calls.with_columns(occurred_at=at.dt.replace_time_zone("UTC").dt.cast_time_unit("us"))


def repriced(system: str, calls: pl.DataFrame, costs: pl.DataFrame, then: pl.DataFrame) -> pl.DataFrame:
    """Add up, by model, what calls cost and what they would cost: rows with REPRICED, the largest first.

    `costs` and `then` are rows of `costs.call_costs` for these calls. Only calls with both prices are in the
    sums, which are null where there is none; `calls_unpriced` counts the others.

    Raises:
        SpendError: there is no call.
    """
    if calls.is_empty():
        raise SpendError(f"{system} has no call in that period, so there is nothing to price.")
    named = calls.select(
        "event_id", pl.coalesce("model_served", "model_requested").fill_null("unknown").alias("model")
    )
    both = named.join(costs.select("event_id", "cost_usd"), on="event_id", how="left").join(
        then.select("event_id", "price_source", repriced_usd="cost_usd"), on="event_id", how="left"
    )
    known = pl.col("cost_usd").is_not_null() & pl.col("repriced_usd").is_not_null()
    sums = both.group_by("model").agg(
        calls=pl.len(),
        calls_unpriced=(~known).sum(),
        **{name: pl.when(known.any()).then(pl.col(name).filter(known).sum()).cast(USD) for name in SUMS},
        price_source=pl.col("price_source").drop_nulls().first(),
    )
    changed = sums.with_columns(change_usd=pl.col("repriced_usd") - pl.col("cost_usd"))
    return changed.select(REPRICED).sort(["repriced_usd", "model"], descending=[True, False], nulls_last=True)


def together(rows: pl.DataFrame) -> dict[str, Any]:
    """Add the rows of `repriced` up; an amount that no model has is null."""
    counts = pl.col("calls", "calls_unpriced").sum()
    usd = (pl.when(pl.col(x).count() > 0).then(pl.col(x).sum()).alias(x) for x in (*SUMS, "change_usd"))
    return rows.select(counts, *usd).row(0, named=True)
