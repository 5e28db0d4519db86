"""The figures of the compliance report: their values out of the month's frames.

What each figure is, and the SQL that recomputes it on the published DuckDB file, is `figures.yaml`. A figure
whose base is empty is None: nothing that was not looked at reads as 0.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import pairwise
from statistics import median
from string import Template
from typing import Any

import polars as pl
import yaml

from aiops_pipelines.compliance.adversarial import by_category
from aiops_pipelines.compliance.deadlines import regimes
from aiops_pipelines.compliance.incident_figures import incident_figures
from aiops_pipelines.compliance.month_evidence import MonthEvidence
from aiops_pipelines.compliance.recovery import older_backups, recovery_figures
from aiops_pipelines.incidents.legal_clocks import NOT_ASKED
from aiops_pipelines.wording import Kind

BLOCKS = ("block", "blocked")
OF_PIPELINES = (
    *("decision.drift_verdict", "decision.incident_opened", "decision.index_built"),
    *("decision.index_published", "decision.report_published", "decision.report_amended"),
    *("decision.backup_made", "decision.restore_drilled"),
)
"""Decisions that no person takes, or that oversee no answer, whoever runs them each night."""
NOBODY = ("aiops", "aiops_pipelines", "automatic")
"""Actors of decisions that a person could have taken."""
UNKNOWN = "unknown"
"""So begins the actor of a decision of which nobody knows who took it: no evidence of a person."""
Value = int | float | Decimal | str | datetime | None
Values = dict[str, Value]


@dataclass(frozen=True)
class Figure:
    """One figure: raw value, how it is written, what recomputes it, and why it is missing if it is.

    `to_date` is true of one that says how things stood when the evidence was read, not how the month was.
    """

    key: str
    label: str
    value: Value
    kind: Kind
    sql: str
    source: str
    missing: str
    to_date: bool = False


def stamp(moment: datetime) -> str:
    """Write a UTC moment as a DuckDB literal: timestamp '2026-08-01 00:00:00'."""
    return f"timestamp '{moment.replace(tzinfo=None).isoformat(sep=' ')}'"


def _conditions(e: MonthEvidence) -> dict[str, str]:
    start, end = stamp(e.start), stamp(e.end)
    system = f"system = '{e.system.name}'"
    return {
        "of_system": system,
        "in_month": f"{system} and occurred_at >= {start} and occurred_at < {end}",
        "in_weeks": f"{system} and week between date '{e.weeks()[0]}' and date '{e.weeks()[-1]}'",
        "last_week": f"date '{e.weeks()[-1]}'",
        "touched": f"{system} and opened_at < {end} and (resolved_at is null or resolved_at >= {start})",
        "start": start,
        "end": end,
        "owed": f"due_at is not null and state <> '{NOT_ASKED}' and coalesce(notified_at >= {start}, true)",
        **{f"under_{regime}": str(regime in e.system.regimes).lower() for regime in regimes()},
        "until": stamp(e.until),
        "month": f"date '{e.month}'",
        "last_report": stamp(e.last_report),
        "audit_days": str(e.system.retention.audit_days),
        "texts_until": stamp(e.texts_until),
        "tree_size": str(last_checkpoint(e).get("tree_size", 0)),
    }


@cache
def _described() -> dict[str, dict[str, Any]]:
    text = files(__package__).joinpath("figures.yaml").read_text(encoding="utf-8")
    described: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return described


def figures(e: MonthEvidence) -> dict[str, Figure]:
    """Return every figure of a system's month by key, in the order of the report."""
    values = (
        _integrity(e)
        | recovery_figures(e)
        | _record(e)
        | _quality(e)
        | _privacy(e)
        | _erasure(e)
        | _guardrails(e)
        | _adversarial(e)
        | incident_figures(e)
        | _changes(e)
    )
    conditions = _conditions(e)
    return {
        key: Figure(
            key,
            said["label"],
            values[key],
            said["kind"],
            Template(said.get("sql", "")).substitute(conditions).strip(),
            said.get("source", ""),
            said.get("missing", "") if values[key] is None else "",
            said.get("to_date", False),
        )
        for key, said in _described().items()
    }


