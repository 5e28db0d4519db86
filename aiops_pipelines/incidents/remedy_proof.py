"""Did a remedy hold: the whole periods judged since, and what got better against those before.

A before and an after prove no cause: what else changed is listed beside each verdict. What was done is
`remedies`, effects are `remedy_effects`, a verdict in words is `remedy_words`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from aiops_pipelines.drift.comparison import holm
from aiops_pipelines.incidents.facts import Reading
from aiops_pipelines.incidents.lifecycle import signals_of
from aiops_pipelines.incidents.remedy_effects import Effect
from aiops_pipelines.incidents.remedy_spans import Span, period_of, span_before, span_since, waits_until
from aiops_pipelines.incidents.remedy_words import BETTER, CANNOT_TELL, HELD, NOT_HELD, Said, reason, shown
from aiops_pipelines.incidents.rules import RULES
from aiops_pipelines.monitoring.daily_alerts import RULES as DAILY
from aiops_pipelines.rag.comparisons import ALPHA
from aiops_pipelines.systems import Limits
from aiops_pipelines.wording import day, inert

TIME = pl.Datetime("us", "UTC")
INSTANT = timedelta(microseconds=1)
PROOFS = pl.Schema(
    {
        **dict.fromkeys(("system", "incident_id", "remedy_id", "signal", "subject"), pl.String()),
        "remedied_at": TIME,
        **dict.fromkeys(("periods_before", "periods_after", "periods_broken"), pl.Int64()),
        **dict.fromkeys(("value_before", "value_after", "limit_value"), pl.Float64()),
        **dict.fromkeys(("effect", "effect_low", "effect_high"), pl.Float64()),
        "effect_unit": pl.String(),
        **dict.fromkeys(("p_value", "p_adjusted"), pl.Float64()),
        **dict.fromkeys(("judged_until", "waits_until"), TIME),
        **dict.fromkeys(("verdict", "reason"), pl.String()),
        "also_changed": pl.List(pl.String()),
    }
)
Row = Mapping[str, Any]
EffectOf = Callable[[str, str, Span, Span], Effect | str]
"""Signal, subject, what lies before and since to the effect, or why there is none."""


@dataclass(frozen=True)
class Known:
    """What is known of one system at `now`; frames have the columns of the tables of their names.

    `readings` are what `rules.readings` gives, `changes` is drift.change_events.
    """

    now: datetime
    limits: Limits
    incidents: pl.DataFrame
    remedies: pl.DataFrame
    signals: pl.DataFrame
    readings: Sequence[tuple[str, Reading]]
    changes: pl.DataFrame = field(default_factory=pl.DataFrame)


@dataclass(frozen=True)
class Stretch:
    """The time that one remedy is judged by: from the one before it, or the beginning, to the next one."""

    incident: Row
    remedy: Row
    since: datetime
    until: datetime
    signals: pl.DataFrame
    """Of the incident."""

    def periods(self, found: Sequence[Reading]) -> tuple[list[Reading], list[Reading], datetime]:
        """Return the whole periods before the remedy that broke the limit, those judged since, and the end.

        A period that straddles the remedy, or the next one, is in neither. What was broken before the remedy
        before stands in where nothing was since that. Once a period was calm, one that another incident is
        made of ends the stretch: it is that one's.
        """
        at, began = self.remedy["at"], self.incident["began_at"]
        broken = [r for r in found if r.broken and began <= r.start and r.end <= at]
        after: list[Reading] = []
        until = self.until
        for r in found:
            if r.start >= at and r.end <= until:
                if r.broken and not self._own(r) and not all(one.broken for one in after):
                    until = r.start
                    break
                after.append(r)
        return [r for r in broken if r.start >= self.since] or broken, after, until

    def _own(self, r: Reading) -> bool:
        start, end = pl.col("period_start"), pl.col("period_end")
        covers = (start == r.start) | ((start < r.start) & (end > r.start))
        return not self.signals.filter(covers, subject=r.subject, cause=r.cause).is_empty()

    def also_changed(self, known: Known, until: datetime) -> list[str]:
        """Say what else changed from the incident's first signal to a moment: versions, other remedies."""
        start = self.incident["began_at"]
        changes = known.changes
        if changes.width:
            between = pl.col("occurred_at").is_between(start, until, closed="left")
            columns = ["what", "before", "after"]
            changes = changes.filter(between).group_by(columns).agg(pl.col("occurred_at").min())
            changes = changes.sort("occurred_at", *columns)
        said = [
            inert(
                f"{row['what'].replace('_', ' ')} {row['before']} to {row['after']} "
                f"({day(row['occurred_at'])})"
            )
            for row in changes.rows(named=True)
        ]
        others = known.remedies.filter(
            pl.col("remedy_id") != self.remedy["remedy_id"],
            pl.col("at").is_between(start, until, closed="left"),
        ).sort("at", "remedy_id")
        return said + [
            f"remedy {row['remedy_id']} of {row['incident_id']} ({day(row['at'])})"
            for row in others.rows(named=True)
        ]


