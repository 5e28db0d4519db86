"""Why spend grew: the change between two periods split into causes that add up to it exactly.

The split is the logarithmic mean Divisia index, LMDI-I (B. W. Ang, "The LMDI approach to decomposition
analysis: a practical guide", Energy Policy 33, 2005). Calls without a known price are in no cell:
costs.call_costs counts them. What could be saved is not here.
"""

from collections.abc import Collection
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

INPUT_PARTS = ["system_prompt", "tools", "context", "history", "user", "input"]
"""Parts of the input; `input` is what the log does not split, the whole of it where no texts were logged."""
ENDPOINT = ["system", "endpoint"]
MODEL = [*ENDPOINT, "model"]
CELL = [*MODEL, "part"]
REPLACED = "(replaced)"
FIGURES = ["calls", "model_calls", "tokens", "cost_usd"]
FACTORS = ["volume", "model_mix", "tokens", "price"]
COLUMNS = ["system", "week", "endpoint", "cause", "change_usd", "spend_before_usd", "spend_after_usd"]
Floats = NDArray[np.float64]


def spend_cells(inferences: pl.DataFrame, costs: pl.DataFrame) -> pl.DataFrame:
    """Sum the priced calls by system, week, endpoint, model and part.

    Each part of the input bears its share of the call's input cost, the completion bears the output cost.
    Returns system, week, endpoint, model, part, calls_of_model (the calls of that model at that endpoint,
    in every part's row), tokens and cost_usd, the last three as floats.
    """
    priced = costs.filter(pl.col("cost_usd").is_not_null()).select(
        "system",
        "event_id",
        pl.col("output_usd").cast(pl.Float64),
        input_usd=(pl.col("cost_usd") - pl.col("output_usd")).cast(pl.Float64),
    )
    calls = inferences.join(priced, on=["system", "event_id"]).select(
        "system",
        pl.col("occurred_at").dt.truncate("1w").dt.date().alias("week"),
        pl.col("endpoint").fill_null("unknown"),
        pl.coalesce("model_served", "model_requested").fill_null("unknown").alias("model"),
        *_parts(),
        "input_usd",
        "output_usd",
    )
    count = pl.len().cast(pl.Float64).over("week", *MODEL).alias("calls_of_model")
    by_part = [_part(calls.with_columns(count), part) for part in [*INPUT_PARTS, "completion"]]
    summed = (
        pl.concat(by_part)
        .group_by("system", "week", *CELL[1:])
        .agg(pl.col("calls_of_model").first(), pl.col("tokens").sum(), pl.col("cost_usd").sum())
    )
    return summed.filter(pl.col("tokens") > 0).sort("week", *CELL)


def _parts() -> list[pl.Expr]:
    named = [pl.col(f"{part}_tokens").fill_null(0).cast(pl.Float64).alias(part) for part in INPUT_PARTS[:-1]]
    total = pl.sum_horizontal("input_uncached", "cache_read", "cache_write").cast(pl.Float64)
    rest = (total - pl.sum_horizontal(named)).clip(lower_bound=0).alias("input")
    return [
        *named,
        rest,
        pl.sum_horizontal("output_visible", "reasoning").cast(pl.Float64).alias("completion"),
    ]


def _part(calls: pl.DataFrame, part: str) -> pl.DataFrame:
    share = pl.col(part) / pl.sum_horizontal(INPUT_PARTS)
    cost = pl.col("output_usd") if part == "completion" else pl.col("input_usd") * share
    used = calls.filter(pl.col(part) > 0)
    return used.select(
        "week", *MODEL, "calls_of_model", part=pl.lit(part), tokens=pl.col(part), cost_usd=cost
    )


def spend_growth(cells: pl.DataFrame, week: date) -> pl.DataFrame:
    """Split a week's change in spend against the week before: rows of `costs.spend_growth`.

    `cells` are those of `spend_cells`, of any systems. A system without a priced call in either week has no
    rows: missing data is no change.
    """
    before = cells.filter(pl.col("week") == week - timedelta(days=7))
    return _growth(before, cells.filter(pl.col("week") == week), week)


def spend_growth_since_baseline(
    cells: pl.DataFrame, week: date, baseline_weeks: Collection[date]
) -> pl.DataFrame:
    """Split a week's change against the mean baseline week: rows of `costs.spend_growth_since_baseline`.

    The mean is over the baseline weeks with a priced call. A week of the baseline has no rows.
    """
    baseline = cells.filter(pl.col("week").is_in(list(baseline_weeks)))
    weeks = baseline.group_by("system").agg(weeks=pl.col("week").n_unique())
    calls = baseline.unique(["week", *MODEL]).group_by(MODEL).agg(pl.col("calls_of_model").sum())
    sums = baseline.group_by(CELL).agg(pl.col("tokens", "cost_usd").sum()).join(calls, on=MODEL)
    mean = sums.join(weeks, on="system").with_columns(
        pl.col("calls_of_model", "tokens", "cost_usd") / pl.col("weeks")
    )
    after = cells.filter(pl.col("week") == week, ~pl.col("week").is_in(list(baseline_weeks)))
    return _growth(mean, after, week)


