"""The report's sections on the log: is it whole, is it complete, what changed in the system."""

from collections import Counter
from typing import Any

import polars as pl

from aiops_pipelines.compliance.figures import last_checkpoint
from aiops_pipelines.compliance.finding import verification_order
from aiops_pipelines.compliance.month_evidence import MonthEvidence
from aiops_pipelines.compliance.recovery import FAILED, drills_table
from aiops_pipelines.compliance.report_parts import NOT_EVIDENCED, Known, ReportSection, table
from aiops_pipelines.document import TONES, Table, Tone
from aiops_pipelines.wording import count, inert, listed, month, percent, some

KEEP = "Last signed checkpoint, in full: keep it, and a later log that contradicts it is proven wrong"
KEY = "The key it is verified with: compare it with the one you were given before"
REASONS_SHOWN, SOURCES_SHOWN, INVOICES_SHOWN = 10, 10, 12


def integrity(e: MonthEvidence, known: Known) -> ReportSection:
    """Say whether the log is whole and unchanged, and print the checkpoint that others can hold us to."""
    last = last_checkpoint(e)
    note = last["note"] if last else f"{NOT_EVIDENCED}: no checkpoint was signed."
    key = e.verifier_key or f"{NOT_EVIDENCED}: there is no signing key."
    rows = tuple(
        (
            row["week"],
            "intact" if row["intact"] else "broken",
            row["verified_at"],
            row["entries"],
            listed(row["findings"] or ["none"]),
        )
        for row in sorted(e.weekly("verifications"), key=verification_order)
    )
    runs = table(
        "Verification runs",
        {
            **{"Week of": "day", "Result": "verdict", "Recomputed on": "moment"},
            **{"Entries recomputed": "count", "Findings": "text"},
        },
        rows,
        "compliance.audit_verifications",
        f"{NOT_EVIDENCED}: the log was not recomputed in this month.",
    )
    meaning, tone = _integrity_meaning(e, known)
    cosigned, enough = _cosigned(known)
    tone = "warn" if tone == "good" and not enough else tone
    if known["recovery.drill_result"] == FAILED:
        cosigned, tone = f"{cosigned} The last restore drill FAILED.", "bad"
    return ReportSection(
        "integrity",
        "Integrity",
        f"{meaning} {cosigned}",
        tone,
        known.of("integrity", "witness", "recovery"),
        (),
        (runs, drills_table(e)),
        ((KEEP, note), (KEY, key)),
    )


def _integrity_meaning(e: MonthEvidence, known: Known) -> tuple[str, Tone]:
    failed, missing = known["integrity.failed"] or 0, known["integrity.missing_entries"] or 0
    if failed or missing:
        return (
            f"The log did NOT verify: {some(failed, 'failed week')}, {count(missing)} entries missing.",
            "bad",
        )
    if reasons := known.why_missing("integrity"):
        return f"The integrity of the log cannot be stated in full: {reasons}.", "unknown"
    runs, weeks = known["integrity.verifications"], len(e.weeks())
    said = (
        f"The log verified for {runs} of {some(weeks, 'week')}, in {some(known['integrity.runs'], 'run')}; "
    )
    said += "no entry is missing."
    return said, "good" if runs == weeks <= known["integrity.runs"] else "warn"


def _cosigned(known: Known) -> tuple[str, bool]:
    """Say who beside its keepers vouches for the log, and whether those are enough."""
    needed, by = known["witness.quorum"], known["witness.cosigned"]
    if needed is None:
        return "No witness is named: whoever has the signing key could have written another log.", True
    missed = known["witness.unwitnessed"] or 0
    said = f"{_witnesses(by)} cosigned the last checkpoint, {needed} needed"
    said += f"; {some(missed, 'checkpoint')} of the month had too few." if missed else "."
    return said, by >= needed and not missed


def _witnesses(number: int) -> str:
    return "1 witness" if number == 1 else f"{number} witnesses"


def record_keeping(e: MonthEvidence, known: Known) -> ReportSection:
    """Say how completely the month's inferences are on record, and how long they stay."""
    with_model, audited = known["record.with_model"], known["record.audited"]
    tone: Tone = "unknown"
    meaning = "No inference was logged in the month: nobody used the system, or its log did not arrive."
    if audited is not None:
        tone = "good" if min(with_model, audited) == 1 else "warn"
        meaning = (
            f"{some(known['record.inferences'], 'inference')}: {percent(with_model)} name the model that "
        )
        meaning += f"answered, {percent(audited)} stand in the audit log."
    if lost := known["record.missing_calls"]:
        meaning += f" {some(lost, 'call')} never reached the log, by the numbers of their sources."
        tone = min(tone, "warn", key=TONES.index)
    if amended := known["record.amendments"]:
        meaning += f" {some(amended, 'amendment')} to earlier reports since the last one."
    tables = (_coverage(e.calls()), _set_aside(e), _amendments(e), _sources(e), _invoices(e))
    return ReportSection("record_keeping", "Record-keeping", meaning, tone, known.of("record"), (), tables)


