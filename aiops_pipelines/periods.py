"""Which weeks and months of a system are closed, and so can be judged.

A week runs from Monday 00:00 UTC to the next Monday 00:00 UTC, a month is a calendar month in UTC.
"""

from datetime import UTC, date, datetime, time, timedelta

from aiops_pipelines.systems import System, monday

EPOCH = date(2024, 1, 1)
"""First day of all partitions: a Monday and a first of the month, so weeks and months both start there."""


def midnight(day: date) -> datetime:
    """Return the first moment of a day in UTC."""
    return datetime.combine(day, time(), UTC)


def next_month(month: date) -> date:
    """Return the first day of the following month: 2026-12-01 -> 2027-01-01."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def closed_months(first: datetime, now: datetime) -> list[date]:
    """Return the first days of the months from `first` on that are over at `now`."""
    months, month = [], first.date().replace(day=1)
    while midnight(next_month(month)) <= now:
        months.append(month)
        month = next_month(month)
    return months


def closed_weeks(first: datetime, now: datetime) -> list[date]:
    """Return the Mondays of the weeks from `first` on that are over at `now`."""
    weeks, week = [], monday(first)
    while midnight(week + timedelta(days=7)) <= now:
        weeks.append(week)
        week += timedelta(days=7)
    return weeks


def judged_weeks(system: System, first: datetime, clock: datetime) -> list[date]:
    """Return the weeks whose weekly work is due.

    A `light` system is reviewed once a month: its weeks wait until the month they end in is over.
    """
    now = system.now(clock)
    if system.profile == "light":
        months = closed_months(first, now)
        now = midnight(next_month(months[-1])) if months else first
    return closed_weeks(first, now)


def longest_wait(system: System) -> timedelta:
    """Return how long after its end a week can come to be due."""
    return timedelta(days=31 if system.profile == "light" else 0)


def judged_months(system: System, first: datetime, clock: datetime) -> list[date]:
    """Return the months whose monthly work is due."""
    return closed_months(first, system.now(clock))
