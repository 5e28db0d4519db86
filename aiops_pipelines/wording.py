"""How figures are written for people: percentages, money, dates, and text that came from outside.

Values stay raw until here. What was not measured is said in words; it never turns into 0 or an empty cell.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

Kind = Literal[
    "text", "code", "count", "percent", "change", "score", "usd", "ms", "days", "day", "moment", "verdict"
]
UNMEASURED = "not measured"
MONTHS: tuple[str, ...] = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
)
MONTHS += ("October", "November", "December")
LEAST_USD = 0.0001
SPACE = "\u00a0"
MINUS = "\u2212"
_ACTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def inert(text: str) -> str:
    """Return the text with control, bidirectional and invisible characters spelled out: <U+202E>."""
    return _ACTIVE.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def count(number: float | Decimal) -> str:
    """Write a whole number with thousands separators: 5700 -> 5,700."""
    return _minus(f"{number:,.0f}")


def _minus(written: str) -> str:
    """Write a minus, or a plus, only before what is not written as zero."""
    return (
        written.replace("-", MINUS)
        if any(digit in written for digit in "123456789")
        else written.lstrip("+-")
    )


def percent(share: float, signed: bool = False) -> str:
    """Write a share as a percentage with one decimal: 0.0812 -> 8.1 %."""
    return _minus(f"{share:+,.1%}" if signed else f"{share:,.1%}").replace("%", f"{SPACE}%")


def usd(amount: float | Decimal, signed: bool = False) -> str:
    """Write an amount in US dollars to the cent, below 10 cents to a hundredth of a cent: 3.456 -> $3.46.

    Less than that is `under $0.0001`, and no change at all.
    """
    size = abs(float(amount))
    if 0 < size < LEAST_USD / 2:
        return "$0.00" if signed else f"under ${LEAST_USD}"
    digits = 4 if 0 < size < 0.1 else 2
    sign = MINUS if amount < 0 else "+" if signed and amount > 0 else ""
    return f"{sign}${abs(amount):,.{digits}f}"


def day(moment: date) -> str:
    """Write a date: 3 Aug 2026."""
    return f"{moment.day}{SPACE}{MONTHS[moment.month - 1][:3]}{SPACE}{moment.year}"


def moment(at: datetime) -> str:
    """Write a moment in UTC to the minute: 3 Aug 2026 14:05 UTC."""
    return f"{day(at)} {at:%H:%M}{SPACE}UTC"


def month(first: date) -> str:
    """Write a calendar month: August 2026."""
    return f"{MONTHS[first.month - 1]}{SPACE}{first.year}"


WRITTEN: dict[str, Callable[[Any], str]] = {
    "count": count,
    "percent": percent,
    "change": lambda share: percent(share, signed=True),
    "score": lambda score: f"{score:.3f}",
    "usd": usd,
    "ms": lambda ms: f"{count(ms)}{SPACE}ms",
    "days": lambda days: f"{days:.1f}{SPACE}days",
    "day": day,
    "moment": moment,
}


def show(value: Any, kind: Kind = "text") -> str:
    """Write a value of a kind; None reads `not measured`."""
    if value is None:
        return UNMEASURED
    if isinstance(value, str) and kind in ("day", "moment"):
        value = datetime.fromisoformat(value)
    if isinstance(value, str) and kind in ("usd", "percent", "change", "score", "count", "ms", "days"):
        value = Decimal(value)
    return WRITTEN[kind](value) if kind in WRITTEN else inert(str(value))


def listed(names: list[str]) -> str:
    """Join names as a sentence does: a, b and c."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def some(number: int, noun: str) -> str:
    """Write a number with its noun: 1 call, 2 calls."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"
