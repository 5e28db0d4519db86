"""Remedies judged: what was done against an incident, and whether it held."""

from functools import partial

import dagster as dg
import polars as pl

from aiops_pipelines.defs.bodies import Work, labels, table
from aiops_pipelines.defs.cadences import CONTINUOUS
from aiops_pipelines.incidents import remedy_proof, rules
from aiops_pipelines.project import Project
from aiops_pipelines.resources.fact_tables import facts_of
from aiops_pipelines.resources.remedy_book import PROOFS, REMEDIES
from aiops_pipelines.resources.remedy_evidence import RemedyEvidence
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

CHANGES = "drift.change_events"


@dg.asset(
    deps=["incidents", "change_events", "stg_inferences"],
    pool="duckdb",
    **labels("incidents", CONTINUOUS),
)
def remedy_proofs(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """Whether each remedy held: the periods judged since against those before, which proves no cause."""
    work = Work(context, project, warehouse, "remedies")
    for system in work.operated():
        with work.guarding(system.name):
            warehouse.replace(PROOFS, _proofs(work, system), system=system.name)
    work.close()
    shown = warehouse.rows(PROOFS).sort("remedied_at", descending=True)
    counts = shown.group_by("verdict").len()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": shown.height,
            **dict(counts.iter_rows()),
            "latest": table(
                shown.select("system", "incident_id", "remedy_id", "signal", "subject", "verdict")
            ),
        }
    )


def _proofs(work: Work, system: System) -> pl.DataFrame:
    warehouse, of = work.warehouse, partial(work.warehouse.rows, system=system.name)
    remedies = of(REMEDIES)
    if remedies.is_empty():
        return warehouse.tables[PROOFS].empty()
    facts = facts_of(warehouse, system, work.clock)
    known = remedy_proof.Known(
        facts.now,
        system.limits,
        of("incidents.incidents"),
        remedies,
        of("incidents.signals"),
        rules.readings(facts, system.limits),
        of(CHANGES) if warehouse.built(CHANGES) else pl.DataFrame(),
    )
    return remedy_proof.proofs(system.name, known, RemedyEvidence(warehouse, system).effect)