@dataclass(frozen=True)
class Compared:
    """A limit before and after a remedy; `effect` is a sentence where none can be computed."""

    signal: str
    subject: str
    before: Sequence[Reading]
    after: Sequence[Reading]
    effect: Effect | str
    p_value: float | None
    every: str
    alone: bool = False
    """Whether the period that raised the alarm is all there is before."""

    @property
    def broken(self) -> list[Reading]:
        """The periods since that break the limit."""
        return [r for r in self.after if r.broken]

    @property
    def since(self) -> Sequence[Reading]:
        """The periods whose figure is told: those that still break the limit, where there are such."""
        return self.broken or self.after


def verdict(row: Row) -> str:
    """Return held, better, not back, not held or CANNOT TELL by the other figures of a row."""
    if not row["periods_after"]:
        return CANNOT_TELL
    if row["periods_broken"]:
        return BETTER if shown(row) else NOT_HELD
    return HELD if row["effect"] is None or shown(row) else CANNOT_TELL


def proofs(system: str, known: Known, effect_of: EffectOf) -> pl.DataFrame:
    """Return incidents.remedy_proofs of a system: a row for each remedy and limit that its incident broke.

    held: every whole period judged since is calm, and the effect, where one can be computed, is shown: its 95
    % interval lies on the better side and its p stays below 5 % after Holm's correction over the limits of
    the remedy. better, not back: a period since breaks the limit, and those that do are shown to be better
    than those before. not held: one does, and none is shown. CANNOT TELL: no whole period was judged since,
    or it is calm and the effect's interval includes none: it may have passed by itself.
    """
    rows = [row for stretch in _stretches(known) for row in _judged(system, stretch, known, effect_of)]
    return pl.DataFrame(rows, schema=PROOFS)


def _stretches(known: Known) -> Iterator[Stretch]:
    for incident in known.incidents.rows(named=True):
        remedies = known.remedies.filter(incident_id=incident["incident_id"]).sort("at", "recorded_at")
        times = sorted({*remedies["at"]})
        own = signals_of(incident["incident_id"], known.signals)
        for remedy in remedies.rows(named=True):
            place = times.index(remedy["at"])
            since = times[place - 1] if place else incident["began_at"]
            until = times[place + 1] if place + 1 < len(times) else known.now
            yield Stretch(incident, remedy, since, until, own)


def _judged(system: str, stretch: Stretch, known: Known, effect_of: EffectOf) -> Iterator[dict[str, Any]]:
    """Yield the rows of one remedy."""
    broke = stretch.signals.filter(pl.col("period_start") < stretch.until)
    limits = broke.select("signal", "subject").unique().sort("signal", "subject").rows()
    compared = [_compared(signal, subject, stretch, known, effect_of) for signal, subject in limits]
    tested = [one.p_value for one in compared if one.p_value is not None]
    adjusted = iter(holm(tested))
    for one in compared or [Compared("", "", (), (), "", None, "")]:
        p_adjusted = None if one.p_value is None else next(adjusted)
        yield _row(system, stretch, known, one, p_adjusted, len(tested))


