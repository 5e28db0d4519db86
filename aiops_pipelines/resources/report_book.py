"""The monthly reports of a system, kept as they were published, and their amendments.

A month is published once. Made again, it is compared with what was said last: nothing happens while every
figure stands, and an amendment is made when one does not. Files are written first, then the rows, then the
audit log: until its rows are there an edition is not published, and the next run makes it anew.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import polars as pl

from aiops_pipelines.compliance.amendment import Amended, amendment
from aiops_pipelines.compliance.arrivals import Stored, arrivals
from aiops_pipelines.compliance.editions import changed, edition_rows, publications, said, tampered
from aiops_pipelines.compliance.figures import figures
from aiops_pipelines.compliance.month_evidence import AUDIT_LOG, INFERENCES, MonthEvidence
from aiops_pipelines.compliance.report import canonical_json, compliance_report
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.first_file import write_all
from aiops_pipelines.resources.pages import amendment_page, report_page
from aiops_pipelines.resources.report_pdf import PdfError, report_pdf
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

REPORTS, AMENDMENTS, FIGURES = (
    "compliance.compliance_reports",
    "compliance.report_amendments",
    "compliance.report_figures",
)
EVIDENCE = {
    "checkpoints": "compliance.audit_checkpoints",
    "verifications": "compliance.audit_verifications",
    "quarantine": "inference_log.quarantine",
    "verdicts": "drift.drift_verdicts",
    "source_days": "inference_log.source_days",
    "invoices": "costs.invoice_checks",
    "guarded": "compliance.guardrail_readings",
    "attacks": "compliance.adversarial_results",
    "causes": "drift.drift_causes",
    "baselines": "monitoring.baselines",
    "hallucinations": "monitoring.hallucination_rates",
    "proposals": "drift.improvement_proposals",
    "savings": "costs.savings_proposals",
    "incidents": "incidents.incidents",
    "legal_clocks": "incidents.legal_clocks",
    "remedies": "incidents.remedies",
    "remedy_proofs": "incidents.remedy_proofs",
    "changes": "drift.change_events",
    "costs": "costs.call_costs",
    "user_signals": "monitoring.user_signals",
    "deletions": "compliance.text_deletions",
    "erasures": "compliance.erasures",
    "holds": "compliance.legal_holds",
    "backups": "compliance.backups",
    "drills": "compliance.restore_drills",
    "reports": REPORTS,
    "amendments": AMENDMENTS,
}
STORED = ("ingested_at", "trace_id", "session_id", "source_file")
"""What is read of inference_log.inferences beside INFERENCES, to say what arrived late."""
TEXTS = """
    select count(*) filter (where occurred_at < ?) as over_term, min(occurred_at) as oldest
    from inference_log.inferences where system = ? and (query is not null or answer is not null)
