"""What a day says about the service: limits broken beyond chance, against the system's file and its baseline.

Each measure of a day is read as a breach, near, clear or unknown; `alert_states` decides what follows from
a sequence of readings. Alerts err with `limits.alpha` over all measures and the seven days of a week: each
has a thirty-fifth of it, and where two breaches in a row open an alert, each test has the root of that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from aiops_pipelines.monitoring.alert_states import Hysteresis, Level
from aiops_pipelines.monitoring.intervals import chance_of_more, chance_of_more_than_before
from aiops_pipelines.monitoring.sketch import bucket_of, value_of
from aiops_pipelines.periods import midnight
from aiops_pipelines.systems import Limits

NO_USEFUL_OUTPUTS = 0.5
"""Share of calls that fail or answer nothing above which hardly anybody is served."""
SHARE_FACTOR = 2.0
"""Failures and refusals count as more than before from twice their baseline on, beyond chance."""
HITS_AT_LEAST = 5
"""And from this many on: one user who tries three times is not three independent failures."""
LATENCY_FACTOR = 1.5
"""The 95th percentile counts as slower than before from one and a half times its baseline on."""
VOLUME_FACTOR = 0.5
"""Calls count as missing from half of the weekday's baseline down."""
EASILY_CHANCE = 0.25
"""A day is clear when chance alone gives as much this often: nothing is left to be seen."""
WELL_BELOW = 0.8
"""And when it lies this far below the limit."""
GRAVEST: tuple[Level, ...] = ("breach", "near", "clear")
SLOW_SHARE = 0.05
"""Share of calls slower than the 95th percentile, by its definition."""
LOOKS = 40
"""A day that is not over is read every quarter of an hour: each time with this part of a day's alpha."""
UNFINISHED = "before the day was over."
"""How the evidence of such a reading ends."""

Whole = npt.NDArray[np.int64]


def _none() -> Whole:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Day:
    """One day of one system: counts, and its latencies as buckets in order and the calls in each."""

    day: date
    calls: int = 0
    errors: int = 0
    refusals: int = 0
    buckets: Whole = field(default_factory=_none)
    in_bucket: Whole = field(default_factory=_none)
    blank: int = 0
    """Calls that ended well and answered nothing, in a log that keeps answers."""
    probes: int = 0
    """Calls that asked a known query."""


@dataclass(frozen=True)
class Reading:
    """How one measure of one period was read; limit and baseline are in the value's unit."""

    rule: str
    start: datetime
    end: datetime
    level: Level
    cause: str
    severity: str
    value: float | None = None
    limit: float | None = None
    baseline: float | None = None
    calls: int = 0
    evidence: str = ""


Baselines = Mapping[str, tuple[float | None, int, int | None]]
"""Value, calls and hits of each frozen measure; empty while there is no baseline."""
Found = tuple[Level, str, float | None, float | None, float | None, str]
"""Level, severity, value, limit, baseline and evidence."""


def errors(day: Day, base: Baselines, limits: Limits, alpha: float) -> Found:
    """More calls failed than the limit, or than twice the baseline, and than chance explains."""
    share, before = day.errors / day.calls, base.get("error_share", (None, 0, None))
    by_limit = _against_limit(day.errors, day.calls, limits.error_rate, alpha)
    level = _together(by_limit, *_against_baseline(day.errors, day.calls, before, alpha))
    over = by_limit == "breach"
    limit = limits.error_rate if over or before[0] is None else SHARE_FACTOR * before[0]
    said = (
        f"{day.errors} of {day.calls} calls on {day.day} failed "
        f"({share:.1%}, limit {100 * limits.error_rate:.10g}%"
    )
    return level, "P2" if over else "P3", share, limit, before[0], f"{said}{_was(before[0])})."


def no_useful_outputs(day: Day, base: Baselines, limits: Limits, alpha: float) -> Found:
    """Most calls failed or answered nothing, and more than chance explains while the limit is kept."""
    useless, limit = day.errors + day.blank, NO_USEFUL_OUTPUTS
    share = useless / day.calls
    by_limit = _against_limit(useless, day.calls, limits.error_rate, alpha)
    level: Level = "near"
    if by_limit == "unknown" or share < WELL_BELOW * limit:
        level = "unknown" if by_limit == "unknown" else "clear"
    elif share > limit and by_limit == "breach" and useless >= HITS_AT_LEAST:
        level = "breach"
    said = f"{useless} of {day.calls} calls on {day.day} failed"
    said += f" or answered nothing, {day.blank} of them nothing" if day.blank else ""
    return level, "P1", share, limit, None, f"{said} ({share:.1%})."


