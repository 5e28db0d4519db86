"""Whether guardrails still act: each week against the weeks before, and the trend over all of them.

A guardrail that was switched off fails no call and shows in no error rate; all there is to see is that it
acts no more. Attacks stop too, so a fall says that somebody has to look, not what it was. What counts as an
act is `guardrail_acts`, the statistics are `monitoring.event_rates`, the choices docs/adr/0031.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, Literal, get_args

import polars as pl

from aiops_pipelines.drift.comparison import holm
from aiops_pipelines.monitoring.event_rates import Trend, chance_of_so_few, dispersion, trend

Verdict = Literal["held", "fell", "cannot tell"]
Measure = Literal["stopped", "acted"]
FACTOR = 0.5
"""A guardrail counts as fallen from half of its expected acts down, beyond chance."""
LEAST_WEEKS = 4
"""Weeks a guardrail has to be known before anything is said of it."""
WINDOWS = (1, 2, 4, 8)
"""A guardrail is judged by the fewest weeks in which no act at all would be beyond chance."""
LEAST_BURSTS = 15
"""Independent acts, those that came together counted as one, that a baseline needs."""
BASELINE_WEEKS = 13
"""Weeks after which its baseline stands: one that went along for good would get used to erosion."""
TREND_WEEKS, TREND_LEAST, TREND_EVENTS = 26, 8, 10
"""Weeks a trend looks back, and the weeks and independent events it needs."""
SCHEMA = pl.Schema(
    {
        "system": pl.String(),
        "week": pl.Date(),
        "guardrail": pl.String(),
        "category": pl.String(),
        "measure": pl.String(),
        "verdict": pl.String(),
        "weeks": pl.Int64(),
        "events": pl.Int64(),
        "expected": pl.Float64(),
        "baseline_weeks": pl.Int64(),
        "chance": pl.Float64(),
        "reason": pl.String(),
        "weekly_change": pl.Float64(),
        "weekly_change_low": pl.Float64(),
        "weekly_change_high": pl.Float64(),
        "trend_chance": pl.Float64(),
        "eroding": pl.Boolean(),
    }
)
Key = tuple[str, str, Measure]


@dataclass
class Series:
    """The weeks of one measure of one guardrail since it first acted, and which its baseline may use.

    The first may not: that there was an act in it is why it is the first.
    """

    events: list[int] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    healthy: list[bool] = field(default_factory=list)

    def exposures(self) -> list[float]:
        """Return the calls of each week, no more than at first: when users multiply, attackers need not."""
        usual = sum(self.calls[:LEAST_WEEKS]) / max(1, len(self.calls[:LEAST_WEEKS]))
        return [min(calls, usual) for calls in self.calls]

    def baseline(self, window: int) -> list[int]:
        """Return the positions of the first weeks that did not fall, before the last `window`."""
        return [n for n, well in enumerate(self.healthy[:-window]) if well][:BASELINE_WEEKS]


@dataclass(frozen=True)
class Judged:
    """The last weeks of a series beside its baseline: acts and exposures, and the chance of no act at all."""

    weeks: int
    events: int
    exposure: float
    before: tuple[int, ...]
    exposures: tuple[float, ...]
    none_at_all: float

    @property
    def expected(self) -> float:
        """Acts that the weeks would have at the baseline's rate."""
        return sum(self.before) * self.exposure / sum(self.exposures)

    def chance(self) -> float:
        """Return the chance of so few acts."""
        return chance_of_so_few(self.events, self.exposure, self.before, self.exposures)


@dataclass(frozen=True)
class Reading:
    """How one series was read in one week; chances are those of the test and of the trend, after Holm."""

    key: Key
    verdict: Verdict
    reason: str
    judged: Judged | None = None
    chance: float | None = None
    trend: Trend | None = None
    trend_chance: float | None = None
    eroding: bool | None = None