def _growth(before: pl.DataFrame, after: pl.DataFrame, week: date) -> pl.DataFrame:
    both = before.select("system").unique().join(after.select("system").unique(), on="system")
    split = split_change(
        before.join(both, on="system", how="semi"), after.join(both, on="system", how="semi")
    )
    return split.with_columns(week=pl.lit(week, dtype=pl.Date)).select(COLUMNS)


def split_change(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Split the change in each endpoint's spend into volume, model_mix, price and tokens:<part>.

    The spend of an endpoint is the sum over its cells (model x part) of

        calls x share of calls that went to the model x tokens per call of the part x price per token.

    A cell that goes from x0 to x1 gives each factor f the effect L(x1, x0) ln(f1 / f0), where
    L(a, b) = (a - b) / ln(a / b) is the logarithmic mean; the effects of a cell add up to x1 - x0.
    Where a factor is 0 in one period, the limit of that formula gives it the whole change: a new endpoint
    is volume, a model that joins is model_mix, a part that appears is tokens. The price per token is the
    one paid, so it also moves with the share of the input that a cache served.

    Models that left an endpoint and models that came to it are compared as one pool, whose price per token
    is model_mix. Cell by cell, the spend of the old model would vanish and that of the new one appear, and
    growth in calls or tokens during a swap (a new snapshot of one model, often) would be blamed on it.

    Spend that goes from 800 to 8,000 USD because calls double, tokens grow 2.5-fold and the price doubles:
    L is 7,200 / ln 10, so volume and price are blamed for 7,200 log10(2) = 2,167.42 USD each, and tokens
    for 2,865.17.
    """
    grid = _aligned(before, after)
    calls, model_calls, tokens, cost = (
        grid[name].to_numpy().reshape(2, grid.height // 2) for name in FIGURES
    )
    factors = np.stack([calls, _ratio(model_calls, calls), _ratio(tokens, model_calls), _ratio(cost, tokens)])
    effects = dict(zip(FACTORS, divisia_effects(cost, factors), strict=True))
    cells = grid.filter(pl.col("period") == 0).select(CELL)
    blamed = (
        cells.with_columns(**effects)
        .unpivot(FACTORS, index=CELL, variable_name="factor")
        .with_columns(_cause())
    )
    changes = blamed.group_by(*ENDPOINT, "cause").agg(change_usd=pl.col("value").sum())
    spent = cells.with_columns(spend_before_usd=cost[0], spend_after_usd=cost[1])
    spend = spent.group_by(ENDPOINT).agg(pl.col("spend_before_usd", "spend_after_usd").sum())
    return changes.join(spend, on=ENDPOINT).sort(*ENDPOINT, "cause")


def divisia_effects(cost: Floats, factors: Floats) -> Floats:
    """Effect of each factor on each cell by LMDI-I, which add up to the cell's change.

    `cost`, shape (2, cells), is before and after; `factors`, (factors, 2, cells), multiply to it. Returns
    (factors, cells).
    """
    before, after = cost
    old, new = factors[:, 0], factors[:, 1]
    live = (cost > 0).all(axis=0)
    log_change = np.log(np.where(live, after, 1) / np.where(live, before, 1))
    steep = np.where(log_change == 0, 1.0, log_change)
    mean = before * np.where(log_change == 0, 1.0, np.expm1(log_change) / steep)
    effects: Floats = mean * np.log(np.where(live, new, 1) / np.where(live, old, 1))
    first_zero = ((old == 0) | (new == 0)).argmax(axis=0)
    limit = np.where(np.arange(len(factors))[:, None] == first_zero, after - before, 0.0)
    return np.where(live, effects, limit)


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
        (CELL, cells, {"tokens": "tokens", "cost_usd": "cost_usd"}),
        (MODEL, models, {"model_calls": "calls_of_model"}),
        (ENDPOINT, models, {"calls": "calls_of_model"}),
    ):
        total = frame.group_by("period", *keys).agg(
            **{name: pl.col(column).sum() for name, column in sums.items()}
        )
        grid = grid.join(total, on=["period", *keys], how="left")
    return grid.fill_null(0).with_columns(pl.col(FIGURES).cast(pl.Float64)).sort("period", *CELL)
