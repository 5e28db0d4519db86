"""The review's section on spend: what the week cost, how far that is from a baseline week, and why."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from aiops_pipelines.costs.savings import Saved
from aiops_pipelines.document import Action, Chart, Column, Figure, Section, Table, Tone
from aiops_pipelines.incidents.review_inputs import ReviewInputs, Row
from aiops_pipelines.wording import Kind, inert, listed, month, percent, some, usd

CAUSES_SHOWN = 5
SMALLEST_REST = Decimal("0.005")
CAUSES = {
    "volume": "more or fewer calls",
    "model_mix": "another mix of models or tiers",
    "price": "changed prices",
    "cache": "another share of cached input",
    "tokens:system_prompt": "length of the system prompt",
    "tokens:tools": "length of tool definitions",
    "tokens:context": "length of retrieved context",
    "tokens:history": "length of the history",
    "tokens:user": "length of questions",
    "tokens:input": "input that the log does not split",
    "tokens:completion": "length of answers",
    "tokens:reasoning": "tokens of reasoning",
}
REMEDIES = {
    "volume": "Look for calls that repeat: a semantic cache pays when they do.",
    "model_mix": "Route the calls that do not need the dearer model back to the cheaper one.",
    "price": "Compare the price book with the invoice.",
    "cache": "Put the constant part of the prompt first, so that the provider's cache serves it again.",
    "tokens:system_prompt": "Compress the system prompt: drop what it says twice.",
    "tokens:tools": "Send only the tools that an endpoint uses.",
    "tokens:context": "Prune the retrieved context: fewer or shorter chunks per call.",
    "tokens:history": "Truncate the history that is sent along.",
    "tokens:completion": "Limit the length of answers.",
    "tokens:reasoning": "Lower the effort that models reason with where answers do not need it.",
}
HARMLESS = {"price", "cache"}
"""Causes whose remedy leaves answers as they are."""
UNPROVEN = (
    "What that saves, and what it does to answers, is not measured here: aiops costs opportunities looks at "
    "each month. Make one change at a time and ask aiops costs saved after it."
)


NO_COST = {
    "unknown": "without a known price",
    "ambiguous": "whose tokens can be read in two ways",
    "no_usage": "that logged no usage",
    "pending": "not priced yet",
}


def calls_left_out(by_status: Mapping[str, int]) -> str:
    """Say how many calls have no cost and why: 3 calls without a known price. Empty where all have one."""
    return listed([f"{some(by_status[s], 'call')} {why}" for s, why in NO_COST.items() if by_status.get(s)])


def cause_name(cause: str) -> str:
    """Name a cause of growth in words: tokens:context -> length of retrieved context."""
    return CAUSES.get(cause, inert(cause.replace("tokens:", "tokens of ").replace("_", " ")))


def growth(rows: list[Row]) -> tuple[Decimal, dict[str, Decimal], Decimal]:
    """Return a baseline week's spend, the change by cause (largest first) and the week's spend, in USD.

    Endpoints are added up. What the causes leave over, from half a cent on, is one more cause: unexplained.
    """
    ends = {row["endpoint"]: (row["spend_before_usd"], row["spend_after_usd"]) for row in rows}
    before = sum((Decimal(str(b or 0)) for b, _ in ends.values()), Decimal())
    after = sum((Decimal(str(a or 0)) for _, a in ends.values()), Decimal())
    causes: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        causes[row["cause"]] += Decimal(str(row["change_usd"] or 0))
    rest = after - before - sum(causes.values(), Decimal())
    if abs(rest) >= SMALLEST_REST:
        causes["unexplained"] = rest
    return before, dict(sorted(causes.items(), key=lambda item: (-abs(item[1]), item[0]))), after


def _waterfall(before: Decimal, causes: dict[str, Decimal], after: Decimal) -> Chart:
    steps = [(cause_name(cause), change) for cause, change in list(causes.items())[:CAUSES_SHOWN]]
    if rest := sum(list(causes.values())[CAUSES_SHOWN:], Decimal()):
        steps.append(("everything else", rest))
    level, rows = before, [{"label": "Baseline week", "start": 0.0, "end": float(before), "step": "total"}]
    for name, change in steps:
        ends = {"start": float(level), "end": float(level + change)}
        rows.append({"label": name, **ends, "step": "up" if change > 0 else "down"})
        level += change
    rows.append({"label": "This week", "start": 0.0, "end": float(after), "step": "total"})
    title = "From a baseline week's spend to this week's"
    return Chart("spend_waterfall", title, "US dollars a week; the steps add up.", tuple(rows))


def _weeks_of_use(r: ReviewInputs) -> set[date]:
    """Return the weeks in which any call used a token: embeddings too, which are no traffic."""
    return {row["week"] for row in r.rows("spend") if row["tokens"]}


def _by_week_and_part(r: ReviewInputs) -> Chart:
    sums: defaultdict[tuple[date, str], Decimal] = defaultdict(Decimal)
    used = _weeks_of_use(r)
    for row in r.rows("spend"):
        if row["cost_usd"] is not None and row["week"] in used:
            sums[row["week"], row["part"]] += row["cost_usd"]
    shown, known = r.weeks(), {week for week, _ in sums}
    rows = [
        {"week": week.isoformat(), "part": part, "cost_usd": float(cost)}
        for (week, part), cost in sorted(sums.items())
        if week in shown
    ]
    rows += [
        {"week": week.isoformat(), "part": None, "cost_usd": None} for week in shown if week not in known
    ]
    return Chart("spend_by_week", "Spend by week and part of the call", "US dollars a week.", tuple(rows))


def _total(rows: list[Row]) -> Decimal | None:
    priced = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    return sum(priced, Decimal()) if priced else None


def _left_out(r: ReviewInputs) -> str:
    """Say which calls of the week the spend leaves out; nothing where it was not looked at."""
    week = [row for row in r.rows("pricing") if r.week <= row["day"] < r.week + timedelta(days=7)]
    without: Counter[str] = Counter()
    for row in week:
        without[row["price_status"]] += row["calls"]
    said = calls_left_out(without)
    return f"leaves out {said}" if said else "every call has a price" if week else ""


def _endpoints(rows: list[Row], total: Decimal | None) -> Table:
    by_endpoint: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_endpoint[row["endpoint"]].append(row)
    cells: list[tuple[Any, ...]] = []
    for name, parts in sorted(by_endpoint.items()):
        cost = _total(parts)
        share = float(cost / total) if cost is not None and total else None
        cells.append((name, cost, sum(part["tokens"] or 0 for part in parts), share))
    kinds: dict[str, Kind] = {"Endpoint": "code", "Spend": "usd", "Tokens": "count", "Share": "percent"}
    columns = tuple(Column(label, kind) for label, kind in kinds.items())
    return Table("Spend of the week by endpoint", columns, tuple(cells), "costs.weekly_spend")


def _meaning(total: Decimal | None, grown: float | None, causes: dict[str, Decimal]) -> str:
    if total is None:
        return "Spend is unknown: no call of the week has a price."
    if grown is None:
        return f"The week cost {usd(total)}; there is no baseline week to compare it with yet."
    change = f"{percent(abs(grown))} {'more' if grown >= 0 else 'less'} than a baseline week"
    cause, amount = next(iter(causes.items()), ("", None))
    why = f"; the largest cause: {cause_name(cause)} ({usd(amount, signed=True)})" if amount else ""
    return f"The week cost {usd(total)}, {change}{why}."


def month_sentence(row: Row) -> str:
    """Say what the month has cost and will: $3.10 so far in August 2026; $4.00 to $5.20 by its end."""
    unknown = row["through"].day - row["days_known"]
    gaps = f", {some(unknown, 'day')} of it without a known cost" if unknown else ""
    if row["days_left"] == 0:
        return f"{month(row['month'])} is over: {usd(row['spent_usd'])}{gaps}."
    so_far = f"{usd(row['spent_usd'])} so far in {month(row['month'])}{gaps}"
    if row["forecast_usd"] is None:
        return f"{so_far}; too few days are known to say where the month will end."
    span = f"{usd(row['low_usd'])} to {usd(row['high_usd'])}, most likely {usd(row['forecast_usd'])}"
    return f"{so_far}; {span} by its end."


def saving_sentence(found: Saved) -> str:
    """Say what a period saved and whether that is proven."""
    if found.interval is None:
        return f"What was saved cannot be told: {found.obstacle}."
    low, high = (usd(end, signed=True) for end in found.interval)
    amount = f"{usd(found.saved_usd, signed=True)}, between {low} and {high}"
    if found.verdict == "cannot tell":
        return f"No saving is shown: {amount} may be chance."
    if found.verdict == "dearer":
        least, most = (usd(-end) for end in reversed(found.interval))
        more = f"answers cost {usd(-found.saved_usd)} more than their like before"
        return f"Nothing was saved: {more}, between {least} and {most}."
    proof = {
        "held": "Proven, by all changes together; every week of the period was judged OK",
        "degraded": "Not proven: a week of the period was judged DEGRADED, and worse answers are no saving",
        "not measured": "Not proven: answers were not judged OK in every week of the period",
    }
    return f"Saved {amount}. {proof[found.quality]}."


def _forecast(r: ReviewInputs) -> tuple[Figure, ...]:
    """Return the month's forecast where it was made in the days after the week."""
    made = r.week, r.week + timedelta(days=7)
    row = next((row for row in r.rows("month") if made[0] <= row["through"] < made[1]), None)
    if row is None:
        return ()
    budget = r.system.limits.monthly_budget_usd
    note = month_sentence(row) + (f" The budget is {usd(budget)}." if budget else "")
    value = None if row["forecast_usd"] is None else Decimal(str(row["forecast_usd"]))
    return (Figure(f"Forecast of {month(row['month'])}", value, "usd", note),)


