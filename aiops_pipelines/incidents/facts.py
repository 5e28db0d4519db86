"""What rules read and find: the facts of one system, and a reading for each period that could be judged.

The limits are judged in `rules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from aiops_pipelines.periods import midnight

Row = Mapping[str, Any]


def _no_rows() -> pl.DataFrame:
    return pl.DataFrame()


@dataclass(frozen=True)
class Facts:
    """What is known of one system at `now` (UTC-aware); frames have the columns of the tables of their names.

    `call_times` has occurred_at of every call. A frame that does not exist yet is left out.
    """

    system: str
    now: datetime
    drift_verdicts: pl.DataFrame = field(default_factory=_no_rows)
    drift_causes: pl.DataFrame = field(default_factory=_no_rows)
    index_freshness: pl.DataFrame = field(default_factory=_no_rows)
    retrieval_changes: pl.DataFrame = field(default_factory=_no_rows)
    document_findings: pl.DataFrame = field(default_factory=_no_rows)
    spend_growth_since_baseline: pl.DataFrame = field(default_factory=_no_rows)
    alert_readings: pl.DataFrame = field(default_factory=_no_rows)
    spend_anomalies: pl.DataFrame = field(default_factory=_no_rows)
    daily_pricing: pl.DataFrame = field(default_factory=_no_rows)
    daily_traffic: pl.DataFrame = field(default_factory=_no_rows)
    guardrail_readings: pl.DataFrame = field(default_factory=_no_rows)
    guardrail_acts: pl.DataFrame = field(default_factory=_no_rows)
    adversarial_results: pl.DataFrame = field(default_factory=_no_rows)
    audit_verifications: pl.DataFrame = field(default_factory=_no_rows)
    source_days: pl.DataFrame = field(default_factory=_no_rows)
    invoice_checks: pl.DataFrame = field(default_factory=_no_rows)
    call_times: pl.DataFrame = field(default_factory=_no_rows)


@dataclass(frozen=True)
class Reading:
    """What a rule found for one period: whether its limit was broken, and by what."""

    start: datetime
    end: datetime
    broken: bool
    cause: str
    severity: str
    value: float | None
    limit: float | None
    evidence: str
    subject: str = ""
    at: datetime | None = None
    """When it happened, where the period is only the week that it falls in."""


def week_of(monday: date) -> tuple[datetime, datetime]:
    """Return the first moment of a week and the first after it."""
    return midnight(monday), midnight(monday) + timedelta(days=7)


def day_of(row: Row) -> tuple[datetime, datetime]:
    """Return the first moment of a row's day and the first after it."""
    return midnight(row["day"]), midnight(row["day"]) + timedelta(days=1)


def days(facts: Facts) -> list[Row]:
    """Return the days with calls, in order; a day without calls is silence's business."""
    rows = facts.daily_traffic.rows(named=True)
    return sorted((row for row in rows if row["calls"]), key=lambda row: row["day"])