def guardrail_readings(
    system: str,
    acts: pl.DataFrame,
    alpha: float,
    since: Mapping[str, date] | None = None,
    weeks: Collection[date] | None = None,
) -> pl.DataFrame:
    """Return a row for each week and measure of each guardrail that is known for long enough.

    In each week of a stable system the chance that any is said to have fallen is alpha at most (Holm), and
    that any is said to erode is half of it. A week without calls tells nothing.

    Args:
        system: its name.
        acts: compliance.guardrail_acts of the system.
        alpha: chance of a false alarm.
        since: by guardrail, the day it was changed on purpose; weeks that began before it do not count.
        weeks: Mondays of the weeks that are wanted; all if left out. Earlier ones decide what is expected.
    """
    series: dict[Key, Series] = {}
    rows: list[tuple[Any, ...]] = []
    for (week,), found in acts.sort("week", "guardrail", "category").group_by("week", maintain_order=True):
        assert isinstance(week, date)
        counted = [row for row in found.rows(named=True) if week >= (since or {}).get(row["guardrail"], week)]
        readings = _week(series, counted, alpha)
        if weeks is None or week in weeks:
            rows += [_row(system, week, reading) for reading in _with_trends(readings, series, alpha)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _week(series: dict[Key, Series], found: Sequence[Mapping[str, Any]], alpha: float) -> list[Reading]:
    """Add one week to all series and read them."""
    silent: list[Reading] = []
    for row in found:
        for measure in get_args(Measure):
            key: Key = (row["guardrail"], row["category"], measure)
            if not row["calls"]:
                silent += [Reading(key, "cannot tell", "No call was logged.")] if key in series else []
            elif row[measure] or key in series:
                one = series.setdefault(key, Series())
                one.events.append(row[measure])
                one.calls.append(row["calls"])
                one.healthy.append(len(one.events) > 1)
    if silent:
        return silent
    judged = {key: _judged(one, alpha) for key, one in series.items() if not _is_double(key, series)}
    readings = list(_readings({key: one for key, one in judged.items() if one}, alpha))
    for reading in readings:
        if reading.verdict == "fell" and reading.judged:
            last = reading.judged.weeks
            series[reading.key].healthy[-last:] = [False] * last
    return readings


def _is_double(key: Key, series: Mapping[Key, Series]) -> bool:
    """Say whether all acts of a guardrail stopped something, so that both of its measures are one."""
    stopped = series.get((*key[:2], "stopped"))
    return key[2] == "acted" and stopped is not None and stopped.events == series[key].events


def _judged(one: Series, alpha: float) -> Judged | None:
    """Return the fewest last weeks that can tell, the most if none can; None with too short a baseline."""
    found, exposures = None, one.exposures()
    for window in WINDOWS:
        places = one.baseline(window)
        if len(places) < LEAST_WEEKS:
            break
        exposure, events = sum(exposures[-window:]), sum(one.events[-window:])
        before, at = tuple(one.events[n] for n in places), tuple(exposures[n] for n in places)
        bursts = sum(before) / dispersion(before, at)
        none = chance_of_so_few(0, exposure, before, at) if bursts >= LEAST_BURSTS else 1.0
        found = Judged(window, events, exposure, before, at, none)
        if found.none_at_all < alpha:
            break
    return found


def _readings(known: Mapping[Key, Judged], alpha: float) -> Iterator[Reading]:
    """Read a week; only series in which no act at all would be beyond chance are tested."""
    tested = {key: one.chance() for key, one in known.items() if one.none_at_all < alpha}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    for key, one in known.items():
        few, chance = one.events < FACTOR * one.expected, adjusted.get(key)
        span = "in the week" if one.weeks == 1 else f"in {one.weeks} weeks"
        said = (
            f"{one.events} {span}, {one.expected:.1f} expected from {len(one.before)} weeks of its baseline"
        )
        if few and chance is not None and chance < alpha:
            yield Reading(key, "fell", f"{said}; chance gives so few {_odds(chance)}.", one, chance)
        elif not few and one.none_at_all < alpha / max(1, len(tested)):
            yield Reading(key, "held", f"{said}.", one, chance)
        else:
            said += "; chance may do that." if few else "; chance could bring none at all."
            yield Reading(key, "cannot tell", said, one, chance)


def _odds(chance: float) -> str:
    return "less than once in 10,000 weeks" if chance < 1e-4 else f"once in {1 / chance:,.0f} weeks"


def _with_trends(readings: list[Reading], series: Mapping[Key, Series], alpha: float) -> Iterator[Reading]:
    """Add the trend up to the week to each reading of a series that is long enough."""
    fitted: dict[Key, Trend] = {}
    for reading in readings:
        one = series[reading.key]
        if reading.judged and len(one.events) >= TREND_LEAST:
            found = trend(one.events[-TREND_WEEKS:], one.exposures()[-TREND_WEEKS:])
            fitted |= {reading.key: found} if found and found.independent >= TREND_EVENTS else {}
    adjusted = dict(zip(fitted, holm([found.chance for found in fitted.values()]), strict=True))
    for reading in readings:
        chance = adjusted.get(reading.key)
        eroding = None if chance is None else chance < alpha / 2  # then its two-sided interval is below 0 too
        yield replace(reading, trend=fitted.get(reading.key), trend_chance=chance, eroding=eroding)


def _row(system: str, week: date, r: Reading) -> tuple[Any, ...]:
    one, way = r.judged, r.trend
    judged = (one.weeks, one.events, one.expected, len(one.before)) if one else (None,) * 4
    change = (way.change, way.low, way.high) if way else (None,) * 3
    return (system, week, *r.key, r.verdict, *judged, r.chance, r.reason, *change, r.trend_chance, r.eroding)


def began(rows: Sequence[Mapping[str, Any]], week: date) -> list[str]:
    """Return the guardrails that acted for the first time in the week or the one before: a rename looks so.

    Args:
        rows: of compliance.guardrail_acts.
        week: a Monday.
    """
    first: dict[str, date] = {}
    for row in rows:
        if row["acted"]:
            first[row["guardrail"]] = min(row["week"], first.get(row["guardrail"], row["week"]))
    return sorted(name for name, at in first.items() if week - timedelta(days=7) <= at <= week)
