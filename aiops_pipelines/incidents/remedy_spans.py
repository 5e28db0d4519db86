"""The stretches of time that are held against each other before and after a remedy, in whole periods.

Which readings of the rule lie on which side is `remedy_proof`'s business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from aiops_pipelines.incidents.facts import Reading
from aiops_pipelines.periods import midnight, next_month
from aiops_pipelines.systems import monday


@dataclass(frozen=True)
class Span:
    """From a moment up to another, which is no part of it."""

    start: datetime
    end: datetime

    @property
    def days(self) -> list[date]:
        """Its days, in order."""
        return [self.start.date() + timedelta(days=n) for n in range((self.end - self.start).days)]

    @property
    def weeks(self) -> list[date]:
        """Mondays of its weeks, in order."""
        return [day for day in self.days if day == monday(day)]


def period_of(at: datetime, every: str) -> tuple[datetime, datetime]:
    """Return the day, week or month that a moment lies in; the moment itself of a rule without periods."""
    today = at.date()
    if every == "day":
        return midnight(today), midnight(today + timedelta(days=1))
    if every == "week":
        return midnight(monday(today)), midnight(monday(today) + timedelta(days=7))
    if every == "month":
        return midnight(today.replace(day=1)), midnight(next_month(today.replace(day=1)))
    return at, at


def first_from(at: datetime, every: str) -> datetime:
    """Return the start of the first whole period that begins at a moment or after it."""
    start, end = period_of(at, every)
    return at if start == at else end


def waits_until(every: str, at: datetime, now: datetime) -> datetime | None:
    """Return the end of the first whole period from a moment on that is not over; None without periods."""
    if not every:
        return None
    start = max(first_from(at, every), period_of(now, every)[0])
    return period_of(start, every)[1]


def span_before(broken: Sequence[Reading], at: datetime, every: str) -> tuple[Span, bool]:
    """Return what lies before a remedy, and whether it is only the period that raised the alarm.

    That period was picked for breaking the limit, so it is left out where whole ones follow it. Those count
    whether they broke the limit or not: to take the bad ones alone would be picking again. An index that is
    worse is what there is until the remedy, and stays.
    """
    first, end = broken[0], period_of(at, every)[0]
    if first.at is None and end > first.end:
        return Span(first.end, end), False
    return Span(first.start, first.end if every else end), True


def span_since(after: Sequence[Reading], at: datetime, until: datetime, every: str) -> Span:
    """Return what is held against it: all whole periods since, judged or not, up to a moment.

    Where the trouble went on it is the stretch in which it did: a later recovery is not to the credit of a
    remedy under which it first went on.
    """
    broken = [r for r in after if r.broken]
    if broken:
        return Span(broken[0].start, max(r.end for r in broken))
    start = first_from(at, every)
    return Span(start, max(period_of(until, every)[0], after[-1].end))
