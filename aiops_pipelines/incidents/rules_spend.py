"""The rules on money: growth of a week, unusual hours, and budgets of a month, a day and an endpoint.

They are listed with all others in `rules`.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from statistics import median

from aiops_pipelines.incidents.facts import Facts, Reading, Row, day_of, week_of
from aiops_pipelines.incidents.review_spend import cause_name
from aiops_pipelines.periods import midnight, next_month
from aiops_pipelines.systems import Limits
from aiops_pipelines.wording import percent, usd

CAUSES_NAMED = 3
MATERIAL = 0.25
"""Share of a usual day's spend that unusual hours must cost more to be an incident."""
Readings = Iterator[Reading]


def spend_growth(facts: Facts, limits: Limits) -> Readings:
    """A week's spend has grown beyond its limit against the mean baseline week."""
    weeks: dict[date, list[Row]] = defaultdict(list)
    for row in facts.spend_growth_since_baseline.rows(named=True):
        weeks[row["week"]].append(row)
    for week, rows in weeks.items():
        endpoints = {row["endpoint"]: (row["spend_before_usd"], row["spend_after_usd"]) for row in rows}
        before, after = (sum(spend) for spend in zip(*endpoints.values(), strict=True))
        if before > 0:
            growth, limit = after / before - 1, limits.weekly_spend_growth
            evidence = (
                f"The week cost {usd(after)}, {percent(growth, signed=True)} against {usd(before)} in the "
            )
            evidence += f"mean baseline week (limit {percent(limit, signed=True)}): {_biggest_causes(rows)}."
            yield Reading(*week_of(week), growth > limit, "cost_growth", "P3", growth, limit, evidence)


def monthly_budget(facts: Facts, limits: Limits) -> Readings:
    """The spend of a calendar month passes its budget; the period ends on the day it does."""
    months: dict[date, dict[date, float]] = defaultdict(dict)
    for day, cost in _costs(facts).items() if limits.monthly_budget_usd else ():
        months[day.replace(day=1)][day] = cost
    for month, costs in months.items():
        budget, spent, end = float(limits.monthly_budget_usd or 0), 0.0, midnight(next_month(month))
        for day, cost in costs.items():
            spent += cost
            if spent > budget:
                end = midnight(day) + timedelta(days=1)
                break
        evidence = f"Spend since {month} reached {usd(spent)} of a monthly budget of {usd(budget)}."
        yield Reading(midnight(month), end, spent > budget, "budget", "P3", spent, budget, evidence)


def daily_budget(facts: Facts, limits: Limits) -> Readings:
    """A day's spend passes its budget."""
    for day, spent in _costs(facts).items() if limits.daily_budget_usd else ():
        budget, start = float(limits.daily_budget_usd or 0), midnight(day)
        evidence = f"{day} cost {usd(spent)} of a daily budget of {usd(budget)}."
        ends = start, start + timedelta(days=1)
        yield Reading(*ends, spent > budget, "budget", "P3", spent, budget, evidence)


def endpoint_budget(facts: Facts, limits: Limits) -> Readings:
    """The spend of an endpoint in a calendar month passes its budget."""
    spent: dict[tuple[date, str], float] = defaultdict(float)
    for row in facts.daily_pricing.rows(named=True) if limits.endpoint_budgets_usd else ():
        if row["cost_usd"] is not None:
            spent[row["day"].replace(day=1), row["endpoint"]] += float(row["cost_usd"])
    for (month, endpoint), cost in sorted(spent.items()):
        if endpoint in limits.endpoint_budgets_usd:
            budget = float(limits.endpoint_budgets_usd[endpoint])
            days_of = midnight(month), midnight(next_month(month))
            evidence = f"{endpoint} has cost {usd(cost)} since {month}, of a monthly budget of {usd(budget)}."
            yield Reading(*days_of, cost > budget, "budget", "P3", cost, budget, evidence, endpoint)


def spend_anomaly(facts: Facts, limits: Limits) -> Readings:
    """Hours of a day cost more than is usual for their time of the week, by more than the limit.

    They also have to cost a quarter of a usual day more: two cents in a quiet hour are nobody's incident.
    """
    usual = _usual_days(_costs(facts))
    for row in facts.spend_anomalies.rows(named=True):
        expected, cost = row["expected_usd"], row["cost_usd"]
        excess = cost / expected - 1 if expected else None  # beyond any limit where nothing is usual
        beyond = cost > expected * (1 + limits.spend_anomaly)
        matters = cost - expected > MATERIAL * usual.get(row["day"], 0.0)
        broken = bool(row["unusual"]) and beyond and matters
        hours = f"{row['unusual']} of {row['judged']} hours of" if row["step"] == "hour" else "All of"
        evidence = f"{hours} {row['day']} cost {usd(cost)} where {usd(expected)} is usual "
        evidence += f"(limit {percent(limits.spend_anomaly, signed=True)})"
        if row["cause"]:
            over_day = usd(row["cause_usd"] or 0, signed=True)
            evidence += f"; mostly {cause_name(row['cause'])} at {row['endpoint']}, {over_day} over the day"
        evidence += "."
        yield Reading(*day_of(row), broken, "cost_anomaly", "P3", excess, limits.spend_anomaly, evidence)


def _costs(facts: Facts) -> dict[date, float]:
    """Return what each day cost, calls of every operation together; days without a price are left out."""
    costs: dict[date, float] = defaultdict(float)
    for row in facts.daily_pricing.rows(named=True):
        if row["cost_usd"] is not None:
            costs[row["day"]] += float(row["cost_usd"])
    return dict(sorted(costs.items()))


def _usual_days(costs: dict[date, float]) -> dict[date, float]:
    """Return for each day the median cost of the four weeks before it."""
    usual, known = {}, list(costs.items())
    for at, (day, _) in enumerate(known):
        before = [cost for earlier, cost in known[max(0, at - 28) : at] if (day - earlier).days <= 28]
        if before:
            usual[day] = median(before)
    return usual


def _biggest_causes(rows: list[Row]) -> str:
    changes = defaultdict[str, float](float)
    for row in rows:
        changes[row["cause"]] += row["change_usd"]
    largest = sorted(changes.items(), key=lambda item: -abs(item[1]))[:CAUSES_NAMED]
    return ", ".join(f"{cause_name(cause)} {usd(change, signed=True)}" for cause, change in largest)