def last_checkpoint(e: MonthEvidence) -> dict[str, Any]:
    """Return the newest checkpoint; of one that was signed twice in an instant, that which more cosigned."""

    def order(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["tree_size"], row["signed_at"], len(row["cosigned_by"] or [])

    return max(e.rows("checkpoints"), key=order, default={})


def _integrity(e: MonthEvidence) -> Values:
    last = last_checkpoint(e)
    runs, log, entries = e.weekly("verifications"), e.audit_log, e.entries()
    conflicts = entries.filter(pl.col("kind") == "conflict").height
    last_index: int | None = log["entry_index"].max()  # type: ignore[assignment]
    return {
        "integrity.tree_size": last.get("tree_size"),
        "integrity.root_hash": last.get("root_hash"),
        "integrity.signed_at": last.get("signed_at"),
        "integrity.longest_gap": _longest_gap(e),
        "integrity.entries": entries.height if log.height else None,
        "integrity.missing_entries": None if last_index is None else last_index + 1 - log.height,
        "integrity.conflicts": conflicts if log.height else None,
        "integrity.verifications": len({row["week"] for row in runs}) or None,
        "integrity.runs": len({row["verified_at"] for row in runs} - {None}) or None,
        "integrity.failed": len({row["week"] for row in runs if not row["intact"]}) if runs else None,
        **_witnesses(e, last),
    }


def _witnesses(e: MonthEvidence, last: dict[str, Any]) -> Values:
    asked = [row for row in e.rows("checkpoints") if row["quorum"] and e.start <= row["signed_at"] < e.end]
    named = last.get("quorum")
    return {
        "witness.quorum": named,
        "witness.cosigned": len(last["cosigned_by"] or []) if named else None,
        "witness.unwitnessed": sum(len(row["cosigned_by"] or []) < row["quorum"] for row in asked)
        if asked
        else None,
    }


def _longest_gap(e: MonthEvidence) -> float | None:
    """Return the longest time of the month without a checkpoint, days; whole seconds, as the SQL counts."""
    signed = sorted(row["signed_at"] for row in e.rows("checkpoints"))
    signed_here = [at for at in signed if e.start <= at < e.end]
    moments = [at.replace(microsecond=0) for at in (e.start, *signed_here, e.end)]
    gaps = [(b - a) / timedelta(days=1) for a, b in pairwise(moments)]
    return max(gaps) if signed else None


def _record(e: MonthEvidence) -> Values:
    calls, days = e.calls(), e.system.retention.audit_days
    oldest: datetime | None = e.audit_log["occurred_at"].min()  # type: ignore[assignment]
    logged = e.audit_log.filter(pl.col("kind") == "inference")["event_id"].drop_nulls()
    timed = calls.filter(pl.col("occurred_at").is_not_null() & pl.col("latency_ms").is_not_null())
    costs = e.costs_of_month()

    def share(part: int) -> float | None:
        return part / calls.height if calls.height else None

    numbered = [row for row in e.rows("source_days") if e.start.date() <= row["day"] < e.end.date()]
    stated, ours = e.costs_reported()
    bill = e.last_invoice()
    return {
        "record.reported_difference": float(stated / ours) - 1 if ours else None,
        "record.invoice_month": str(bill["month"]) if bill else None,
        "record.invoiced_usd": bill.get("invoiced_usd"),
        "record.invoice_difference": bill.get("difference"),
        "record.numbered_sources": len({row["source_id"] for row in numbered}) or None,
        "record.missing_calls": sum(row["missing"] for row in numbered) if numbered else None,
        "record.repeated_numbers": sum(row["repeats"] for row in numbered) if numbered else None,
        "record.inferences": calls.height or None,
        "record.with_model": share(calls["model_served"].count()),
        "record.with_prompt_version": share(calls["prompt_version"].count()),
        "record.with_index_version": share(calls["index_version"].count()),
        "record.with_times": share(timed.height),
        "record.audited": share(calls.filter(pl.col("event_id").is_in(logged.implode())).height),
        "record.cost_usd": sum(costs) if costs else None,
        "record.unpriced": calls.height - len(costs) if calls.height else None,
        "record.quarantined": len(e.rows("quarantine")),
        "record.oldest_entry": oldest,
        "record.earliest_deletion": oldest + timedelta(days=days) if oldest else None,
        "record.amendments": len(e.amendments_to_name()),
        "record.audit_days": days,
        "record.deleted_early": sum(row["calls"] for row in e.rows("deletions") if _early(row)),
    }


def _early(row: dict[str, Any]) -> bool:
    """Say whether a deletion took a text whose term was not over."""
    newest: datetime | None = row["newest"]
    return newest is not None and newest + timedelta(days=row["text_days"]) > row["deleted_at"]


def _quality(e: MonthEvidence) -> Values:
    rows, base = e.weekly("verdicts"), e.rows("baselines")
    given = [row["verdict"] for row in rows]
    unsure = {row["week"] for row in rows if row["verdict"] == "CANNOT TELL"}
    drops = [row["drop"] for row in rows if row["drop"] is not None]
    seen = [row["smallest_detectable_drop"] for row in rows if row["smallest_detectable_drop"] is not None]
    ratings = e.ratings()
    signed = sum(row["approved_by"] not in (None, "automatic") for row in base)
    return {
        "quality.weeks_judged": len({row["week"] for row in rows}) or None,
        "quality.ok": given.count("OK") if rows else None,
        "quality.degraded": given.count("DEGRADED") if rows else None,
        "quality.cannot_tell": given.count("CANNOT TELL") if rows else None,
        "quality.weeks_cannot_tell": len(unsure) if rows else None,
        "quality.largest_drop": max(drops, default=None),
        "quality.smallest_detectable_drop": max(seen, default=None),
        "quality.causes": len({row["week"] for row in e.weekly("causes")}) if rows else None,
        **_hallucinations(e),
        "quality.rated_up": ratings.count("rated_up") if ratings else None,
        "quality.rated_down": ratings.count("rated_down") if ratings else None,
        "quality.baselines": len(base) or None,
        "quality.baselines_signed": signed if base else None,
    }


def _hallucinations(e: MonthEvidence) -> Values:
    """Return the month's rate; two judges of one month have none in common."""
    months = [row for row in e.rows("hallucinations") if row["grain"] == "month"]
    rated = [row for row in months if row["period_start"] == e.month and row["rate"] is not None]
    row = rated[0] if len(rated) == 1 else {}
    return {f"quality.hallucination_{name}": row.get(name) for name in ("rate", "low", "high", "answers")}


def _privacy(e: MonthEvidence) -> Values:
    calls = e.calls()
    touched = calls.filter(pl.col("pii_counts") != "{}").height
    return {
        "privacy.masked": sum(times for _, times in e.masked()) if calls.height else None,
        "privacy.calls_with_masking": touched if calls.height else None,
        "privacy.texts_over_term": e.texts_over_term,
        "privacy.oldest_text": e.oldest_text,
        "privacy.texts_deleted": sum(
            row["calls"] for row in e.rows("deletions") if e.start <= row["deleted_at"] < e.end
        ),
        "privacy.texts_held": max(
            e.rows("deletions"), key=lambda row: row["deleted_at"], default={"held": 0}
        )["held"],
        "privacy.recipients": calls["provider"].drop_nulls().n_unique() or None,
    }


def _erasure(e: MonthEvidence) -> Values:
    decided = e.decided_erasures()
    erased = [row for row in decided if row["status"] == "erased"]
    took = [(row["decided_at"].date() - row["asked_on"]).days for row in erased if row["asked_on"]]
    searched = [row for row in erased if row["scanned_at"]]
    return {
        "erasure.requests": len(decided),
        "erasure.refused": len(decided) - len(erased),
        "erasure.longest_days": max(took, default=None),
        "erasure.left_over": sum(row["left_over"] for row in searched)
        if searched and len(searched) == len(erased)
        else None,
        "erasure.in_sources": sum(row["in_sources"] for row in searched) if searched else None,
        "erasure.in_backups": older_backups(e, erased),
        "erasure.holds": len(e.holding()),
    }


def _guardrails(e: MonthEvidence) -> Values:
    calls, events = e.calls(), e.guardrail_events()
    blocks = events.filter(pl.col("action").is_in(BLOCKS)).height
    decided = e.entries().filter(pl.col("kind").str.starts_with("decision."))
    known = ~pl.col("actor").is_in(NOBODY) & ~pl.col("actor").str.starts_with(UNKNOWN)
    by_people = ~pl.col("kind").is_in(OF_PIPELINES) & known
    took = [
        (row["acknowledged_at"] - row["opened_at"]) // timedelta(seconds=1)
        for row in e.rows("incidents")
        if e.start <= row["opened_at"] < e.end and row["acknowledged_at"] and row["acknowledged_at"] < e.end
    ]
    watched = [row for row in e.weekly("guarded") if row["verdict"] != "cannot tell"]
    fitted = [row for row in e.rows("guarded") if row["week"] == e.weeks()[-1] and row["eroding"] is not None]
    fell = [row for row in watched if row["verdict"] == "fell"]
    return {
        "guardrails.watched": _guarded(watched) or None,
        "guardrails.fell": _guarded(fell) if watched else None,
        "guardrails.eroding": _guarded([row for row in fitted if row["eroding"]]) if fitted else None,
        "guardrails.events": events.height or None,
        "guardrails.blocks": blocks if events.height else None,
        "guardrails.calls_blocked": calls.filter(pl.col("status") == "blocked").height
        if calls.height
        else None,
        "oversight.decisions": decided.height or None,
        "oversight.by_people": decided.filter(by_people).height or None,
        "oversight.acknowledge_minutes": median(took) / 60 if took else None,
    }


def _adversarial(e: MonthEvidence) -> Values:
    rows = e.weekly("attacks")
    found = by_category(rows)
    judged = sum(category.judged > 0 for category in found)

    def total(result: str, base: object = rows) -> int | None:
        return sum(getattr(category, result) for category in found) if base else None

    return {
        "adversarial.categories": judged or None,
        "adversarial.gave_way": total("gave_way", judged),
        "adversarial.held": total("held", judged),
        "adversarial.cannot_tell": total("cannot_tell"),
        "adversarial.never_asked": total("not_asked"),
        "adversarial.not_asked": sum(row["result"] == "not asked" for row in rows) if rows else None,
    }


def _guarded(rows: list[dict[str, Any]]) -> int:
    """Count the guardrails of some readings, by what they are about."""
    return len({(row["guardrail"], row["category"]) for row in rows})


def _changes(e: MonthEvidence) -> Values:
    calls = e.calls()
    changed = sum(e.start <= row["occurred_at"] < e.end for row in e.rows("changes"))
    return {
        "changes.models": calls["model_served"].drop_nulls().n_unique() or None,
        "changes.prompts": calls["prompt_version"].drop_nulls().n_unique() or None,
        "changes.indexes": calls["index_version"].drop_nulls().n_unique() or None,
        "changes.events": changed if calls.height else None,
    }