def _coverage(calls: pl.DataFrame) -> Table:
    names = ("model_served", "prompt_version", "index_version", "latency_ms")
    shares = [pl.col(name).count() / pl.len() for name in names]
    rows = calls.group_by(pl.col("endpoint").fill_null("unknown")).agg(pl.len(), *shares).sort("endpoint")
    kinds: dict[str, Any] = {"Endpoint": "code", "Inferences": "count"}
    kinds |= dict.fromkeys(
        ["With model", "With prompt version", "With index version", "With duration"], "percent"
    )
    return table(
        "Coverage by endpoint", kinds, tuple(rows.iter_rows()), "inference_log.inferences", "No inference."
    )


def _sources(e: MonthEvidence) -> Table:
    rows = [row for row in e.rows("source_days") if e.start.date() <= row["day"] < e.end.date()]
    sums: dict[str, list[int]] = {}
    for row in rows:
        before = sums.get(row["source_id"], [0, 0, 0])
        sums[row["source_id"]] = [
            a + row[k] for a, k in zip(before, ("calls", "missing", "repeats"), strict=True)
        ]
    worst = sorted(sums.items(), key=lambda item: (-item[1][1], -item[1][2], item[0]))[:SOURCES_SHOWN]
    return table(
        f"Numbers of the sources (the {SOURCES_SHOWN} with the largest gaps at most)",
        {"Source": "code", "Calls": "count", "Missing": "count", "Came twice": "count"},
        tuple((source, *counts) for source, counts in worst),
        "inference_log.source_days",
        f"{NOT_EVIDENCED}: no call of the month has the number that its source gave it.",
    )


def _invoices(e: MonthEvidence) -> Table:
    rows = [row for row in e.rows("invoices") if row["holds"] and row["month"] <= e.month]
    names = ("invoiced_usd", "computed_usd", "difference", "calls", "unpriced", "entered_by")
    newest = sorted(rows, key=lambda row: (row["month"], row["model"] or ""), reverse=True)[:INVOICES_SHOWN]
    return table(
        "Invoices against what the logged calls cost",
        {
            **{"Month": "text", "Model": "code", "Billed": "usd", "Computed": "usd", "Difference": "change"},
            **{"Calls": "count", "Without a price": "count", "Entered by": "text"},
        },
        tuple((month(row["month"]), row["model"] or "all", *(row[name] for name in names)) for row in newest),
        "costs.invoice_checks",
        "None was entered.",
    )


def _set_aside(e: MonthEvidence) -> Table:
    reasons = Counter(row["reason"] for row in e.rows("quarantine"))
    top = sorted(reasons.items(), key=lambda item: (-item[1], str(item[0])))[:REASONS_SHOWN]
    title = f"Log lines set aside to date, by reason (at most {REASONS_SHOWN} reasons)"
    return table(
        title, {"Reason": "text", "Lines": "count"}, tuple(top), "inference_log.quarantine", "No line."
    )


def _amendments(e: MonthEvidence) -> Table:
    rows = tuple(
        (month(row["month"]), row["number"], row["amended_at"], len(row["changed"]), " ".join(row["why"]))
        for row in e.amendments_to_name()
    )
    return table(
        "Amendments to earlier reports since the last one",
        {"Report of": "text", "Number": "count", "Made": "moment", "Figures changed": "count", "Why": "text"},
        rows,
        "compliance.report_amendments",
    )


def changes(e: MonthEvidence, known: Known) -> ReportSection:
    """Say what changed in the system: models, prompts, index versions, and who decided what."""
    rows = [row for row in e.rows("changes") if e.start <= row["occurred_at"] < e.end]
    rows.sort(key=lambda row: (row["occurred_at"], row["endpoint"], row["what"]))
    kinds = listed(sorted({row["what"].replace("_", " ") for row in rows}))
    meaning = inert(f"{some(len(rows), 'change')} seen in the log{f': {kinds}' if rows else ''}.")
    silent = known["changes.events"] is None
    seen = table(
        "Changes seen in the log",
        {"Seen": "moment", "Endpoint": "code", "What": "text", "Before": "code", "After": "code"},
        tuple(
            (row["occurred_at"], row["endpoint"], row["what"].replace("_", " "), row["before"], row["after"])
            for row in rows
        ),
        "drift.change_events",
        "No change was seen.",
    )
    entries = e.entries().filter(pl.col("kind").str.starts_with("decision.")).sort("entry_index")
    decided = table(
        "Decisions in the audit log",
        {"When": "moment", "Kind": "code", "Actor": "code", "Decision": "text"},
        tuple(
            (row["occurred_at"], row["kind"].removeprefix("decision."), row["actor"], row["summary"])
            for row in entries.iter_rows(named=True)
        ),
        "compliance.audit_log",
        f"{NOT_EVIDENCED}: no decision was logged in the month.",
    )
    meaning = "Unknown: no inference was logged in the month." if silent else meaning
    tone: Tone = "unknown" if silent else "plain"
    return ReportSection("changes", "Changes", meaning, tone, known.of("changes"), (), (seen, decided))
