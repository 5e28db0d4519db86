"""What the alerts of a service said in a week and say now, and its latency with intervals."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from aiops_pipelines.document import Column, Figure, Table, Tone
from aiops_pipelines.incidents.review_inputs import ReviewInputs, Row
from aiops_pipelines.wording import inert, listed, moment, percent

RULES = {
    "errors": "failures",
    "no_useful_outputs": "no useful outputs",
    "refusals": "refusals",
    "latency_p95": "latency",
    "volume": "missing calls",
    "burn_rate_1h": "burn rate over 1 hour",
    "burn_rate_6h": "burn rate over 6 hours",
    "burn_rate_3d": "burn rate over 3 days",
}
BURN = "burn_rate"
STATES = {"no_data": "no data"}
OPEN = ("firing", "recovering")


def rule_name(rule: str) -> str:
    """Return a rule as one says it: burn_rate_1h is the burn rate over 1 hour."""
    return RULES.get(rule, inert(rule.replace("_", " ")))


def states_at_end(r: ReviewInputs) -> list[Row]:
    """Return the state of each alert when the week ended."""
    return [
        row
        for row in r.rows("alerts")
        if row["since"] <= r.end and (row["until"] is None or row["until"] > r.end)
    ]


def watched(states: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the states of the daily rules; a burn rate has no data for most systems, for lack of traffic."""
    return [row for row in states if not row["rule"].startswith(BURN)]


def blind(r: ReviewInputs) -> bool:
    """Say whether no alert of the days had data on any day: nothing is known then, and nothing is well.

    Who rests at weekends has none when the week ends, and had some before.
    """
    first_read = r.start + timedelta(days=1)
    of_days = [
        row
        for row in watched(r.rows("alerts"))
        if row["since"] <= r.end and (row["until"] is None or row["until"] > first_read)
    ]
    return bool(of_days) and all(row["state"] == "no_data" for row in of_days)


def alert_figure(r: ReviewInputs) -> Figure:
    """Return how many alerts were open at the end of the week, and which had no data."""
    states = states_at_end(r)
    silent = [rule_name(row["rule"]) for row in watched(states) if row["state"] == "no_data"]
    note = f"no data: {listed(silent)}" if silent else "at the end of the week"
    is_open = sum(row["state"] in OPEN for row in states)
    return Figure("Alerts open", None if not states or blind(r) else is_open, "count", note)


def alert_table(r: ReviewInputs) -> Table:
    """Return the alerts that were open in the week, and the state of each at its end."""
    ends = states_at_end(r)
    during = [
        row
        for row in r.rows("alerts")
        if row["state"] in OPEN
        and row["since"] <= r.end
        and (row["until"] is None or row["until"] > r.start)
        and row not in ends
    ]
    order = list(RULES)
    rows = sorted([*ends, *during], key=lambda row: (order.index(row["rule"]), row["since"]))
    cells = tuple(
        (
            rule_name(row["rule"]),
            STATES.get(row["state"], row["state"]),
            row["since"],
            _until(row),
            row["evidence"],
        )
        for row in rows
    )
    columns = (
        Column("Alert"),
        Column("State", "verdict"),
        Column("Since", "moment"),
        Column("Until"),
        Column("Reading that brought it"),
    )
    return Table("Alerts of the week", columns, cells, "monitoring.alerts", "No alert was read yet.")


def _until(row: Row) -> str:
    return moment(row["until"]) if row["until"] else "still so"


def latency_table(r: ReviewInputs) -> Table:
    """Return the week's percentiles of latency with their intervals, or why there are none."""
    rows = [
        row
        for row in r.rows("percentiles")
        if (row["grain"], row["endpoint"], row["period_start"]) == ("week", "", r.start)
    ]
    rows.sort(key=lambda row: (row["metric"], row["percentile"]))
    cells = tuple(
        (
            row["metric"].replace("_", " "),
            percent(row["percentile"]).replace(".0", ""),
            row["calls"],
            row["value_ms"],
            row["low_ms"],
            row["high_ms"],
            row["reason"] or "",
        )
        for row in rows
    )
    columns = (
        *(Column("Time"), Column("Share of calls within"), Column("Calls", "count"), Column("Took", "ms")),
        *(Column("Low", "ms"), Column("High", "ms"), Column("Why not")),
    )
    title = "How long calls took, with 95 % intervals"
    return Table(title, columns, cells, "monitoring.latency_percentiles", "No call logged how long it took.")


def present_alerts(states: list[Row]) -> list[tuple[Tone, str]]:
    """Say in a sentence each which alerts are open now, and in one which have no data."""
    now = [row for row in states if row["until"] is None]
    told: list[tuple[Tone, str]] = []
    for row in now:
        if row["state"] in OPEN:
            since = f"Alert on {rule_name(row['rule'])} is {row['state']} since {moment(row['since'])}"
            tone: Tone = "bad" if row["state"] == "firing" else "warn"
            told.append((tone, inert(f"{since}: {row['evidence']}")))
    silent = [rule_name(row["rule"]) for row in watched(now) if row["state"] == "no_data"]
    if silent:
        told.append(("unknown", f"No data for the alerts on {listed(silent)}: too few calls, or none."))
    return told
