"""What was stored about a month after its report was: why published figures have changed.

Each source of change is a sentence. Which sources can move a figure is read off the tables of its SQL, so a
figure that moved although nothing arrived is said to be unexplained.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import polars as pl

from aiops_pipelines.compliance.figures import Figure
from aiops_pipelines.compliance.month_evidence import MonthEvidence
from aiops_pipelines.wording import day, inert, listed, moment, some

Source = Literal["calls", "gone", "feedback", "prices", "weeks", "incidents", "decisions"]
DERIVED: Mapping[str, tuple[Source, ...]] = {
    "inference_log.inferences": ("calls", "gone"),
    "inference_log.source_days": ("calls", "gone"),
    "costs.invoice_checks": ("calls", "gone", "prices", "decisions"),
    "costs.call_costs": ("calls", "gone", "prices"),
    "monitoring.user_signals": ("calls", "gone", "feedback"),
    "drift.drift_verdicts": ("weeks",),
    "drift.drift_causes": ("weeks",),
    "monitoring.hallucination_rates": ("weeks",),
    "drift.change_events": ("calls", "gone"),
    "compliance.audit_verifications": ("weeks",),
    "compliance.guardrail_readings": ("weeks",),
    "compliance.adversarial_results": ("weeks",),
    "compliance.audit_log": ("calls", "decisions"),
    "compliance.text_deletions": ("decisions",),
    "compliance.erasures": ("decisions",),
    "compliance.legal_holds": ("decisions",),
    "incidents.incidents": ("calls", "prices", "weeks", "incidents"),
    "incidents.legal_clocks": ("incidents",),
    "incidents.remedies": ("incidents",),
}
"""Which sources the rows of a table come from."""
NAMES: Mapping[Source, str] = {
    "calls": "late calls",
    "gone": "calls that are gone",
    "feedback": "late feedback",
    "prices": "price edits",
    "weeks": "weeks judged again",
    "incidents": "what was done with incidents",
    "decisions": "late decisions",
}
UNEXPLAINED = "nothing that was stored since explains it"
FILES_NAMED = 3


@dataclass(frozen=True)
class Stored:
    """Frames of one system whose rows say when they were stored, columns as in the tables of the same names.

    `calls` are inference_log.inferences, `prices` costs.price_edits, `weeks` the weekly rows of
    operations.completed_periods, `events` incident_id and at of incident_events, legal_events and remedies.
    """

    calls: pl.DataFrame
    feedback: pl.DataFrame
    prices: pl.DataFrame
    weeks: pl.DataFrame
    events: pl.DataFrame


def arrivals(
    e: MonthEvidence, stored: Stored, since: datetime, before: Mapping[str, Any]
) -> dict[Source, str]:
    """Return what was stored about the month after a moment, a sentence for each source that has something.

    Args:
        e: the month's evidence as it is now.
        stored: the frames with their times.
        since: when the last edition was made, UTC.
        before: the figures of that edition, as JSON holds them.
    """
    calls = stored.calls.filter(pl.col("occurred_at").is_between(e.start, e.end, closed="left"))
    found: dict[Source, str] = {
        "calls": _late_calls(calls.filter(pl.col("ingested_at") > since)),
        "gone": _gone(
            calls.filter(pl.col("ingested_at") <= since).height, before.get("record.inferences") or 0
        ),
        "feedback": _late_feedback(stored.feedback.filter(pl.col("ingested_at") > since), calls),
        "prices": _prices(stored.prices.filter(pl.col("noticed_at") > since)),
        "weeks": _weeks(e, stored.weeks.filter(pl.col("completed_at") > since)),
        "incidents": _incidents(stored.events.filter(pl.col("at") > since)),
        "decisions": _decisions(e, before.get("integrity.tree_size") or 0),
    }
    return {source: sentence for source, sentence in found.items() if sentence}


def why(figure: Figure, found: Mapping[Source, str]) -> str:
    """Name the sources that have something and can move a figure: late calls and price edits."""
    able = {source for table, sources in DERIVED.items() if table in figure.sql for source in sources}
    return listed([NAMES[source] for source in found if source in able]) or UNEXPLAINED


def _late_calls(late: pl.DataFrame) -> str:
    if late.is_empty():
        return ""
    first, last = late["ingested_at"].min(), late["ingested_at"].max()
    span = f"on {moment(first)}" if first == last else f"between {moment(first)} and {moment(last)}"  # type: ignore[arg-type]
    behind: timedelta = (late["ingested_at"] - late["occurred_at"]).max()  # type: ignore[assignment]
    files = sorted(late["source_file"].drop_nulls().unique())
    named = listed([inert(name) for name in files[:FILES_NAMED]])
    more = f" and {some(len(files) - FILES_NAMED, 'other file')}" if len(files) > FILES_NAMED else ""
    said = f"{some(late.height, 'call')} of the month arrived {span}, up to {some(behind.days, 'day')} after"
    said += f" {'it was' if late.height == 1 else 'they were'} made"
    return f"{said}; from {named}{more}." if files else f"{said}."


def _gone(kept: int, counted: int) -> str:
    if kept >= counted:
        return ""
    return f"{some(counted - kept, 'call')} that the last edition counted can no longer be found."


def _late_feedback(late: pl.DataFrame, calls: pl.DataFrame) -> str:
    own = pl.col("event_id").str.strip_prefix(pl.col("trace_id") + "-")
    known = calls.select("event_id", "trace_id", "session_id", call_id=own)
    about = pl.any_horizontal(
        pl.col(name).is_in(known[name].drop_nulls().implode()).fill_null(value=False)
        for name in known.columns
    )
    rows = late.filter(about)
    if rows.is_empty():
        return ""
    last: datetime = rows["ingested_at"].max()  # type: ignore[assignment]
    return f"{some(rows.height, 'rating or score')} of calls of the month arrived, the last {moment(last)}."


def _prices(edits: pl.DataFrame) -> str:
    entries = sorted(edits["entry"].unique())
    return f"The prices changed: {inert(listed(entries))}." if entries else ""


def _weeks(e: MonthEvidence, done: pl.DataFrame) -> str:
    weeks = [day(week) for week in sorted(done["period"].unique()) if week in e.weeks()]
    return f"Worked through again: the week of {listed(weeks)}." if weeks else ""


def _incidents(events: pl.DataFrame) -> str:
    numbers = sorted(events["incident_id"].unique())
    return f"People recorded what they did with {inert(listed(numbers))}." if numbers else ""


def _decisions(e: MonthEvidence, size: int) -> str:
    late = e.entries().filter(pl.col("kind").str.starts_with("decision."), pl.col("entry_index") >= size)
    if late.is_empty():
        return ""
    return f"{some(late.height, 'decision')} of the month came into the audit log late."
