"""Response clocks: by when an incident is acknowledged, mitigated and resolved, and when to escalate.

Working hours are those of the calendar's own time zone, each day converted to UTC by itself, so that they
stay where people work when summer time begins. Legal clocks are `legal_clocks`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Step = Literal["acknowledge", "mitigate", "resolve"]
ClockResult = Literal["met", "missed", "running", "no clock"]
Window = tuple[datetime, datetime]
ESCALATE_AT = 0.8
"""Share of a clock that may pass before the next person is told."""
LONGEST_YEARS = 10
FOREVER = datetime.max.replace(tzinfo=UTC)


class ClockError(ValueError):
    """A clock cannot run; the message says what to change."""


@dataclass(frozen=True)
class BusinessCalendar:
    """Working hours in a time zone; holidays are dates there."""

    time_zone: str = "UTC"
    opens: time = time(9)
    closes: time = time(17)
    holidays: frozenset[date] = frozenset()
    weekdays: frozenset[int] = frozenset(range(5))
    """0 is Monday."""

    @property
    def day(self) -> timedelta:
        """Length of a business day: 8 hours from 09:00 to 17:00."""
        return datetime.combine(date.min, self.closes) - datetime.combine(date.min, self.opens)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone's rules.

        Raises:
            ClockError: there is no such time zone.
        """
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ClockError(
                f"There is no time zone {self.time_zone!r}; write one like Europe/Berlin."
            ) from error

    def windows(self, start: datetime) -> Iterator[Window]:
        """Yield the stretches of working time after `start`, in UTC, for ten years at most."""
        first = start.astimezone(self.zone).date()
        for offset in range(LONGEST_YEARS * 366):
            day = first + timedelta(days=offset)
            if day.weekday() in self.weekdays and day not in self.holidays:
                opens, closes = (
                    datetime.combine(day, at, self.zone).astimezone(UTC) for at in (self.opens, self.closes)
                )
                if closes > start:
                    yield max(opens, start.astimezone(UTC)), closes


UTC_WEEK = BusinessCalendar()


@dataclass(frozen=True)
class Pause:
    """A stretch in which clocks stand still, and why."""

    start: datetime
    end: datetime
    reason: str

    def __post_init__(self) -> None:
        """Refuse a pause without a reason, or one that ends before it starts."""
        if not self.reason.strip():
            raise ClockError("A clock is paused only with a reason; say what is waited for.")
        if self.end < self.start:
            raise ClockError(
                f"A pause that starts at {self.start} cannot end at {self.end}; correct its times."
            )


@dataclass(frozen=True)
class Clock:
    """By when a step is due, and when to escalate if it has not been taken; both UTC."""

    step: Step
    due_at: datetime
    escalate_at: datetime


def clocks(
    severity: str, started_at: datetime, calendar: BusinessCalendar = UTC_WEEK, pauses: Sequence[Pause] = ()
) -> tuple[Clock, Clock, Clock]:
    """Return the three clocks of an incident: acknowledge, mitigate, resolve.

    P1 runs day and night: 15 minutes, 1 hour, 8 hours. P2 runs in business hours: 1 hour, 8 hours, 3 business
    days; P3: 1, 5 and 10 business days. A business day is as long as the calendar's working hours, so a P2
    of Friday 16:30 is due for acknowledgement on Monday at 09:30.

    Raises:
        ClockError: the severity is not P1, P2 or P3, or the calendar has no working time left.
    """
    hour, day = timedelta(hours=1), calendar.day
    allowed = {
        "P1": (hour / 4, hour, 8 * hour),
        "P2": (hour, 8 * hour, 3 * day),
        "P3": (day, 5 * day, 10 * day),
    }.get(severity)
    if allowed is None:
        raise ClockError(f"There is no clock for severity {severity!r}; use P1, P2 or P3.")
    hours = None if severity == "P1" else calendar

    def clock(step: Step, time_allowed: timedelta) -> Clock:
        ends = (due_at(started_at, time_allowed * share, hours, pauses) for share in (1, ESCALATE_AT))
        return Clock(step, *ends)

    acknowledge, mitigate, resolve = allowed
    return clock("acknowledge", acknowledge), clock("mitigate", mitigate), clock("resolve", resolve)


def due_at(
    start: datetime, allowed: timedelta, calendar: BusinessCalendar | None, pauses: Sequence[Pause] = ()
) -> datetime:
    """Return when the allowed time has passed, in UTC; without a calendar the clock never rests.

    Raises:
        ClockError: the calendar has no working time left within ten years.
    """
    windows = calendar.windows(start) if calendar else iter([(start.astimezone(UTC), FOREVER)])
    left = allowed
    for opens, closes in _running(windows, sorted(pauses, key=lambda pause: pause.start)):
        if left <= closes - opens:
            return opens + left
        left -= closes - opens
    raise ClockError("The calendar has no working time left; check its weekdays and holidays.")


def _running(windows: Iterator[Window], pauses: Sequence[Pause]) -> Iterator[Window]:
    """Cut the pauses, in order of their start, out of the windows."""
    for opens, closes in windows:
        for pause in pauses:
            if pause.start < closes and pause.end > opens:
                if pause.start > opens:
                    yield opens, pause.start
                opens = min(pause.end, closes)
        if opens < closes:
            yield opens, closes


def clock_result(due: datetime | None, done: datetime | None, as_at: datetime) -> ClockResult:
    """Judge one clock at a moment; what was done later counts as not yet done.

    Due 10:00, done 09:00, seen from 12:00: met. Not done: missed. Seen from 08:00: running.
    """
    if due is None:
        return "no clock"
    if done is not None and done <= as_at:
        return "met" if done <= due else "missed"
    return "missed" if due <= as_at else "running"
