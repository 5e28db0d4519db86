"""Times as logs write them: ISO 8601, HTTP dates, and seconds to nanoseconds since 1970."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from aiops_pipelines.inference_log.otlp_spans import EPOCH
from aiops_pipelines.inference_log.record import RecordError, moment

STEPS = ((1e17, 1_000), (1e14, 1), (1e11, 0.001), (0.0, 0.000_001))
"""From what size on a number counts units of which so many are a microsecond: nano, micro, milli, seconds."""


def clock_time(name: str, value: Any) -> datetime | None:
    """Return a time in UTC; nothing and blank text have none.

    Worked example: 1780315200, 1780315200000, "1780315200" and "2026-06-01T12:00:00Z" are the same moment.

    Raises:
        RecordError: it is no time between 2000 and 2100.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        text = value.strip()
        if text.replace(".", "", 1).isdigit() and ":" not in text and "-" not in text:
            value = _number(name, text)
        elif text[:1].isalpha():
            return moment(name, _http_date(name, text))
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


def _http_date(name: str, text: str) -> datetime:
    try:
        found = parsedate_to_datetime(text)
    except ValueError as error:
        raise RecordError(f"{name} is not a time such as 2026-06-01T12:00:00Z.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
