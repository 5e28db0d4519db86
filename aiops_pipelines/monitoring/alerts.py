"""The alerts of one system: what its readings mean in sequence, and every change of an alert's state.

What is read lives in `daily_alerts` and `burn_rate`. Alerts are no incidents: `incidents.rules` makes signals
of them, the same way as of any other limit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import polars as pl

from aiops_pipelines.monitoring.alert_states import State, states
from aiops_pipelines.monitoring.burn_rate import WINDOWS, BurnWindows, burn, usual_calls
from aiops_pipelines.monitoring.daily_alerts import RULES, Baselines, Day, Reading, daily_readings
from aiops_pipelines.systems import Limits

READ_AGAIN = 12
"""While a burn rate fires, its reading is kept every so many five minutes: an hour."""
Row = tuple[Any, ...]
TIME = pl.Datetime("us", "UTC")
READINGS = pl.Schema(
    {
        **dict.fromkeys(("system", "rule"), pl.String()),
        **dict.fromkeys(("period_start", "period_end"), TIME),
        **dict.fromkeys(("level", "state"), pl.String()),
        "opened_at": TIME,
        **dict.fromkeys(("cause", "severity"), pl.String()),
        **dict.fromkeys(("value", "limit_value", "baseline_value"), pl.Float64()),
        "calls": pl.Int64(),
        "evidence": pl.String(),
    }
)
ALERTS = pl.Schema(
    {
        **dict.fromkeys(("system", "rule", "state"), pl.String()),
        **dict.fromkeys(("since", "until", "opened_at"), TIME),
        **dict.fromkeys(("cause", "severity"), pl.String()),
        **dict.fromkeys(("value", "limit_value", "baseline_value"), pl.Float64()),
        "readings": pl.Int64(),
        "evidence": pl.String(),
    }
)


def baselines_of(frozen: pl.DataFrame) -> Baselines:
    """Return a system's monitoring.service_baselines by measure."""
    return {
        row["measure"]: (row["value"], row["calls"] or 0, row["hits"]) for row in frozen.iter_rows(named=True)
    }


def days_of(hourly: pl.DataFrame, sketch: pl.DataFrame) -> dict[date, Day]:
    """Return the days with calls, from hourly_traffic and latency_sketch of one system."""
    day = pl.col("hour").dt.date().alias("day")
    latency = sketch.filter(pl.col("metric") == "latency").group_by(day, "bucket").agg(pl.col("calls").sum())
    by_day = {
        key: (part["bucket"].to_numpy(), part["calls"].to_numpy())
        for (key,), part in latency.sort("day", "bucket").partition_by("day", as_dict=True).items()
    }
    rows = (
        _with_blank(hourly).group_by(day).agg(pl.col("calls", "errors", "refusals", "blank", "probes").sum())
    )
    return {
        at: replace(Day(at, *counts, *by_day.get(at, ())), blank=blank, probes=probes)
        for at, *counts, blank, probes in rows.sort("day").iter_rows()
    }


def _with_blank(hourly: pl.DataFrame) -> pl.DataFrame:
    """Add the calls that answered nothing, where an answer was ever logged before or in the same hour.

    Where an endpoint keeps no texts, an answer of a token or two looks as if there were none.
    """
    texts_kept = pl.col("answered").cum_sum().over("endpoint", order_by="hour") > 0
    return hourly.with_columns(blank=pl.when(texts_kept).then("unanswered").otherwise(0))


def alert_readings(
    system: str,
    days: Mapping[date, Day],
    bins: pl.DataFrame,
    base: Baselines,
    limits: Limits,
    now: datetime,
    stored: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return monitoring.alert_readings of one system, in order.

    Daily rules have a row for each day. A burn rate is read every five minutes, and has a row wherever its
    state changes, one an hour while it fires, and one for the present while it does; a system without the
    traffic for it has one row that says so, and no such alert ever.

    Args:
        system: its name.
        days: as `days_of` gives them.
        bins: calls and errors by five minutes, see `burn_rate`.
        base: the frozen baseline, as `baselines_of` gives it.
        limits: of the system's file.
        now: the system's present, UTC.
        stored: monitoring.alert_readings of the system as of the last run.
    """
    rows: list[Row] = []
    told = [] if stored is None else map(_reading, stored.filter(level="breach").iter_rows(named=True))
    for name, readings in daily_readings(days, base, limits, now, told).items():
        found = states((reading.level for reading in readings), RULES[name].hysteresis)
        rows += [
            _row(system, reading, state, None if opened is None else readings[opened].end)
            for reading, (state, opened) in zip(readings, found, strict=True)
        ]
    for windows in WINDOWS if days else ():
        rows += _burn_rows(system, bins, windows, limits.availability_slo, now)
    return pl.DataFrame(rows, schema=READINGS, orient="row")


def _burn_rows(
    system: str, bins: pl.DataFrame, windows: BurnWindows, slo: float, now: datetime
) -> Iterator[Row]:
    burnt = burn(bins, windows, slo, now)
    if burnt is None:
        needed, minutes = windows.calls_needed(slo), int(windows.short.total_seconds() // 60)
        usual = usual_calls(bins, windows.short, now)
        why = f"{usual:.1f} calls in {minutes} minutes on average of a week, {needed} are needed"
        why = "the objective is too low for this rate" if needed is None else why
        said = f"Not enough traffic for burn rates ({why}); the exact test of each day is used instead."
        nothing = Reading(windows.rule, now, now, "unknown", "errors", windows.severity, evidence=said)
        yield _row(system, nothing, "no_data", None)
        return
    before, last, told = None, len(burnt.levels) - 1, 0
    for place, (state, opened) in enumerate(states(burnt.levels, windows.hysteresis)):
        goes_on = state == "firing" and (place - told >= READ_AGAIN or place == last)
        if (state, opened) != before or goes_on:
            before, told = (state, opened), place
            yield _row(
                system, burnt.reading(place), state, None if opened is None else burnt.reading(opened).end
            )


def _reading(row: Mapping[str, Any]) -> Reading:
    period = row["period_start"], row["period_end"]
    figures = row["value"], row["limit_value"], row["baseline_value"], row["calls"], row["evidence"]
    return Reading(row["rule"], *period, row["level"], row["cause"], row["severity"], *figures)


def _row(system: str, r: Reading, state: State, opened_at: datetime | None) -> Row:
    return (
        *(system, r.rule, r.start, r.end, r.level, state, opened_at, r.cause, r.severity),
        *(r.value, r.limit, r.baseline, r.calls, r.evidence),
    )


def alerts(readings: pl.DataFrame) -> pl.DataFrame:
    """Return monitoring.alerts: a row for each state of each rule, up to the next state's.

    The last state of a rule has no end. While an alert is open its rows share `opened_at`: however often it
    flaps, it is one alert. The figures are those of the reading that brought the state.
    """
    rows = []
    for _, part in readings.group_by("system", "rule", maintain_order=True):
        found = part.sort("period_end").with_columns(
            run=pl.struct("state", "opened_at").rle_id(),
        )
        first = found.group_by("run", maintain_order=True).agg(
            pl.all().first(), pl.len().cast(pl.Int64).alias("readings")
        )
        since = first.with_columns(since="period_end")
        rows.append(since.with_columns(until=pl.col("since").shift(-1)))
    if not rows:
        return pl.DataFrame(schema=ALERTS)
    return pl.concat(rows).select(pl.col(name).cast(dtype) for name, dtype in ALERTS.items())
