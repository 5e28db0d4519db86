"""The parts a page for people is made of: figures, tables, charts and sections, as plain data.

What they say is decided in the pillars, how they look in `resources.pages` and `resources.charts`.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from aiops_pipelines.wording import Kind

Tone = Literal["bad", "warn", "unknown", "plain", "good"]
TONES: tuple[Tone, ...] = ("bad", "warn", "unknown", "plain", "good")
"""From the worst to the best; what is unknown ranks above what is well."""


@dataclass(frozen=True)
class Figure:
    """One key figure; None means that it was not measured, and the note says why."""

    label: str
    value: Any
    kind: Kind = "text"
    note: str = ""


@dataclass(frozen=True)
class Column:
    """One column of a table and how its values are written."""

    label: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Table:
    """A small table of raw values, with the DuckDB table they are from."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    source: str = ""
    empty: str = "No rows."


@dataclass(frozen=True)
class Chart:
    """What a chart shows: its kind (a function of `resources.charts`), a sentence and its rows."""

    kind: str
    title: str
    sentence: str
    rows: tuple[dict[str, Any], ...]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Action:
    """Something to do now, and why."""

    what: str
    why: str
    tone: Tone = "warn"


@dataclass(frozen=True)
class Section:
    """A part of a review: what it means first, then figures (the first sums it up), charts and tables."""

    key: str
    title: str
    meaning: str
    tone: Tone
    figures: tuple[Figure, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    actions: tuple[Action, ...] = ()


def plain_data(value: Any) -> Any:
    """Return a value as JSON can hold it: money and times as text, tuples as lists.

    Raises:
        TypeError: the value is of a type that JSON has no agreed form for.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain_data(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(part) for part in value]
    raise TypeError(f"A {type(value).__name__} has no JSON form here.")
