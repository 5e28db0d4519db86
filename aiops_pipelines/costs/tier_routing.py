"""Tier routing: a cheaper model that answered the same known queries no worse; without that, nothing."""

from collections.abc import Iterator

import polars as pl

from aiops_pipelines.costs.lever import NONE, Bound, Found, Group, Opportunity, Unjudged
from aiops_pipelines.drift.comparison import SIGN_FLIPS_BELOW, paired
from aiops_pipelines.wording import count, inert, usd

LEVER = "tier routing"
SAMPLE = "probes"
FEWEST_QUERIES = SIGN_FLIPS_BELOW
"""Known queries that both models must have answered; an interval from fewer is not trusted."""


def tier_routing(group: Group) -> Found:
    """Let the cheapest other model that was probed at the endpoint answer, if its scores were no worse.

    Scores are paired by known query, of the same metric and judge. The bound is that of the metric that may
    have lost most. Which questions of users are easy is not guessed.
    """
    probes = group.samples.get(SAMPLE, pl.DataFrame())
    own = probes.filter(pl.col("model") == group.model) if probes.height else probes
    if own.is_empty():
        return Unjudged(LEVER, "no known query was asked of this model in the month")
    others = probes.filter(pl.col("query_id").is_in(own["query_id"].unique().implode())).filter(
        pl.col("model") != group.model
    )
    if others.is_empty():
        return Unjudged(
            LEVER, "no other model was asked the known queries in the month; ask a cheaper one first"
        )
    costs = probes.filter(pl.col("query_id").is_in(others["query_id"].unique().implode()))
    each = (
        costs.unique("event_id")
        .sort("event_id")
        .group_by("model")
        .agg(pl.col("cost_usd").cast(pl.Float64).mean())
        .drop_nulls()
    )
    here = each.filter(pl.col("model") == group.model)["cost_usd"]
    cheaper = (
        each.filter(pl.col("cost_usd") < here.item()).sort("cost_usd", "model")
        if len(here)
        else here.to_frame()
    )
    if cheaper.is_empty():
        return Unjudged(LEVER, "no other model answered known queries for less", NONE)
    model = cheaper["model"][0]
    to = others.filter(pl.col("model") == model).row(0, named=True)
    bound = _bound(own, others.filter(pl.col("model") == model))
    evidence = (
        f"A known query cost {usd(here.item())} with {inert(group.model)} and {usd(cheaper['cost_usd'][0])} "
        f"with {inert(model)}. The same tokens are priced for users' calls; another model may write more."
    )
    moved = {name: to[name] for name in ("provider", "model_served", "model_requested", "service_tier")}
    return Opportunity(
        LEVER,
        f"Let {inert(model)} answer here.",
        lambda calls: calls.with_columns(
            pl.lit(value, dtype=pl.String).alias(name) for name, value in moved.items()
        ),
        bound,
        evidence,
        others.filter(pl.col("model") == model)["event_id"].unique().sort().head(3).to_list(),
    )


def _bound(own: pl.DataFrame, other: pl.DataFrame) -> Bound:
    """Bound the relative drop of each metric over the queries that both models answered; the worst counts."""
    bounds = list(_drops(own, other))
    if not bounds or min(pairs for _, pairs, _ in bounds) < FEWEST_QUERIES:
        pairs = min((pairs for _, pairs, _ in bounds), default=0)
        return Bound(
            None, f"both models answered {count(pairs)} known queries; {FEWEST_QUERIES} are needed", pairs
        )
    loss, pairs, metric = max(bounds)
    return Bound(max(0.0, loss), f"{metric.replace('_', ' ')} on known queries", pairs)


def _drops(own: pl.DataFrame, other: pl.DataFrame) -> Iterator[tuple[float, int, str]]:
    means = (
        side.drop_nulls("value")
        .sort("value")
        .group_by("metric", "judge", "query_id")
        .agg(pl.col("value").mean())
        for side in (own, other)
    )
    first, second = means
    both = first.join(second, on=["metric", "judge", "query_id"], suffix="_then").sort("metric", "query_id")
    for (metric, _), rows in both.group_by(["metric", "judge"], maintain_order=True):
        if rows.height < 2:
            yield 1.0, rows.height, str(metric)
            continue
        interval = paired(rows["value"].to_numpy(), rows["value_then"].to_numpy()).interval()
        yield (interval[1] if interval else 1.0), rows.height, str(metric)
