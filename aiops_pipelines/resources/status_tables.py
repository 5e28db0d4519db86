"""The tables a status is read from.

What they mean is decided in `status`.
"""

from datetime import datetime

import polars as pl

from aiops_pipelines.incidents.review_inputs import ReviewInputs
from aiops_pipelines.project import Project
from aiops_pipelines.resources.decisions import incidents_now
from aiops_pipelines.resources.legal_book import legal_clocks_now
from aiops_pipelines.resources.published import ReadOnlyWarehouse, latest, published
from aiops_pipelines.resources.report_book import AMENDMENTS, REPORTS
from aiops_pipelines.status import Known, Status, status
from aiops_pipelines.systems import System, monday

REVIEWED = {
    "verdicts": "drift.drift_verdicts",
    "causes": "drift.drift_causes",
    "baselines": "monitoring.baselines",
    "spend": "costs.weekly_spend",
    "growth": "costs.spend_growth_since_baseline",
    "month": "costs.month_forecast",
    "invoices": "costs.invoice_checks",
    "freshness": "rag.index_freshness",
    "slices": "rag.retrieval_slices",
    "traffic": "monitoring.weekly_traffic",
    "verifications": "compliance.audit_verifications",
    "alerts": "monitoring.alerts",
}


NONE_LATE = pl.DataFrame(schema={"month": pl.Date, "calls": pl.Int64})
LATE = """
    with last as (
        select month, max(published) as stored_until
        from (
            select month, published_at as published from compliance.compliance_reports where system = $1
            union all
            select month, amended_at from compliance.report_amendments where system = $1
        ) group by month
    )
    select month, count(*) as calls
    from inference_log.inferences inner join last on month = date_trunc('month', occurred_at)::date
    where system = $1 and ingested_at > stored_until
    group by month
"""
"""Calls that were stored after their month's last edition."""


def statuses(project: Project, systems: list[System], clock: datetime) -> list[Status]:
    """Return the status of each system after the last run, with incidents as they stand now.

    Raises:
        WarehouseError: nothing was run yet.
    """
    copy, books = published(project), latest(project)
    with copy.held(), books.held():
        return [status(_known(copy, books, system, clock)) for system in systems]


def _known(copy: ReadOnlyWarehouse, books: ReadOnlyWarehouse, system: System, clock: datetime) -> Known:
    name, now = system.name, system.now(clock)
    frames = {key: copy.rows(table, system=name) for key, table in REVIEWED.items()}
    frames["incidents"] = incidents_now(books, system, clock)
    frames |= {key: books.rows(f"incidents.{key}", system=name) for key in ("remedies", "remedy_proofs")}
    frames["legal_clocks"] = legal_clocks_now(books, system, frames["incidents"], now)
    log = "compliance.audit_log"
    counted = (
        copy.read(f"select count(*) as n from {log} where system = ?", [name]) if copy.built(log) else None
    )
    reports, amendments = (copy.rows(table, system=name) for table in (REPORTS, AMENDMENTS))
    late = copy.read(LATE, [name]) if copy.built(AMENDMENTS) else NONE_LATE
    return Known(
        ReviewInputs(system, monday(now), now, **frames),
        copy.rows("compliance.audit_checkpoints", system=name),
        copy.rows("operations.problems", system=name),
        0 if counted is None else counted["n"][0],
        reports,
        amendments,
        late,
    )
