"""Times as logs write them: ISO 8601, with names of months, and seconds to nanoseconds since 1970.

A time zone counts by its offset; of names only UTC and GMT do, since others stand for several.
"""

import re
from datetime import datetime, timedelta
from typing import Any

from aiops_pipelines.inference_log.otlp_spans import EPOCH
from aiops_pipelines.inference_log.record import RecordError, moment

STEPS = ((1e17, 1_000), (1e14, 1), (1e11, 0.001), (0.0, 0.000_001))
"""From what size on a number counts units of which so many are a microsecond: nano, micro, milli, seconds."""
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
_NAMED = re.compile(
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?"
    rf"(?:(\d\d?)[ -]({_MONTH})|({_MONTH})\s+(\d\d?))"
    r"(?:,?[ -](\d{4}),?)?\s+(?:at\s)?"
    r"(\d\d?):(\d\d)(?::(\d\d(?:\.\d+)?))?(?:\s?([ap])\.?m\.?)?"
    r"\s*([a-z]*)\s?([+-]\d\d:?\d\d)?(?:\s\(.*\))?(?:\s(\d{4}))?",
    re.IGNORECASE,
)
"""Day and month or month and day, year, clock, half of the day, zone, offset, or the year at the end."""
_ZONED = re.compile(r"([\d-]{10}[ T][\d:.]+) ?([+-]\d\d:?\d\d)? ?([A-Z]{3,5})")
"""As BigQuery and Go write a time: ISO 8601 with the zone's name after it."""


def clock_time(name: str, value: Any) -> datetime | None:
    """Return a time in UTC; nothing and blank text have none.

    Worked example: 1780315200, 1780315200000, "1780315200", "2026-06-01T12:00:00Z", "2026-06-01 12:00:00 UTC"
    and "Mon Jun 01 2026 14:00:00 GMT+0200" are the same moment.

    Raises:
        RecordError: it is no time between 2000 and 2100, or it cannot be told which.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        text = value.strip()
        if text.replace(".", "", 1).isdigit() and ":" not in text and "-" not in text:
            value = _number(name, text)
        elif text[:1].isalpha():
            return moment(name, _named(name, text))
        elif text[-1:].isupper() and text[-1] != "Z" and (zoned := _ZONED.fullmatch(text)):
            value = zoned[1] + _offset(name, zoned[3], zoned[2])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return moment(name, value)
    per_microsecond = next((per for start, per in STEPS if abs(value) >= start), 1.0)
    try:
        whole = (
            round(value / per_microsecond) if isinstance(per_microsecond, float) else value // per_microsecond
        )
        return moment(name, EPOCH + timedelta(microseconds=whole))
    except (OverflowError, ValueError) as error:
        raise RecordError(f"{name} is not a time since 1970.") from error


def _number(name: str, text: str) -> int | float:
    try:
        return float(text) if "." in text else int(text)
    except ValueError as error:  # of more digits than Python reads, or raised ones
        raise RecordError(f"{name} is not a time since 1970.") from error


def nanoseconds(name: str, value: Any) -> int | None:
    """Return a time as nanoseconds since 1970."""
    at = clock_time(name, value)
    return None if at is None else (at - EPOCH) // timedelta(microseconds=1) * 1_000


def _named(name: str, text: str) -> datetime:
    """Return a time with the name of a month: of HTTP, of JavaScript's Date and Intl, of `date`."""
    no_time = f"{name} is not a time such as 2026-06-01T12:00:00Z."
    if (found := _NAMED.fullmatch(text)) is None:
        raise RecordError(no_time)
    day, before, after, day_after, year, hour, minute, second, half, zone, offset, year_last = found.groups()
    month = MONTHS.index((before or after)[:3].lower()) + 1
    shift = _offset(name, zone, offset)
    try:
        hours = int(hour)
        if half and not 1 <= hours <= 12:
            raise RecordError(no_time)
        if half:
            hours = hours % 12 + 12 * (half in "pP")
        date = f"{year or year_last}-{month:02}-{int(day or day_after):02}"
        return datetime.fromisoformat(f"{date}T{hours:02}:{minute}:{second or '00'}{shift}")
    except ValueError as error:
        raise RecordError(no_time) from error


def _offset(name: str, zone: str, offset: str | None) -> str:
    if offset is None and zone.upper() not in ("", "Z", "UT", "UTC", "GMT"):
        raise RecordError(
            f"{name} names the time zone {zone[:20]}, which can mean several; write the offset, as in "
            "2026-06-01T12:00:00+02:00."
        )
    return offset or "+00:00"