def refusals(day: Day, base: Baselines, limits: Limits, alpha: float) -> Found:
    """The model declined more than twice as often as in the baseline, and than chance explains."""
    share, before = day.refusals / day.calls, base.get("refusal_share", (None, 0, None))
    level = _together(*_against_baseline(day.refusals, day.calls, before, alpha))
    limit = None if before[0] is None else SHARE_FACTOR * before[0]
    said = f"{day.refusals} of {day.calls} calls on {day.day} were refused ({share:.1%}{_was(before[0])})."
    return level, "P2", share, limit, before[0], said


def latency_p95(day: Day, base: Baselines, limits: Limits, alpha: float) -> Found:
    """One call in twenty took longer than the limit, or than 1.5 times the baseline's 95th percentile.

    The 95th percentile is above a limit if more than 5 % of calls are; chance is that of a binomial with 5 %.
    """
    before = base.get("latency_p95_ms", (None, 0, None))[0]
    timed = int(day.in_bucket.sum())
    if not _can_tell(timed, SLOW_SHARE, alpha):
        return "unknown", "P3", None, None, before, f"{timed} calls on {day.day} logged how long they took."
    bars = [float(limits.latency_p95_ms), *([] if before is None else [LATENCY_FACTOR * before])]
    slower = [int(day.in_bucket[day.buckets > bucket].sum()) for bucket in bucket_of(bars)]
    chances = [chance_of_more(calls, timed, SLOW_SHARE) for calls in slower]
    value = _p95(day)
    broken = [bar for bar, chance in zip(bars, chances, strict=True) if chance < alpha]
    level: Level = "breach" if broken else "clear" if min(chances) > EASILY_CHANCE else "near"
    limit = max(broken, default=min(bars))
    was = "" if before is None else f", {before:,.0f} ms in the baseline"
    said = f"The 95th percentile of latency on {day.day} was {value:,.0f} ms (limit {limit:,.0f} ms{was})."
    return level, "P3", value, limit, before, said


def volume(day: Day, base: Baselines, limits: Limits, alpha: float) -> Found:
    """Fewer calls came than half of what the weekday had in the baseline, and than days vary.

    Known queries are asked by a machine, so they are left out; baselines of before have them in.

    Counts of days vary more than Poisson's, by the baseline's dispersion phi, so that
    t = (x - m) / sqrt(phi m (1 + 1/w)) with the dispersion's degrees of freedom and w weeks behind the mean m
    (quasi-Poisson; McCullagh and Nelder, Generalized Linear Models, 1989).
    """
    apart = "production_dispersion" in base
    kind, came = ("production", day.calls - day.probes) if apart else ("calls", day.calls)
    mean, total, _ = base.get(f"{kind}_{day.day.isoweekday()}", (None, 0, None))
    dispersion, freedom, _ = base.get(f"{kind}_dispersion", (None, 0, None))
    said = f"{came} calls came on {day.day}" + (", known queries apart" if apart and day.probes else "")
    if not mean or not dispersion or not freedom:
        return "unknown", "P3", came, None, mean, f"{said}."
    weeks = round(total / mean)
    t = (came - mean) / sqrt(dispersion * mean * (1 + 1 / weeks))
    few = came < VOLUME_FACTOR * mean
    level: Level = "breach" if few and stdtr(freedom, t) < alpha else "near" if few else "clear"
    said += f"; the weekday had {mean:,.0f} in the baseline."
    return level, "P3", came, VOLUME_FACTOR * mean, mean, said


ONE_DAY = Hysteresis(open_after=1, close_after=2)


@dataclass(frozen=True)
class DailyRule:
    """A measure: how a day is read, what a breach points to and when an alert opens and closes."""

    read: Callable[[Day, Baselines, Limits, float], Found]
    cause: str
    hysteresis: Hysteresis = ONE_DAY
    whole_days: bool = False
    """True when a day that is not over says nothing yet."""


RULES: Mapping[str, DailyRule] = {
    "errors": DailyRule(errors, "errors"),
    "no_useful_outputs": DailyRule(no_useful_outputs, "errors"),
    "refusals": DailyRule(refusals, "refusals"),
    "latency_p95": DailyRule(latency_p95, "latency"),
    "volume": DailyRule(volume, "volume", Hysteresis(open_after=2), whole_days=True),
}


