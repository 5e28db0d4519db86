"""The lines of a status on the books: the audit log, the published reports, and what stands in the way.

The lines on how the system does are `status`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from aiops_pipelines.compliance.finding import verification_order
from aiops_pipelines.document import Tone
from aiops_pipelines.wording import count, day, inert, listed, moment, month, some

Row = Mapping[str, Any]
AMENDMENTS_SHOWN = 3


@dataclass(frozen=True)
class Line:
    """What is known about one topic: how grave it is, a sentence, details and the figures."""

    topic: str
    tone: Tone
    sentence: str
    details: tuple[tuple[Tone, str], ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


def audit_log_line(entries: int, checkpoints: pl.DataFrame, verifications: Iterable[Row]) -> Line:
    """Say how long the audit log is, how far it is signed and whether it verified."""
    if not entries:
        return Line("Audit log", "unknown", "It has no entry yet.", (), {"entries": 0})
    signed = max(checkpoints.rows(named=True), key=_order, default=None)
    checked = max(verifications, key=verification_order, default=None)
    figures = {
        "entries": entries,
        "checkpoint_size": signed and signed["tree_size"],
        "checkpoint_signed_at": signed and signed["signed_at"],
        "verified_week": checked and checked["week"],
        "intact": checked and checked["intact"],
    }
    sealed = "nothing is signed yet"
    if signed:
        sealed = (
            f"the last checkpoint covers {count(signed['tree_size'])}, signed {moment(signed['signed_at'])}"
        )
    sentence = f"{_entries(entries)}; {sealed}."
    tone, verified = _verification(checked)
    cosigned = _cosigned(signed)
    details = ((tone, verified), cosigned) if cosigned else ((tone, verified),)
    figures |= {name: signed and signed.get(name) for name in ("quorum", "cosigned_by")}
    worst: Tone = "warn" if tone == "good" and cosigned and cosigned[0] == "bad" else tone
    return Line("Audit log", worst, sentence, details, figures)


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{count(number)} entries"


def _order(checkpoint: Row) -> tuple[Any, ...]:
    return checkpoint["tree_size"], checkpoint["signed_at"], len(checkpoint.get("cosigned_by") or [])


def _cosigned(checkpoint: Row | None) -> tuple[Tone, str] | None:
    """Say who cosigned a checkpoint when it was signed; verifying asks the witnesses anew."""
    if checkpoint is None:
        return None
    needed, by = checkpoint.get("quorum"), checkpoint.get("cosigned_by") or []
    if not needed:
        return "unknown", "No witness cosigns it."
    if len(by) >= needed:
        return "good", inert(f"Its checkpoint is cosigned by {listed(by)}; {needed} needed.")
    why = " ".join(checkpoint.get("not_cosigned") or [])
    return "bad", inert(f"Its checkpoint is cosigned by {len(by)} of the {needed} witnesses needed. {why}")


def _verification(row: Row | None) -> tuple[Tone, str]:
    if row is None:
        return "unknown", "It was never verified by a run: aiops audit verify"
    if row["intact"]:
        return "good", f"Verified in the week of {day(row['week'])}: {_entries(row['entries'])}, intact."
    findings = row["findings"] or ["no finding was kept"]
    return "bad", inert(f"It did NOT verify in the week of {day(row['week'])}: {findings[0]}")


def problems_line(problems: pl.DataFrame) -> Line:
    """Say what stands in the way, a sentence each."""
    sentences = [inert(row["problem"]) for row in problems.iter_rows(named=True)]
    if not sentences:
        return Line("Problems", "good", "Nothing stands in the way.", (), {"problems": []})
    details: tuple[tuple[Tone, str], ...] = tuple(("warn", text.partition("\n")[0]) for text in sentences)
    return Line("Problems", "warn", f"{some(len(sentences), 'problem')}.", details, {"problems": sentences})


def report_line(reports: pl.DataFrame, amendments: pl.DataFrame, late: pl.DataFrame) -> Line:
    """Say which month was published last, which published months were amended, and which are to be.

    Args:
        reports: compliance.compliance_reports of one system.
        amendments: compliance.report_amendments of it.
        late: month and calls, those that were stored after the month's last edition.
    """
    published = reports.drop_nulls("published_at").sort("month").rows(named=True)
    if not published:
        return Line("Report", "plain", "No month is published yet: that comes with the first complete one.")
    last = published[-1]
    shown = amendments.sort("amended_at", "month", "number").rows(named=True)
    waiting = late.sort("month").rows(named=True)
    details: list[tuple[Tone, str]] = [("plain", _amended(row)) for row in shown[-AMENDMENTS_SHOWN:]]
    if older := len(shown) - len(details):
        details.insert(0, ("plain", f"{some(older, 'earlier amendment')}."))
    details += [("warn", _waits(row)) for row in waiting]
    figures = {
        "month": last["month"],
        "published_at": last["published_at"],
        **{name: last.get(name) for name in ("html_file", "pdf_file", "json_file")},
        "amendments": [
            {name: row[name] for name in ("month", "number", "amended_at", "changed", "why", "html_file")}
            for row in shown
        ],
        "late_calls": {row["month"].isoformat(): row["calls"] for row in waiting},
    }
    both = last["evidenced"] + last["not_evidenced"]
    said = f"{month(last['month'])} was published {moment(last['published_at'])}: "
    said += f"{last['evidenced']} of {both} controls are evidenced in full."
    tone: Tone = "warn" if waiting else "plain" if last["not_evidenced"] else "good"
    return Line("Report", tone, said, tuple(details), figures)


def _amended(row: Row) -> str:
    what = f"Amendment {row['number']} of {month(row['month'])}, {moment(row['amended_at'])}"
    return inert(f"{what}: {some(len(row['changed']), 'figure')} changed. {row['why'][0]}")


def _waits(row: Row) -> str:
    late = f"{some(row['calls'], 'call')} of {month(row['month'])} came after its report"
    return f"{late}; the next monthly run amends it."
