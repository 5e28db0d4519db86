"""What a weekly review is made from: the frames of one system, and what can be asked of them.

A frame may hold later weeks; the review never sees them. A frame that does not exist yet is an empty one.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from aiops_pipelines.periods import midnight
from aiops_pipelines.systems import System

WEEKS_SHOWN = 26
Row = dict[str, Any]


def _none() -> pl.DataFrame:
    return pl.DataFrame()


@dataclass(frozen=True)
class ReviewInputs:
    """Frames of one system; columns as in the tables of the same names.

    `verdicts` is drift_verdicts, `hallucinations` hallucination_rates,
    `causes` drift_causes, `growth` spend_growth_since_baseline, `month`
    month_forecast, `anomalies` spend_anomalies, `freshness` index_freshness, `retrieval`
    retrieval_quality, `rankers` retrieval_comparisons, `changes` retrieval_changes, `slices`
    retrieval_slices, `verifications` audit_verifications, `spend` weekly_spend, `pricing` daily_pricing,
    `guarded` guardrail_readings, `attacks` adversarial_results, `invoices` invoice_checks,
    `blocks` guardrail_weekly, `traffic` weekly_traffic, `masked` pii_weekly and `percentiles`
    latency_percentiles.
    """

    system: System
    week: date
    now: datetime
    verdicts: pl.DataFrame = field(default_factory=_none)
    causes: pl.DataFrame = field(default_factory=_none)
    hallucinations: pl.DataFrame = field(default_factory=_none)
    baselines: pl.DataFrame = field(default_factory=_none)
    spend: pl.DataFrame = field(default_factory=_none)
    pricing: pl.DataFrame = field(default_factory=_none)
    growth: pl.DataFrame = field(default_factory=_none)
    month: pl.DataFrame = field(default_factory=_none)
    anomalies: pl.DataFrame = field(default_factory=_none)
    freshness: pl.DataFrame = field(default_factory=_none)
    retrieval: pl.DataFrame = field(default_factory=_none)
    rankers: pl.DataFrame = field(default_factory=_none)
    changes: pl.DataFrame = field(default_factory=_none)
    slices: pl.DataFrame = field(default_factory=_none)
    incidents: pl.DataFrame = field(default_factory=_none)
    legal_clocks: pl.DataFrame = field(default_factory=_none)
    remedies: pl.DataFrame = field(default_factory=_none)
    remedy_proofs: pl.DataFrame = field(default_factory=_none)
    blocks: pl.DataFrame = field(default_factory=_none)
    guarded: pl.DataFrame = field(default_factory=_none)
    attacks: pl.DataFrame = field(default_factory=_none)
    invoices: pl.DataFrame = field(default_factory=_none)
    traffic: pl.DataFrame = field(default_factory=_none)
    masked: pl.DataFrame = field(default_factory=_none)
    verifications: pl.DataFrame = field(default_factory=_none)
    alerts: pl.DataFrame = field(default_factory=_none)
    percentiles: pl.DataFrame = field(default_factory=_none)

    @property
    def start(self) -> datetime:
        """First moment of the week, UTC."""
        return midnight(self.week)

    @property
    def end(self) -> datetime:
        """First moment after the week, UTC."""
        return midnight(self.week + timedelta(days=7))

    def rows(self, name: str) -> list[Row]:
        """Return a frame's rows up to the end of the week.

        Raises:
            ValueError: the frame holds rows of another system.
        """
        frame: pl.DataFrame = getattr(self, name)
        rows = list(frame.iter_rows(named=True))
        strangers = sorted({str(row["system"]) for row in rows if row.get("system") != self.system.name})
        if strangers:
            raise ValueError(
                f"The frame {name!r} holds rows of {strangers}; give rows of {self.system.name!r} only."
            )
        return [row for row in rows if row.get("week") is None or row["week"] <= self.week]

    def this_week(self, name: str) -> list[Row]:
        """Return a frame's rows of the week."""
        return [row for row in self.rows(name) if row["week"] == self.week]

    def weeks(self) -> list[date]:
        """Return every Monday from the first week anything is known of to this week, 26 at most."""
        weekly = ("traffic", "verdicts", "spend", "freshness")
        first = min((row["week"] for name in weekly for row in self.rows(name)), default=self.week)
        shown = min((self.week - first).days // 7 + 1, WEEKS_SHOWN)
        return [self.week - timedelta(days=7 * ago) for ago in reversed(range(shown))]

    def heard(self) -> set[date]:
        """Return the Mondays of the weeks with at least one logged call."""
        return {row["week"] for row in self.rows("traffic") if row["calls"]}

    def baseline_weeks(self) -> set[date]:
        """Return the Mondays the frozen baseline was taken from."""
        spans = {(row["first_week"], row["last_week"]) for row in self.rows("baselines")}
        return {week for week in self.weeks() for first, last in spans if first <= week <= last}
