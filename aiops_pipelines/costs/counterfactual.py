"""Calls as they would have been with fewer tokens, or with tokens at another price, and what that saves.

Nothing is priced here a second way: `call_costs` prices calls and what they would have been alike.
"""

from dataclasses import dataclass

import polars as pl

from aiops_pipelines.costs.cells import FRONT, INPUT_PARTS, in_front
from aiops_pipelines.costs.prices import APART, TOKENS, PriceOf, call_costs

PARTS = INPUT_PARTS[:-1]
KINDS = {"cache_read": "cache_read", "cache_write": "cache_write", "input_uncached": "uncached"}
"""Columns of tokens by price, and what `in_front` calls them."""
PRICED_BY = [*TOKENS, "provider", "model_served", "model_requested", "service_tier"]
"""What decides what a call costs; a call whose values stay is not priced again."""


@dataclass(frozen=True)
class Pricing:
    """Where the unit prices come from."""

    price_of: PriceOf

    def saved(self, calls: pl.DataFrame, then: pl.DataFrame) -> pl.Series:
        """Return what each call would have cost less, USD; 0.0 for those that stay as they are.

        Both are at the price of the call's own date. Null where one of the prices is not known.

        Args:
            calls: inference_log.inferences, or those of their columns that prices need.
            then: the same calls, in the same order, as they would have been.
        """
        differs = [pl.col(name).ne_missing(pl.col(f"{name}_then")) for name in PRICED_BY]
        beside = then.select(pl.col(PRICED_BY).name.suffix("_then"))
        both = pl.concat([calls.select(PRICED_BY), beside], how="horizontal")
        changed = both.select(pl.any_horizontal(differs)).to_series()
        now, less = (call_costs(frame.filter(changed), self.price_of)["cost_usd"] for frame in (calls, then))
        saving = pl.zeros(calls.height, dtype=pl.Float64, eager=True).alias("saved_usd")
        places = changed.arg_true()
        return saving.scatter(places, (now - less).cast(pl.Float64)) if len(places) else saving


def without(calls: pl.DataFrame, part: str, removed: pl.Expr) -> pl.DataFrame:
    """Return the calls with `removed` tokens of a part of the input less, at most what the part has.

    Of the front of a prompt, tokens go from what a cache serves as from the rest: a cached system prompt that
    gets shorter saves what cached tokens cost. Behind it, what is cached is shared by tokens, as in `cells`.

    Worked example: 1,000 tokens of system prompt, 800 of them read from a cache, and 500 of context. Half of
    the system prompt is 400 tokens read and 100 others; half of the context is 250 others.
    """
    counted = calls.with_columns(
        *(pl.col(f"{name}_tokens").fill_null(0).cast(pl.Float64).alias(name) for name in PARTS),
        *(pl.col(kind).fill_null(0).cast(pl.Float64).alias(f"{kind}_all") for kind in KINDS),
        _removed=removed.fill_null(0).cast(pl.Float64),
    )
    split = counted.select(
        *PARTS,
        cache_read="cache_read_all",
        cache_write="cache_write_all",
        uncached="input_uncached_all",
        removed=pl.min_horizontal("_removed", part).clip(lower_bound=0),
    ).with_columns(in_front())
    front = pl.sum_horizontal(FRONT)
    whole = front if part in FRONT else pl.sum_horizontal(*KINDS.values()) - front
    share = pl.when(whole > 0).then(pl.col("removed") / whole).otherwise(0.0)
    kept = []
    for kind, name in KINDS.items():
        there = pl.col(f"{name}_front") if part in FRONT else pl.col(name) - pl.col(f"{name}_front")
        kept.append((pl.col(name) - there * share).round(0).cast(pl.Int64).alias(kind))
    left = (pl.col(part) - pl.col("removed")).round(0).cast(pl.Int64).alias(f"{part}_tokens")
    return calls.with_columns(split.select(*kept, left).get_columns())


def uncached_behind(calls: pl.DataFrame, where: pl.Expr) -> pl.DataFrame:
    """Return the calls with what a cache held behind the front of their prompts paid in full.

    A cache holds beginnings: where something is cut out, what comes after it is new to the cache.
    """
    front = pl.sum_horizontal(pl.col(f"{name}_tokens").fill_null(0) for name in FRONT)
    read, write = (pl.col(name).fill_null(0) for name in ("cache_read", "cache_write"))
    kept_read = pl.min_horizontal(read, front)
    kept_write = pl.min_horizontal(write, front - kept_read)
    moved = read + write - kept_read - kept_write
    return calls.with_columns(
        pl.when(where).then(kept_read).otherwise("cache_read").alias("cache_read"),
        pl.when(where).then(kept_write).otherwise("cache_write").alias("cache_write"),
        pl.when(where)
        .then(pl.col("input_uncached").fill_null(0) + moved)
        .otherwise("input_uncached")
        .alias("input_uncached"),
    )


def unasked(calls: pl.DataFrame, where: pl.Expr) -> pl.DataFrame:
    """Return the calls with those of a condition as if they had never been made."""
    gone = [
        *TOKENS,
        *(name for name in APART if name in calls.columns),
        *(f"{part}_tokens" for part in PARTS),
    ]
    return calls.with_columns(
        pl.when(where & pl.col(name).is_not_null()).then(0).otherwise(name).cast(pl.Int64).alias(name)
        for name in gone
    )