def _unusual_days(r: ReviewInputs) -> tuple[Table, ...]:
    """List the days whose unusual hours are beyond the limit; a steady day in fifteen has some by chance."""
    limit = 1 + r.system.limits.spend_anomaly
    days = [
        (row["day"], row["unusual"], row["cost_usd"], row["expected_usd"], _because(row))
        for row in r.rows("anomalies")
        if row["unusual"] and row["cost_usd"] > limit * row["expected_usd"]
        if r.week <= row["day"] < r.week + timedelta(days=7)
    ]
    kinds: dict[str, Kind] = {"Day": "day", "Unusual hours or days": "count", "Cost": "usd", "Usual": "usd"}
    columns = tuple(Column(label, kind) for label, kind in (kinds | {"Mostly": "text"}).items())
    title = "Days that cost more than is usual for their time of the week"
    return (Table(title, columns, tuple(sorted(days)), "costs.spend_anomalies"),) if days else ()


def _because(row: Row) -> str:
    return f"{cause_name(row['cause'])} at {inert(row['endpoint'])}" if row["cause"] else "no cause was found"


def spend(r: ReviewInputs) -> Section:
    """Say what the week cost, how far that is from a baseline week, and why."""
    now = r.this_week("spend") if r.week in _weeks_of_use(r) else []
    total = _total(now)
    before, causes, after = growth(r.this_week("growth") if total is not None else [])
    grown = float((after - before) / before) if before else None
    limit = r.system.limits.weekly_spend_growth
    over = grown is not None and grown > limit
    tone: Tone = "unknown" if total is None else "warn" if over else "plain" if grown is None else "good"
    meaning = _meaning(total, grown, causes)
    figures = (
        Figure("Spend of the week", total, "usd", _left_out(r)),
        Figure("Against a baseline week", grown, "change", f"limit {percent(limit, signed=True)}"),
        Figure("Baseline week", before or None, "usd", "mean of the baseline weeks"),
        *_forecast(r),
        Figure("Tokens", sum(row["tokens"] or 0 for row in now) if now else None, "count"),
    )
    charts: tuple[Chart, ...] = (_by_week_and_part(r),) if r.rows("spend") else ()
    charts += (_waterfall(before, causes, after),) if causes else ()
    actions: tuple[Action, ...] = ()
    if tone == "warn":
        dearer = next((cause for cause, change in causes.items() if change > 0), "")
        remedy = REMEDIES.get(dearer, "Look at the endpoint that grew most.")
        unproven = dearer in REMEDIES.keys() - HARMLESS
        actions = (Action(remedy, f"{meaning} {UNPROVEN}" if unproven else meaning),)
    tables = (_endpoints(now, total), *_unusual_days(r))
    return Section("spend", "Spend", meaning, tone, figures, charts, tables, actions)
