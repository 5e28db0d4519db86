"""Compliance: one audit entry for every inference and every decision, verified weekly, reported monthly."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any

import dagster as dg
import polars as pl

from aiops_pipelines.compliance import audit_log as log
from aiops_pipelines.compliance import decided
from aiops_pipelines.compliance.editions import publications
from aiops_pipelines.compliance.finding import Finding, intact
from aiops_pipelines.compliance.guardrail_watch import guardrail_readings as read_guardrails
from aiops_pipelines.defs.bodies import Work, labels, spec, table
from aiops_pipelines.defs.cadences import CONTINUOUS, MONTHLY, WEEKLY, months, one_run, weeks, weeks_of_month
from aiops_pipelines.incidents.reported import RULE
from aiops_pipelines.periods import midnight
from aiops_pipelines.project import Project
from aiops_pipelines.resources.attack_weeks import attack_week
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_calls import new_entries
from aiops_pipelines.resources.audit_signing import LogForked, SigningKeyMissing
from aiops_pipelines.resources.completion import enter
from aiops_pipelines.resources.report_book import AMENDMENTS, REPORTS, ReportBook
from aiops_pipelines.resources.text_deletion import delete_texts, overdue, rewrite
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines.wording import some

AUTOMATIC = "aiops_pipelines"
MIX = ("mix_drop", "mix_p_adjusted")
Entry = dict[str, Any]


@dg.asset(
    deps=[
        "inferences",
        "call_costs",
        "index_versions",
        "publications",
        "baselines",
        "drift_verdicts",
        "incidents",
    ],
    pool="duckdb",
    **labels("compliance", CONTINUOUS),
)
def audit_log(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    audit_book: dg.ResourceParam[AuditBook],
) -> dg.MaterializeResult:
    """One entry for every inference and every decision, in a Merkle log with signed checkpoints."""
    work = Work(context, project, warehouse, "audit log")
    rows = []
    for system in work.operated():
        with work.guarding(system.name, SigningKeyMissing, LogForked):
            present = system.now(work.clock)
            entered = audit_book.append(system.name, _entries(warehouse, system, audit_book, present))
            for conflict in entered.conflicts:
                clash = f"{conflict.entry['entry_id']} arrived again with other content; the first stands."
                work.problem(system.name, clash)
            size = audit_book.sign(system.name, present)
            for failure in audit_book.signing(system.name).unwitnessed():
                work.problem(system.name, f"A witness does not cosign the audit log. {failure}")
            rows.append((system.name, entered.entries, size))
    work.close()
    shown = pl.DataFrame(rows, schema=["system", "entries added", "tree size"], orient="row")
    return dg.MaterializeResult(
        metadata={"dagster/row_count": int(shown["tree size"].sum() or 0), "logs": table(shown)}
    )


def _entries(warehouse: Warehouse, system: System, book: AuditBook, present: datetime) -> Iterator[Entry]:
    keys = book.whole_keys(system.name)
    noted = book.noted_settings(system, present)
    made = sorted(decisions(warehouse, system), key=lambda entry: (entry["occurred_at"], entry["entry_id"]))
    return chain(new_entries(warehouse, system.name, keys), made, [noted] if noted else [])


def decisions(warehouse: Warehouse, system: System) -> Iterable[Entry]:
    """Yield an entry for every decision the tables hold; the same row always gives the same entry."""
    name = system.name
    for row in warehouse.rows("rag.index_versions", system=name).iter_rows(named=True):
        summary = f"Index {row['index_version']} was built from corpus revision {row['revision']}."
        yield _decision(system, "index_built", row["built_at"], AUTOMATIC, summary, row)
    for row in warehouse.rows("monitoring.baselines", system=name).iter_rows(named=True):
        frozen = f"frozen at {row['mean']:.4f} over {row['n']} scores."
        summary = f"The baseline of {row['metric']} ({row['sample']}) was {frozen}"
        yield _decision(system, "baseline_frozen", row["frozen_at"], row["approved_by"], summary, row)
    for row in warehouse.rows("drift.drift_verdicts", system=name).iter_rows(named=True):
        end = midnight(row["week"] + timedelta(days=7))
        what = f"{row['verdict']}: {row['metric']} ({row['sample']}) in the week of {row['week']}."
        summary = f"{what} {row['reason']}"
        # a verdict from before there was a mix stays the entry that it is
        said = {key: value for key, value in row.items() if value is not None or key not in MIX}
        yield _decision(system, "drift_verdict", end, AUTOMATIC, summary, said)
    for row in warehouse.rows("incidents.reported_incidents", system=name).iter_rows(named=True):
        summary = f"{row['incident_id']} was opened: {row['title']}. {row['seen']}"
        yield _decision(system, "incident_reported", row["reported_at"], row["reporter"], summary, row)
    found = pl.col("source").is_null() | (pl.col("source") == RULE)
    for row in warehouse.rows("incidents.incidents", system=name).filter(found).iter_rows(named=True):
        opened = {key: row[key] for key in ("incident_id", "cause", "opened_at")}
        yield _decision(
            system,
            "incident_opened",
            row["opened_at"],
            AUTOMATIC,
            f"{row['incident_id']} was opened: {row['cause']}.",
            opened,
        )
    for row in warehouse.rows("incidents.incident_events", system=name).iter_rows(named=True):
        summary = f"{row['incident_id']} was {row['event']}: {row['reason']}"
        yield _decision(system, f"incident_{row['event']}", row["at"], row["actor"], summary, row)
    for row in warehouse.rows("incidents.remedies", system=name).iter_rows(named=True):
        summary = f"{row['incident_id']} was remedied ({row['kind']}), {row['at']}: {row['did']}"
        yield _decision(system, "incident_remedied", row["recorded_at"], row["actor"], summary, row)
    for row in warehouse.rows("incidents.legal_events", system=name).iter_rows(named=True):
        about = f" ({row['about']})" if row["about"] else ""
        summary = f"{row['incident_id']} was {row['event']}{about} under {row['regime']}, {row['at']}: "
        summary += row["reason"] or row["reference"]
        yield _decision(system, f"incident_{row['event']}", row["recorded_at"], row["actor"], summary, row)
    yield from publications(name, *(warehouse.rows(table, system=name) for table in (REPORTS, AMENDMENTS)))


def _decision(
    system: System, what: str, at: datetime, actor: str, summary: str, row: Mapping[str, Any]
) -> Entry:
    return log.decision_entry(system.name, what, at, actor, summary, decided.details(row))


@dg.asset(deps=["audit_log", "user_signals"], pool="duckdb", **labels("compliance", CONTINUOUS))
def text_deletions(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    audit_book: dg.ResourceParam[AuditBook],
) -> dg.MaterializeResult:
    """Texts whose term is over, deleted once a day and entered into the audit log; what is held stays."""
    work = Work(context, project, warehouse, "deletion of texts")
    done = []
    for system in work.operated():
        with work.guarding(system.name, SigningKeyMissing, LogForked):
            if row := delete_texts(warehouse, audit_book, system, work.clock):
                done.append(
                    {"system": system.name} | {name: row[name] for name in ("calls", "others", "held")}
                )
            if late := overdue(warehouse, audit_book, system, work.clock):
                what = f"The texts of {some(late, 'call')} are kept beyond their term; they wait until"
                work.problem(system.name, f"{what} their weeks are judged, which the next weekly run does.")
    work.close()
    rewrite(warehouse, work.clock)
    rows = warehouse.read("select count(*) as n from compliance.text_deletions")["n"][0]
    return dg.MaterializeResult(metadata={"dagster/row_count": rows, "now": table(pl.DataFrame(done))})


@dg.asset(
    deps=["audit_log"],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("compliance", WEEKLY),
)
def audit_verifications(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    audit_book: dg.ResourceParam[AuditBook],
) -> dg.MaterializeResult:
    """Every leaf hashed again; every column, every call and every signed root compared with the leaves."""
    work = Work(context, project, warehouse, "audit verification")
    done: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            due = work.weeks(system)
            if not due:
                continue
            findings, entries, root = audit_book.verify(system.name)
            heard = audit_book.signing(system.name).witnessing()
            findings += heard.findings
            if heard.unmet:
                work.problem(system.name, f"The audit log is not witnessed. {heard.sentence}")
                findings.append(Finding("note", None, None, None, heard.sentence))
            sentences = [finding.message for finding in findings]
            rows = pl.DataFrame(
                [(system.name, week, intact(findings), entries, sentences, root, work.clock) for week in due],
                schema=warehouse.tables["compliance.audit_verifications"].schema,
                orient="row",
            )
            with warehouse.writing() as writer:  # when a week was verified first is evidence too
                writer.append("compliance.audit_verifications", rows)
            for sentence in [finding.message for finding in findings if finding.severity != "note"][:5]:
                work.problem(system.name, f"The audit log is not intact. {sentence}")
            done.append(rows.tail(1))
    work.close()
    shown = pl.concat(done) if done else warehouse.tables["compliance.audit_verifications"].empty()
    return dg.MaterializeResult(metadata={"dagster/row_count": shown.height, "verified": table(shown)})


@dg.asset(
    deps=["guardrail_acts"],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("compliance", WEEKLY),
)
def guardrail_readings(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """Whether each guardrail still acts as it did, and whether it acts less from week to week."""
    work = Work(context, project, warehouse, "guardrails")
    done: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            if due := work.weeks(system):
                acts = warehouse.rows("compliance.guardrail_acts", system=system.name)
                since = system.baseline.guardrails_from
                rows = read_guardrails(system.name, acts, system.limits.alpha, since, due)
                warehouse.replace("compliance.guardrail_readings", rows, system=system.name, week=due)
                done.append(rows.filter(pl.col("week") == max(due)))
    work.close()
    shown = pl.concat(done) if done else warehouse.tables["compliance.guardrail_readings"].empty()
    return dg.MaterializeResult(metadata={"dagster/row_count": shown.height, "last week": table(shown)})


@dg.asset(
    deps=["inferences", "adversarial_queries"],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("compliance", WEEKLY),
)
def adversarial_results(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """How the attacks that are asked on purpose went: held, gave way, cannot tell or not asked."""
    work = Work(context, project, warehouse, "adversarial suite")
    done: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            for week in work.weeks(system):
                found = attack_week(warehouse, system.name, week)
                warehouse.replace("compliance.adversarial_results", found, system=system.name, week=week)
                done.append(found)
    work.close()
    shown = pl.concat(done) if done else warehouse.tables["compliance.adversarial_results"].empty()
    counts = shown.group_by("system", "week", "category", "result").len().sort(pl.all(), descending=True)
    return dg.MaterializeResult(metadata={"dagster/row_count": shown.height, "results": table(counts, 40)})


MONTHS_WORK: list[str | dg.AssetDep] = [
    "audit_log",
    "text_deletions",
    "incidents",
    "remedy_proofs",
    "improvement_proposals",
    "savings_proposals",
    "quarantine",
    "change_events",
    "call_costs",
    "user_signals",
    dg.AssetDep("audit_verifications", partition_mapping=weeks_of_month),
    dg.AssetDep("guardrail_readings", partition_mapping=weeks_of_month),
    dg.AssetDep("adversarial_results", partition_mapping=weeks_of_month),
    dg.AssetDep("hallucination_rates", partition_mapping=weeks_of_month),
    dg.AssetDep("drift_verdicts", partition_mapping=weeks_of_month),
]


@dg.multi_asset(
    specs=[
        spec(
            "compliance_reports",
            "The month's evidence against the control matrix, published once; gaps say NOT EVIDENCED.",
            MONTHS_WORK,
            labels("compliance", MONTHLY, "html"),
        ),
        spec(
            "report_amendments",
            "What changed in a published month, from what to what and why; the report itself stays.",
            MONTHS_WORK,
            labels("compliance", MONTHLY, "html"),
        ),
        spec(
            "report_figures",
            "Every figure of every published report and amendment; the highest edition holds now.",
            MONTHS_WORK,
            labels("compliance", MONTHLY),
        ),
    ],
    partitions_def=months,
    backfill_policy=one_run,
    pool="duckdb",
)
def month_report(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    audit_book: dg.ResourceParam[AuditBook],
) -> Iterator[dg.MaterializeResult]:
    """Publish each closed month once, as a page and as data; amend it when its figures have changed since."""
    work = Work(context, project, warehouse, "compliance report")
    done: list[tuple[str, date]] = []
    for system in work.operated():
        with work.guarding(system.name, SigningKeyMissing, LogForked):
            due = work.months(system)
            book = ReportBook(project, warehouse, audit_book, system)
            for month in due:
                for problem in book.make(month, system.now(work.clock), work.clock):
                    work.problem(system.name, problem)
                done.append((system.name, month))
            if due:
                enter(warehouse, system, MONTHLY, due, work.clock)
    work.close()
    made = pl.DataFrame(done, schema={"system": pl.String, "month": pl.Date}, orient="row")
    for name in ("compliance_reports", "report_amendments", "report_figures"):
        stored = warehouse.rows(f"compliance.{name}")
        mine = stored.join(made, on=["system", "month"], how="semi")
        yield dg.MaterializeResult(asset_key=name, metadata=_published(project, mine))


def _published(project: Project, rows: pl.DataFrame) -> dict[str, Any]:
    pages = [rows[name].drop_nulls() for name in ("html_file", "pdf_file") if name in rows.columns]
    return {
        "dagster/row_count": rows.height,
        "rows": table(rows),
        **{page: dg.MetadataValue.path(str(project.data / page)) for page in chain(*pages)},
    }