def _compared(signal: str, subject: str, stretch: Stretch, known: Known, effect_of: EffectOf) -> Compared:
    every = _every(signal, subject)
    found_of = [_as_it_happened(r) for name, r in known.readings if name == signal and r.subject == subject]
    mine = sorted((r for r in found_of if _whole(r, every)), key=lambda r: r.start)
    before, after, until = stretch.periods(mine)
    found = Compared(signal, subject, before, after, "", None, every)
    if not after:
        return found
    if not before:
        return Compared(
            signal, subject, before, after, "no whole period before it broke the limit", None, every
        )
    at = stretch.remedy["at"]
    span, alone = span_before(before, at, every)
    effect = effect_of(signal, subject, span, span_since(after, at, until, every))
    p = None
    if isinstance(effect, Effect):
        figures = *_against_the_same(found), before[0].limit
        picked = effect.picked_from(*figures, _level(signal, known.limits)) if alone else float("-inf")
        p = effect.chance(picked)
    return Compared(signal, subject, before, after, effect, p, every, alone)


def _every(signal: str, subject: str) -> str:
    """Return how long the whole periods of a limit are; burn rates are read every five minutes."""
    if signal not in RULES or (signal == "service_alert" and subject not in DAILY):
        return ""
    return RULES[signal].every


def _whole(r: Reading, every: str) -> bool:
    """Say whether a day is over: one that breaks its limit is told at once, and may end within it."""
    return every != "day" or r.end == period_of(r.start, every)[1]


def _as_it_happened(r: Reading) -> Reading:
    """Return a reading by its own moment: a new index is what a remedy makes, in the middle of a week."""
    return r if r.at is None else replace(r, start=r.at, end=r.at + INSTANT)


def _against_the_same(found: Compared) -> tuple[float | None, float | None]:
    """Return the rule's figures before and since, held against one and the same thing.

    A new index is held against the one before it, so its figures add up, nearly: a drop of 0.1 and then one
    of -0.1 make 0.1 and 0 against the index before both.
    """
    first, last = found.before[0], found.since[-1]
    if first.at is None:
        return first.value, _mean(found.since)
    was = sum(r.value or 0.0 for r in found.before)
    return was, was + sum(r.value or 0.0 for r in found.after if r.start <= last.start)


def _level(signal: str, limits: Limits) -> float:
    """Return the chance at which a rule takes a stable period for a breach; 0.5 if it goes by its limit."""
    levels = {
        "quality_degraded": limits.alpha,
        "service_alert": limits.alpha / 7 / len(DAILY),
        "retrieval_worse": ALPHA,
    }
    return levels.get(signal, 0.5)


def _mean(periods: Sequence[Reading]) -> float | None:
    values = [r.value for r in periods if r.value is not None]
    return sum(values) / len(values) if values else None


def _row(
    system: str, stretch: Stretch, known: Known, one: Compared, p_adjusted: float | None, tests: int
) -> dict[str, Any]:
    judged_until = max((r.end for r in one.after), default=None)
    cut_short = stretch.until < known.now
    settled = bool(one.after) or cut_short
    waits = None if settled else waits_until(one.every, stretch.remedy["at"], known.now)
    also = stretch.also_changed(known, judged_until or stretch.until)
    effect = one.effect if isinstance(one.effect, Effect) else None
    limit = next((r.limit for r in reversed([*one.before, *one.after]) if r.limit is not None), None)
    row = {
        "system": system,
        "incident_id": stretch.incident["incident_id"],
        "remedy_id": stretch.remedy["remedy_id"],
        "signal": one.signal,
        "subject": one.subject,
        "remedied_at": stretch.remedy["at"],
        "periods_before": len(one.before),
        "periods_after": len(one.after),
        "periods_broken": len(one.broken),
        "value_before": _mean(one.before),
        "value_after": _mean(one.since),
        "limit_value": limit,
        "effect": effect and effect.value,
        "effect_low": effect and effect.low,
        "effect_high": effect and effect.high,
        "effect_unit": effect and effect.unit,
        "p_value": one.p_value,
        "p_adjusted": p_adjusted,
        "judged_until": judged_until,
        "waits_until": waits,
        "also_changed": also,
    }
    row["verdict"] = verdict(row)
    no_effect = one.effect if isinstance(one.effect, str) else ""
    said = Said(one.every, no_effect, tests, cut_short, one.alone)
    return row | {"reason": reason(row, said)}
