"""Why spend grew: the change between any two periods split into causes that add up to it exactly.

What is compared is `cells`, how is `divisia`. What could be saved is not here.
"""

from collections.abc import Collection
from datetime import date, timedelta

import numpy as np
import polars as pl

from aiops_pipelines.costs.cells import AMOUNTS, CELL, KINDS, MODEL, summed
from aiops_pipelines.costs.divisia import Floats, divisia_effects, logarithmic_mean, share_of_effect

ENDPOINT = ["system", "endpoint"]
OPERATION = [*ENDPOINT, "operation"]
"""Calls are counted among their like: an embedding beside each chat does not make chats twice as many."""
REPLACED = "(replaced)"
FIGURES = ["calls", "model_calls", *AMOUNTS]
FACTORS = ["volume", "model_mix", "tokens", "price", "cache"]
COLUMNS = ["system", "week", "endpoint", "cause", "change_usd", "spend_before_usd", "spend_after_usd"]


def spend_growth(cells: pl.DataFrame, week: date) -> pl.DataFrame:
    """Split a week's change in spend against the week before: rows of `costs.spend_growth`.

    `cells` are weekly ones of `spend_cells`, of any systems. A system without a priced call in either week
    has no rows: missing data is no change.
    """
    before = cells.filter(pl.col("period") == week - timedelta(days=7))
    return _of_week(before, cells.filter(pl.col("period") == week), week)


def first_weeks(cells: pl.DataFrame, log_begins: date, weeks: int) -> list[date]:
    """Return the Mondays of the first weeks with a priced call, `weeks` at most, from the log's beginning on.

    A week in which the log began midway is none of them: a Friday alone would make the mean of two weeks
    40 % too low, and every later week grown.
    """
    return [week for week in sorted(cells["period"].unique()) if week >= log_begins][:weeks]


def spend_growth_since_baseline(
    cells: pl.DataFrame, week: date, baseline_weeks: Collection[date]
) -> pl.DataFrame:
    """Split a week's change against the mean baseline week: rows of `costs.spend_growth_since_baseline`.

    The mean is over the baseline weeks with a priced call. A week of the baseline has no rows, nor has one
    before it.
    """
    baseline = cells.filter(pl.col("period").is_in(list(baseline_weeks)))
    weeks = baseline.group_by("system").agg(weeks=pl.col("period").n_unique())
    mean = summed(baseline).join(weeks, on="system")
    mean = mean.with_columns(pl.col("calls_of_model", *AMOUNTS) / pl.col("weeks"))
    after = cells.filter(pl.col("period") == week, pl.col("period") > max(baseline_weeks, default=week))
    return _of_week(mean, after, week)


def _of_week(before: pl.DataFrame, after: pl.DataFrame, week: date) -> pl.DataFrame:
    both = before.select("system").unique().join(after.select("system").unique(), on="system")
    split = split_change(
        before.join(both, on="system", how="semi"), after.join(both, on="system", how="semi")
    )
    return split.with_columns(week=pl.lit(week, dtype=pl.Date)).select(COLUMNS)


