"""Savings proposals of a month: what each lever would have saved on its calls, and whether that may be said.

A lever is a file of its own. It looks at the calls of one model at one endpoint and returns an Opportunity,
which is those calls as they would have been, or says with Unjudged why there is none. Here opportunities are
priced, tested together and put in order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
from scipy.special import stdtr, stdtrit

from aiops_pipelines.costs.counterfactual import Pricing
from aiops_pipelines.costs.lever import NONE, PROPOSED, UNKNOWN, Found, Group, Lever, Opportunity, Unjudged
from aiops_pipelines.costs.prices import TOKENS
from aiops_pipelines.costs.proposal_queries import query
from aiops_pipelines.costs.savings import COVERED, FEWEST_UNITS
from aiops_pipelines.drift.comparison import CONFIDENCE, effective_clusters, holm
from aiops_pipelines.wording import percent, usd

FREE = "at the prices of the price book it saves nothing"
WORTH = 0.01
"""Share of what its calls cost that a saving is at least with certainty; less is not worth a change."""
SMALLEST_GROUP = 0.01
"""Share of the month's spend, or of calls where prices are not known, from which a model at an endpoint is
looked at."""
USD = pl.Decimal(38, 12)
PROPOSALS = pl.Schema(
    {
        "system": pl.String(),
        "month": pl.Date(),
        "rank": pl.Int64(),
        "lever": pl.String(),
        "endpoint": pl.String(),
        "model": pl.String(),
        "verdict": pl.String(),
        "change": pl.String(),
        "saving_usd": USD,
        "low_usd": USD,
        "high_usd": USD,
        "further_usd": USD,
        "spend_usd": USD,
        "calls": pl.Int64(),
        "p_adjusted": pl.Float64(),
        "loss_high": pl.Float64(),
        "loss_tolerated": pl.Float64(),
        "loss_measure": pl.String(),
        "judged": pl.Int64(),
        "reason": pl.String(),
        "evidence": pl.String(),
        "examples": pl.List(pl.String),
        "query": pl.String(),
    }
)
"""Columns of costs.savings_proposals."""


@dataclass(frozen=True)
class _Judged:
    group: Group
    found: Found
    spend: float
    saved: pl.Series | None = None
    interval: tuple[float, float] | None = None
    p: float = 1.0
    adjusted: float | None = None
    further: float | None = None
    verdict: str = UNKNOWN
    reason: str | None = None

    @property
    def saving(self) -> float | None:
        return None if self.saved is None else float(self.saved.sum())


def savings_proposals(
    system: str, month: date, groups: Iterable[Group], levers: Sequence[Lever], pricing: Pricing
) -> pl.DataFrame:
    """Return costs.savings_proposals of a month (PROPOSALS): proposals first, the largest saving first.

    A saving is proposed where its 95 % interval is above 0 and its p, adjusted by Holm over every lever,
    model and endpoint of the month, is at most the system's alpha: in a month in which nothing can be saved
    the chance of any proposal is held below that. What answers lose has to be bounded by the system's margin,
    and the saving has to be worth it.

    Args:
        system: name of the system.
        month: first day of the month.
        groups: its calls by endpoint and model.
        levers: those to be tried, in the order in which they are shown.
        pricing: where prices come from.
    """
    looked_at = list(groups)
    judged = [_judged(group, lever(group), pricing) for group in looked_at for lever in levers]
    tested = [row for row in judged if row.interval]
    adjusted = iter(holm([row.p for row in tested]))
    decided = [_decided(replace(row, adjusted=next(adjusted)) if row.interval else row) for row in judged]
    rows = [row for group in looked_at for row in _further(group, decided, pricing)]
    rows.sort(key=lambda row: (-(row.saving or 0) if row.verdict == PROPOSED else 1, row.verdict == UNKNOWN))
    return pl.DataFrame(
        [_row(system, month, rank, row) for rank, row in enumerate(rows, 1)], schema=PROPOSALS, orient="row"
    )


def _judged(group: Group, found: Found, pricing: Pricing) -> _Judged:
    """Price an opportunity and give its saving an interval, or say what stands in the way."""
    known = group.calls["cost_usd"].is_not_null()
    spend = float(group.calls["cost_usd"].cast(pl.Float64).sum())
    if isinstance(found, Unjudged):
        return _Judged(group, found, spend, verdict=found.verdict, reason=found.reason)
    blank = _Judged(group, found, spend)
    if (priced := priced_share(group.calls)) < COVERED:
        return replace(blank, reason=f"only {percent(priced)} of the calls have a known price")
    saved = pricing.saved(group.calls, found.apply(group.calls))
    saved = saved.fill_null(0.0).zip_with(known, pl.zeros(len(saved), dtype=pl.Float64, eager=True))
    units = {unit: _units(group.calls, saved, [unit]) for unit in FEWEST_UNITS}
    free = {unit: effective_clusters(frame["calls"].to_numpy()) for unit, frame in units.items()}
    for unit, fewest in FEWEST_UNITS.items():
        if free[unit] < fewest:
            return replace(
                blank, reason=f"the calls count as {free[unit]:.1f} independent {unit}s; {fewest} are needed"
            )
    both = _units(group.calls, saved, list(FEWEST_UNITS))
    interval, p = _interval(float(saved.sum()), [*units.values(), both], min(free.values()) - 1)
    return replace(blank, saved=saved, interval=interval, p=p)


def priced_share(calls: pl.DataFrame) -> float:
    """Return the share of the calls with a known cost among those that logged a usage."""
    used = calls.filter(pl.any_horizontal(pl.col(TOKENS).is_not_null()))
    return used["cost_usd"].count() / used.height if used.height else 0.0


def _units(calls: pl.DataFrame, saved: pl.Series, by: list[str]) -> pl.DataFrame:
    sums = pl.len().cast(pl.Float64).alias("calls"), pl.col("saved").sum()
    return calls.select(*by, saved=saved).group_by(by, maintain_order=True).agg(*sums)


def _interval(saving: float, units: Sequence[pl.DataFrame], df: float) -> tuple[tuple[float, float], float]:
    """Return the 95 % interval of a month's saving and the one-sided p of no saving.

    The sum over n independent users has the variance n s^2, where s^2 is that of what a user saves: how many
    calls one makes is part of it. Users and days both vary, so their variances are added, less that of what a
    user saves on a day, which both hold (Cameron, Gelbach and Miller 2011), and never below either.

    Args:
        saving: USD.
        units: what users, days, and users on days save.
        df: degrees of freedom.
    """
    user, day, both = (frame.height * float(np.var(frame["saved"].to_numpy(), ddof=1)) for frame in units)
    error = float(np.sqrt(max(user, day, user + day - both)))
    reach = float(stdtrit(df, (1 + CONFIDENCE) / 2)) * error
    least = 0.5 ** min(frame.height for frame in units)
    p = max(float(stdtr(df, -saving / error)), least) if error else 1.0 if saving <= 0 else least
    return (saving - reach, saving + reach), p


def _decided(row: _Judged) -> _Judged:
    """Say whether an opportunity is proposed, and why not."""
    if not row.interval or isinstance(row.found, Unjudged) or row.adjusted is None:
        return row
    (low, high), limits, bound = row.interval, row.group.limits, row.found.bound
    worth = WORTH * row.spend
    if high < worth:
        told = f"at most {usd(high)} of {usd(row.spend)} could be saved"
        reason = told if high > 0 else "it would cost more than it saves" if high < 0 else FREE
        return replace(row, verdict=NONE, reason=reason)
    if low <= 0 or row.adjusted > limits.alpha:
        return replace(row, reason="the saving may be chance")
    if bound and bound.loss is None:
        return replace(row, reason=f"what answers would lose is not measured: {bound.measure}")
    if bound and bound.loss is not None and bound.loss > limits.margin:
        return replace(
            row,
            reason=f"answers may lose {percent(bound.loss)} ({bound.measure}); "
            f"{percent(limits.margin)} is tolerated",
        )
    if low < worth:
        return replace(row, reason=f"less than {percent(WORTH)} of {usd(row.spend)} is certain")
    return replace(row, verdict=PROPOSED)


def _further(group: Group, judged: Sequence[_Judged], pricing: Pricing) -> list[_Judged]:
    """Give each proposal of a group what it saves once those that save more are in place."""
    rows = [row for row in judged if row.group is group]
    order = sorted((row for row in rows if row.verdict == PROPOSED), key=lambda row: -(row.saving or 0.0))
    state, further = group.calls, {}
    for row in order:
        assert isinstance(row.found, Opportunity)
        then = row.found.apply(state)
        further[row.found.lever] = float(pricing.saved(state, then).fill_null(0.0).sum())
        state = then
    return [
        replace(row, further=further[row.found.lever]) if row.verdict == PROPOSED else row for row in rows
    ]


def _row(system: str, month: date, rank: int, row: _Judged) -> dict[str, Any]:
    found, bound = row.found, row.found.bound if isinstance(row.found, Opportunity) else None
    low, high = row.interval or (None, None)
    return {
        "system": system,
        "month": month,
        "rank": rank,
        "lever": found.lever,
        "endpoint": row.group.endpoint,
        "model": row.group.model,
        "verdict": row.verdict,
        "change": found.change if isinstance(found, Opportunity) else None,
        "saving_usd": _money(row.saving if row.interval else None),
        "low_usd": _money(low),
        "high_usd": _money(high),
        "further_usd": _money(row.further),
        "spend_usd": _money(row.spend),
        "calls": row.group.calls.height,
        "p_adjusted": row.adjusted,
        "loss_high": bound and bound.loss,
        "loss_tolerated": row.group.limits.margin if bound else None,
        "loss_measure": bound and bound.measure,
        "judged": bound and bound.judged,
        "reason": row.reason,
        "evidence": found.evidence,
        "examples": list(found.examples),
        "query": query(found.lever, system, month, row.group.endpoint, row.group.model),
    }


def _money(amount: float | None) -> Decimal | None:
    return None if amount is None else Decimal(f"{amount:.12f}")