def daily_readings(
    days: Mapping[date, Day], base: Baselines, limits: Limits, now: datetime, told: Iterable[Reading] = ()
) -> dict[str, list[Reading]]:
    """Return the readings of each rule for every day from the first with calls to the present, in order.

    A day without calls is unknown. A day that is not over can break a limit but clear nothing. What it broke
    it has broken: who was called at one is told the same in the evening, however many calls went well since.

    Args:
        days: the days with calls.
        base: the frozen baseline; empty before there is one.
        limits: of the system's file.
        now: the system's present, UTC.
        told: readings of before; those of days that were not over then, and broke a limit, stay.
    """
    if not days:
        return {}
    broken = {
        (r.rule, r.start): r
        for r in told
        if r.level == "breach" and r.evidence.endswith(UNFINISHED) and r.end <= now
    }
    first, each = min(days), limits.alpha / 7 / len(RULES)
    shown = [first + timedelta(n) for n in range((now.date() - first).days + 1)]
    return {
        name: [
            reading
            for day in shown
            for reading in _read(
                name,
                rule,
                days.get(day, Day(day)),
                base,
                limits,
                each ** (1 / rule.hysteresis.open_after),
                now,
                broken.get((name, midnight(day))),
            )
        ]
        for name, rule in RULES.items()
    }


def _read(
    name: str,
    rule: DailyRule,
    day: Day,
    base: Baselines,
    limits: Limits,
    alpha: float,
    now: datetime,
    broken: Reading | None,
) -> Iterator[Reading]:
    start, end = midnight(day.day), midnight(day.day) + timedelta(days=1)
    over = end <= now
    if not day.calls:
        found: Found = ("unknown", "P3", None, None, None, f"No call was logged on {day.day}.")
    else:
        found = rule.read(day, base, limits, alpha if over else alpha / LOOKS)
    level, severity, value, limit, baseline, evidence = found
    if not over:
        few = rule.cause == "errors" and day.errors + day.blank < HITS_AT_LEAST
        level = "near" if few or rule.whole_days else level
        evidence = f"{evidence} This was read at {now:%H:%M} UTC, {UNFINISHED}"
    if broken and level != "breach":
        yield replace(broken, end=end if over else broken.end)
    elif over or level == "breach":
        yield Reading(
            name,
            start,
            min(end, now),
            level,
            rule.cause,
            severity,
            value,
            limit,
            baseline,
            day.calls,
            evidence,
        )


def _against_limit(hits: int, calls: int, limit: float, alpha: float) -> Level:
    if not _can_tell(calls, limit, alpha):
        return "unknown"
    if hits / calls > limit and chance_of_more(hits, calls, limit) < alpha:
        return "breach"
    return "clear" if hits / calls <= WELL_BELOW * limit else "near"


def _against_baseline(
    hits: int, calls: int, before: tuple[float | None, int, int | None], alpha: float
) -> Iterator[Level]:
    """Read a share against its baseline, if there is one."""
    share, calls_before, hits_before = before
    if share is None or hits_before is None:
        return
    all_hit = chance_of_more_than_before(calls, calls, hits_before, calls_before)
    if calls < HITS_AT_LEAST or all_hit >= alpha:
        yield "unknown"
        return
    chance = chance_of_more_than_before(hits, calls, hits_before, calls_before)
    beyond = chance < alpha and hits / calls > SHARE_FACTOR * share and hits >= HITS_AT_LEAST
    yield "breach" if beyond else "clear" if chance > EASILY_CHANCE else "near"


def _together(*levels: Level) -> Level:
    """Return the gravest of several readings of one figure; clear only if all that can tell say so."""
    told = [level for level in levels if level != "unknown"]
    return min(told, key=GRAVEST.index, default="unknown")


def _was(share: float | None) -> str:
    return "" if share is None else f", {share:.1%} in the baseline"


def _can_tell(calls: int, share: float, alpha: float) -> bool:
    """Say whether any outcome of so few calls would be beyond chance."""
    return chance_of_more(calls, calls, share) < alpha


def _p95(day: Day) -> float:
    place = int(np.searchsorted(np.cumsum(day.in_bucket), 0.95 * day.in_bucket.sum()))
    return value_of(int(day.buckets[place]))