def split_change(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Split the change in each endpoint's spend into volume, model_mix, price, cache and tokens:<part>.

    The spend of an endpoint is the sum over its cells (operation x model x part) of

        calls of the operation x share of them that went to the model x tokens per call of the part
              x price per uncached token x what is paid of that price.

    A cell that goes from x0 to x1 gives each factor f the effect L(x1, x0) ln(f1 / f0), where
    L(a, b) = (a - b) / ln(a / b) is the logarithmic mean; the effects of a cell add up to x1 - x0.
    Where a factor is 0 in one period, the limit of that formula gives it the whole change: a new endpoint
    is volume, a model that joins is model_mix, a part that appears is tokens. If calls grew too, volume has
    the mean of what they add without the newcomer, nothing, and with it (L. S. Shapley, 1953). If they
    fell, it has nothing: a newcomer at the calls of before would cost many times what was ever spent.

    What is paid of the price is the mean of the rates of uncached, read and written tokens, in units of the
    first, weighted by their shares. The shares' part of its effect is cache, the rates' part is price.

    Models that left an endpoint and models that came to it are compared as one pool, whose price per token
    is model_mix. Cell by cell, the spend of the old model would vanish and that of the new one appear, and
    growth in calls or tokens during a swap (a new snapshot of one model, often) would be blamed on it.
    A model in another service tier is another model: batches at half the price are no change of prices.

    Spend that goes from 800 to 8,000 USD because calls double, tokens grow 2.5-fold and the price doubles:
    L is 7,200 / ln 10, so volume and price are blamed for 7,200 log10(2) = 2,167.42 USD each, and tokens
    for 2,865.17.
    """
    grid = _aligned(before, after)
    of = {name: grid[name].to_numpy().reshape(2, grid.height // 2) for name in FIGURES}
    effects = _effects(of)
    cells = grid.filter(pl.col("period") == 0).select(CELL)
    blamed = (
        cells.with_columns(**dict(zip(FACTORS, effects, strict=True)))
        .unpivot(FACTORS, index=CELL, variable_name="factor")
        .with_columns(_cause())
    )
    changes = blamed.group_by(*ENDPOINT, "cause").agg(change_usd=pl.col("value").sum())
    cost = of["cost_usd"]
    spent = cells.with_columns(spend_before_usd=cost[0], spend_after_usd=cost[1])
    spend = spent.group_by(ENDPOINT).agg(pl.col("spend_before_usd", "spend_after_usd").sum())
    return changes.join(spend, on=ENDPOINT).sort(*ENDPOINT, "cause")


def _effects(of: dict[str, Floats]) -> Floats:
    """Effects of FACTORS on each cell."""
    calls, model_calls, tokens, cost = (of[name] for name in ("calls", "model_calls", "tokens", "cost_usd"))
    shares, rates, uncached_price = _kinds(of)
    ratios = [calls, _ratio(model_calls, calls), _ratio(tokens, model_calls), uncached_price]
    factors = np.stack([*ratios, _ratio(cost, tokens * uncached_price)])
    effects = divisia_effects(cost, factors)
    live = (cost > 0).all(axis=0)
    moved, grew = cost[1] - cost[0], calls[1] - calls[0]
    came = ~live & (calls > 0).all(axis=0) & (moved * grew > 0)
    a_call = np.divide(cost, calls, out=np.zeros_like(cost), where=calls > 0).sum(axis=0)
    grown = np.where(came, grew * a_call / 2, 0.0)
    effects = np.where(came & (effects != 0), effects - grown, effects)
    effects[0] += grown
    weight = logarithmic_mean(*np.where(live, cost[::-1], 1)) * live
    cache = np.where(live, weight * share_of_effect(shares, rates), effects[4])
    effects[3] += effects[4] - cache
    effects[4] = cache
    return effects


def _kinds(of: dict[str, Floats]) -> tuple[Floats, Floats, Floats]:
    """Return shares and relative rates of uncached, read and written tokens, and the uncached price.

    A kind that was not used in one period keeps the rate of the other, uncached tokens too. A cell that never
    says what they cost, or has them for nothing: its whole price per token is price, none of it cache.
    """
    tokens, cost = of["tokens"], of["cost_usd"]
    cached = np.stack([of[kind] for kind in KINDS])
    paid = np.stack([of[name] for name in KINDS.values()])
    uncached = np.clip(tokens - cached.sum(axis=0), 0, None)
    uncached_cost = np.clip(cost - paid.sum(axis=0), 0, None)
    counted = uncached > 1e-9 * tokens
    told = counted.any(axis=0) & ((uncached_cost > 0) | ~counted).all(axis=0)
    own = np.where(counted, _ratio(uncached_cost, uncached), 0.0)
    price = np.where(told, np.where(counted, own, own[::-1]), _ratio(cost, tokens))
    used = np.where(told, cached, 0.0)
    shares = np.concatenate([1 - _ratio(used.sum(axis=0), tokens)[None], _ratio(used, tokens)])
    rates = _ratio(np.where(told, paid, 0.0), used * price)
    rates = np.where(used > 0, rates, rates[:, ::-1])
    return shares, np.concatenate([np.ones_like(price)[None], rates]), price


def _ratio(count: Floats, per: Floats) -> Floats:
    """Divide; nothing per nothing is 0, and some factor before it is 0 then."""
    return np.divide(count, per, out=np.zeros_like(count), where=per > 0)


def _cause() -> pl.Expr:
    factor, swapped = pl.col("factor"), pl.col("model") == REPLACED
    named = pl.when(factor == "tokens").then(pl.format("tokens:{}", "part")).otherwise(factor)
    return pl.when((factor == "price") & swapped).then(pl.lit("model_mix")).otherwise(named).alias("cause")


def _aligned(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Give both periods the same cells, with zeros where there was nothing, sorted by period and cell."""
    periods = pl.concat([before.with_columns(period=0), after.with_columns(period=1)], how="diagonal_relaxed")
    swapped = pl.col("period").n_unique().over(MODEL) == 1
    pooled_model = pl.when(swapped).then(pl.lit(REPLACED)).otherwise("model").alias("model")
    cells = periods.with_columns(pooled_model)
    models = periods.unique(["period", *MODEL]).with_columns(pooled_model)
    both = pl.DataFrame({"period": [0, 1]}, schema={"period": pl.Int32})
    grid = cells.select(CELL).unique().join(both, how="cross")
    for keys, frame, sums in (
        (CELL, cells, {name: name for name in AMOUNTS}),
        (MODEL, models, {"model_calls": "calls_of_model"}),
        (OPERATION, models, {"calls": "calls_of_model"}),
    ):
        total = frame.group_by("period", *keys).agg(
            **{name: pl.col(column).sum() for name, column in sums.items()}
        )
        grid = grid.join(total, on=["period", *keys], how="left")
    return grid.fill_null(0).with_columns(pl.col(FIGURES).cast(pl.Float64)).sort("period", *CELL)