"""
Row = Mapping[str, Any]


class ReportBook:
    """The published reports of one system."""

    def __init__(self, project: Project, warehouse: Warehouse, audit_book: AuditBook, system: System):
        self._project, self._warehouse, self._audit, self._system = project, warehouse, audit_book, system

    def make(self, month: date, now: datetime, clock: datetime) -> list[str]:
        """Publish a month's report, or amend it if it is published and its figures have changed.

        Args:
            month: its first day.
            now: the system's present, UTC.
            clock: the real time, UTC: when this is published.

        Returns:
            What is wrong with the files published before, and why there is no PDF, in sentences.

        Raises:
            SigningKeyMissing: the audit log cannot be continued; the edition itself is stored.
        """
        evidence, stored = self._evidence(month, now)
        reports = evidence.reports.filter(pl.col("month") == month, pl.col("published_at").is_not_null())
        problems = []
        if reports.is_empty():
            problems = self._publish(evidence, clock)
        else:
            self._amend(evidence, stored, reports.row(0, named=True), clock)
        rows = [self._rows(table) for table in (REPORTS, AMENDMENTS)]
        self._audit.append(self._system.name, list(publications(self._system.name, *rows)))
        self._audit.sign(self._system.name, now)
        editions = [row for frame in rows for row in frame.rows(named=True) if row["month"] == month]
        return problems + [problem for row in editions for problem in tampered(row, self._digest)]

    def _rows(self, table: str) -> pl.DataFrame:
        return self._warehouse.rows(table, system=self._system.name)

    def _columns(self, table: str, *names: str) -> pl.DataFrame:
        wanted = ", ".join(f'"{name}"' for name in names)
        return self._warehouse.read(f"select {wanted} from {table} where system = ?", [self._system.name])

    def _evidence(self, month: date, now: datetime) -> tuple[MonthEvidence, Stored]:
        calls = self._columns("inference_log.inferences", *INFERENCES, *STORED)
        frames: dict[str, Any] = {
            name: self._rows(table) for name, table in EVIDENCE.items() if self._warehouse.built(table)
        }
        evidence = MonthEvidence(
            self._system,
            month,
            now,
            inferences=calls.select(list(INFERENCES)),
            audit_log=self._columns("compliance.audit_log", *AUDIT_LOG),
            verifier_key=self._audit.verifier_key(self._system.name),
            **frames,
        )
        term = evidence.texts_until.replace(tzinfo=None)
        over, oldest = self._warehouse.read(TEXTS, [term, self._system.name]).row(0)
        evidence = replace(evidence, texts_over_term=over, oldest_text=oldest)
        weekly = self._rows("operations.completed_periods").filter(pl.col("cadence") == "weekly")
        feedback, prices = (self._rows(table) for table in ("inference_log.feedback", "costs.price_edits"))
        done, *others = (
            self._rows(f"incidents.{name}") for name in ("incident_events", "legal_events", "remedies")
        )
        recorded = [frame.select("incident_id", at="recorded_at") for frame in others]
        events = pl.concat([done.select("incident_id", "at"), *recorded])
        return evidence, Stored(calls, feedback, prices, weekly, events)

    def _publish(self, e: MonthEvidence, clock: datetime) -> list[str]:
        report, problems = compliance_report(e), []
        page, data = report_page(report), canonical_json(report)
        files = {"html": page.encode(), "json": data.encode()}
        try:
            files["pdf"] = report_pdf(report, page, data)
        except PdfError as error:  # the page and the figures are the evidence
            problems.append(f"The report of {e.month:%Y-%m} is published without a PDF. {error}")
        row = {"system": self._system.name, "month": e.month, "published_at": clock}
        row |= {name: report[name] for name in ("evidenced", "not_evidenced")}
        row |= self._write(f"{e.month:%Y-%m}", files)
        self._store(REPORTS, row, edition_rows(self._system.name, e.month, 0, figures(e)))
        return problems

    def _amend(self, e: MonthEvidence, stored: Stored, report: Row, clock: datetime) -> None:
        editions = self._rows(FIGURES).filter(pl.col("month") == e.month)
        last: int = editions["edition"].max()  # type: ignore[assignment]
        made = e.amendments.filter(pl.col("month") == e.month)["amended_at"].max()
        since: datetime = made or report["published_at"]  # type: ignore[assignment]
        before, known = said(editions, last), figures(e)
        moved = changed(before, known)
        if not moved:
            return
        of = Amended(report, said(editions, 0), before, last + 1)
        found = arrivals(e, stored, since, before)
        document = amendment(e, of, moved, known, found, clock)
        name = f"{e.month:%Y-%m}-amendment-{of.number}"
        files = {"html": amendment_page(document).encode(), "json": canonical_json(document).encode()}
        row = {"system": self._system.name, "month": e.month, "number": of.number, "amended_at": clock}
        row |= {"changed": [figure.key for figure in moved], "why": document["why"]}
        row |= self._write(name, files)
        self._store(AMENDMENTS, row, edition_rows(self._system.name, e.month, of.number, known))

    def _write(self, name: str, files: Mapping[str, bytes]) -> dict[str, str]:
        """Write an edition's files, by their ending; return the columns that name them, with their hashes."""
        folder = self._project.reports / self._system.name / "monthly"
        write_all(folder, {f"{name}.{kind}": content for kind, content in files.items()})
        columns = {}
        for kind, content in files.items():
            file = folder / f"{name}.{kind}"
            columns[f"{kind}_file"] = file.relative_to(self._project.data).as_posix()
            columns[f"{kind}_sha256"] = hashlib.sha256(content).hexdigest()
        return columns

    def _store(self, table: str, row: Row, edition: pl.DataFrame) -> None:
        frame = pl.DataFrame([row], schema=self._warehouse.tables[table].schema)
        keys = edition.row(0, named=True)
        with self._warehouse.writing() as writer:
            if table == REPORTS:
                writer.delete(REPORTS, system=keys["system"], month=keys["month"])  # one that has no date
            writer.append(table, frame)
            writer.append(FIGURES, edition)

    def _digest(self, name: str) -> str | None:
        file = self._project.data / name
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None
