"""Migrations of an index as jobs: plan, start, promote and rollback, by the functions of `aiops migrate`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg
import polars as pl

from aiops_pipelines.defs.bodies import table
from aiops_pipelines.defs.cadences import utc_now
from aiops_pipelines.project import Project
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.rag.migration import advice
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.documents import CorpusError
from aiops_pipelines.resources.embedder import EmbedderError
from aiops_pipelines.resources.migrations import MigrationRefused, Migrations, described
from aiops_pipelines.resources.publishing import Publisher
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.redaction import redacted, secrets_of
from aiops_pipelines.resources.shadow import SHADOW_SECONDS, estimate
from aiops_pipelines.resources.vector_store import StoreError
from aiops_pipelines.resources.warehouse import Warehouse, WarehouseBusy
from aiops_pipelines.systems import System, load_systems

TOLD = ("sample", "measure", "before", "after", "relative_drop", "verdict", "reason")


class Target(dg.Config):
    """What to migrate to; what is left out is the system file's, or an open migration's."""

    system: str
    embedding: str | None = None
    chunk_characters: int | None = None
    chunk_strategy: str | None = None


class Rollback(dg.Config):
    """Who undoes the last promotion, and why."""

    system: str
    by: str
    reason: str = ""


class Promotion(Rollback):
    """Who serves the new index, and why; `force` does it against the comparison."""

    force: bool = False


@dg.op
def plan_migration(
    context: dg.OpExecutionContext,
    config: Target,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    audit_book: dg.ResourceParam[AuditBook],
) -> None:
    """Say what a migration would take, in texts, time, money and disk, before anything is spent."""
    with _refusing():
        system, moves = _system(project, config.system), _moves(warehouse, audit_book)
        target = moves.target(system, config.embedding, config.chunk_characters, config.chunk_strategy)
        active, model = moves.recipes.first(system), moves.recipes.model(target)
        found = estimate(warehouse, system, model, target.chunking, utc_now())
    figures = {name: None if value is None else str(value) for name, value in vars(found).items()}
    _observe(context, "migrations", {"from": described(active), "to": described(target), **figures})


@dg.op
def build_shadow(
    context: dg.OpExecutionContext,
    config: Target,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    audit_book: dg.ResourceParam[AuditBook],
) -> None:
    """Build the new index in the shadow and compare it with the one in force; what is served stays.

    It takes no slot of the pool: other runs write between two of its batches.
    """
    patient = Warehouse(warehouse.file, warehouse.tables, SHADOW_SECONDS)
    with _refusing():
        system, moves = _system(project, config.system), _moves(patient, audit_book)
        target = moves.target(system, config.embedding, config.chunk_characters, config.chunk_strategy)
        row = moves.start(system, target, utc_now(), context.log.info, context.run_id)
    _observe(context, "index_versions", {"system": system.name, "shadow of": row["migration_id"]})
    _note(context, "migrations", moves, system)


@dg.op(pool="duckdb")
def promote_shadow(
    context: dg.OpExecutionContext,
    config: Promotion,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    audit_book: dg.ResourceParam[AuditBook],
) -> None:
    """Serve the new index from now on, if it is shown to be not inferior; rollback undoes it."""
    with _refusing():
        system, moves = _system(project, config.system), _moves(warehouse, audit_book)
        moves.promote(system, config.by, config.reason, config.force, utc_now())
    _follow(context, warehouse, audit_book, system)
    _note(context, "active_indexes", moves, system)


@dg.op(pool="duckdb")
def roll_back(
    context: dg.OpExecutionContext,
    config: Rollback,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    audit_book: dg.ResourceParam[AuditBook],
) -> None:
    """Serve the index from before the last promotion again, at once; nothing is built."""
    with _refusing():
        system, moves = _system(project, config.system), _moves(warehouse, audit_book)
        moves.rollback(system, config.by, config.reason, utc_now())
    _follow(context, warehouse, audit_book, system)
    _note(context, "active_indexes", moves, system)


@dg.job(executor_def=dg.in_process_executor)
def migrate_plan() -> None:
    """Say what another embedding model or way of cutting would take; nothing is changed."""
    plan_migration()


@dg.job(executor_def=dg.in_process_executor)
def migrate_start() -> None:
    """Build another index in the shadow and compare it; run it again to go on with a build that stopped."""
    build_shadow()


@dg.job(executor_def=dg.in_process_executor)
def migrate_promote() -> None:
    """Serve the shadow index from now on; takes the name of who decides."""
    promote_shadow()


@dg.job(executor_def=dg.in_process_executor)
def migrate_rollback() -> None:
    """Serve the index from before the last promotion again; takes the name of who decides."""
    roll_back()


@contextmanager
def _refusing() -> Iterator[None]:
    """Fail with the sentence alone where a migration cannot go on; trying again would not help."""
    try:
        yield
    except (MigrationRefused, CorpusError, EmbedderError, WarehouseBusy) as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _system(project: Project, name: str) -> System:
    usable, mistakes = load_systems(project.systems, project.data)
    if name not in usable:
        known = ", ".join(usable) or "none"
        raise MigrationRefused(mistakes.get(name) or f"There is no system {name}; the systems are {known}.")
    return usable[name]


def _moves(warehouse: Warehouse, book: AuditBook) -> Migrations:
    return Migrations(warehouse, Recipes(warehouse), book)


def _follow(context: dg.OpExecutionContext, warehouse: Warehouse, book: AuditBook, system: System) -> None:
    """Give readers of the system's vector store the index that was switched to; a failure undoes nothing."""
    if system.publish is None:
        return
    try:
        done = Publisher(warehouse, Recipes(warehouse), book).publish(system, utc_now(), context.run_id)
    except StoreError as error:
        said = f"{error} Until then readers of the store have the index of before."
        context.log.error(redacted(said, secrets_of([system])))
        return
    for sentence in done.refusal():
        context.log.error(sentence)


def _observe(context: dg.OpExecutionContext, asset: str, metadata: Mapping[str, Any]) -> None:
    context.log_event(dg.AssetObservation(asset, metadata=dict(metadata)))


def _note(context: dg.OpExecutionContext, asset: str, moves: Migrations, system: System) -> None:
    row, active = moves.latest(system.name), moves.switches(system.name)[-1]
    assert row
    verdicts = list(moves.verdicts(system.name, row["migration_id"]))
    told = pl.DataFrame(verdicts, infer_schema_length=None)
    said = {one["measure"]: one["reason"] for one in verdicts}
    for sentence in said.values():
        context.log.info(f"{system.name}: {sentence}")
    metadata: dict[str, Any] = {
        "system": system.name,
        "migration": row["migration_id"],
        "status": row["status"],
        "in force": f"{active['model']}, {Chunking.named(active['chunker_version']).described}",
        "next": advice(row["status"], verdicts, system.name),
        **({"comparison": table(told.select(TOLD))} if told.height else {}),
    }
    context.log_event(dg.AssetMaterialization(asset, metadata=metadata))
