"""The tables a status is read from.

What they mean is decided in `status`.
"""

from datetime import datetime

from aiops_pipelines.incidents.review_inputs import ReviewInputs
from aiops_pipelines.project import Project
from aiops_pipelines.resources.decisions import incidents_now
from aiops_pipelines.resources.published import ReadOnlyWarehouse, latest, published
from aiops_pipelines.status import Known, Status, status
from aiops_pipelines.systems import System, monday

REVIEWED = {
    "verdicts": "drift.drift_verdicts",
    "causes": "drift.drift_causes",
    "baselines": "monitoring.baselines",
    "spend": "costs.weekly_spend",
    "growth": "costs.spend_growth_since_baseline",
    "month": "costs.month_forecast",
    "freshness": "rag.index_freshness",
    "slices": "rag.retrieval_slices",
    "traffic": "monitoring.weekly_traffic",
    "verifications": "compliance.audit_verifications",
}


def statuses(project: Project, systems: list[System], clock: datetime) -> list[Status]:
    """Return the status of each system after the last run, with incidents as they stand now.

    Raises:
        WarehouseError: nothing was run yet.
    """
    copy, books = published(project), latest(project)
    return [status(_known(copy, books, system, clock)) for system in systems]


def _known(copy: ReadOnlyWarehouse, books: ReadOnlyWarehouse, system: System, clock: datetime) -> Known:
    name, now = system.name, system.now(clock)
    frames = {key: copy.rows(table, system=name) for key, table in REVIEWED.items()}
    frames["incidents"] = incidents_now(books, system, clock)
    log = "compliance.audit_log"
    counted = (
        copy.read(f"select count(*) as n from {log} where system = ?", [name]) if copy.built(log) else None
    )
    return Known(
        ReviewInputs(system, monday(now), now, **frames),
        copy.rows("compliance.audit_checkpoints", system=name),
        copy.rows("operations.problems", system=name),
        0 if counted is None else counted["n"][0],
    )
