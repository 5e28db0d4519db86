"""By when a regime asks for a notice: the deadlines as data, and how their periods are counted.

Where two readings are possible the earlier one is taken, so that who keeps it is in time by both: hours run
from the minute they start in, and no deadline is moved by a weekend or a holiday. Not legal advice.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import Field, model_validator

from aiops_pipelines.incidents.settings import Regime
from aiops_pipelines.part import Part

NOT_REPORTABLE = "not_reportable"
"""Classification of an incident that a regime asks no notice for."""
NOT_ADVICE = (
    "Not legal advice: deadlines are counted from facts that were read in secondary sources, and no weekend "
    "or holiday moves one."
)


class Deadline(Part):
    """By when one notice is due: so many hours, days or months after something."""

    regime: Regime
    notice: str
    after: str
    hours: int | None = Field(default=None, gt=0)
    days: int | None = Field(default=None, gt=0)
    months: int | None = Field(default=None, gt=0)
    kinds: tuple[str, ...] = ()
    article: str
    fact: str

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if [self.hours, self.days, self.months].count(None) != 2:
            raise ValueError("give one of hours, days and months")
        return self

    def ends(self, start: datetime, zone: ZoneInfo) -> datetime:
        """Return the first moment that is too late, UTC.

        Days and months by Regulation 1182/71, article 3(1) and 3(2): the day of the start is not counted, the
        last day counts to its end, a month ends on the same date or on the last day of a shorter month. From
        2 August 14:00, 15 days end with 17 August; from 31 January, a month ends with 28 or 29 February.

        Args:
            start: UTC-aware.
            zone: where the days are counted.
        """
        if self.hours is not None:
            return start.astimezone(UTC) + timedelta(hours=self.hours)
        first = start.astimezone(zone).date()
        last = first + timedelta(days=self.days or 0) if self.days else months_later(first, self.months or 0)
        return datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC)


class Regulated(Part):
    """A regime: what it is called, and what an incident can be under it."""

    title: str
    kinds: tuple[str, ...]


def months_later(day: date, months: int) -> date:
    """Return the same date some months later, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@cache
def _content() -> dict[str, Any]:
    text = files(__package__).joinpath("legal_deadlines.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


@cache
def regimes() -> dict[str, Regulated]:
    """Return the regimes by their key in a system's file."""
    return {name: Regulated.model_validate(row) for name, row in _content()["regimes"].items()}


@cache
def deadlines() -> tuple[Deadline, ...]:
    """Return all deadlines."""
    return tuple(Deadline.model_validate(row) for row in _content()["deadlines"])


def notices(regime: str) -> list[str]:
    """Return the notices that a regime asks for, in their order: initial, intermediate, final."""
    return list(dict.fromkeys(one.notice for one in deadlines() if one.regime == regime))
