"""The switch of what is served: one row in one transaction, entered into the audit log first.

Whether a switch may happen is decided in `migrations`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.rag.recipes import Recipe
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.embedder import embedder
from aiops_pipelines.resources.recipes import ACTIVE, MIGRATIONS
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System


class MigrationRefused(Mendable, ValueError):
    """A migration cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Decided:
    """What becomes of a migration, by whom and why; `details` go to the audit log."""

    status: str
    by: str
    reason: str
    details: Mapping[str, str] = field(default_factory=dict)


def described(one: Recipe) -> str:
    """Return a recipe in words."""
    return f"{embedder(one.embedding).name} and {one.chunking.described}"


def switch(
    warehouse: Warehouse,
    book: AuditBook,
    system: System,
    row: Mapping[str, Any],
    wanted: Recipe,
    model: str,
    decided: Decided,
    clock: datetime,
) -> Mapping[str, Any]:
    """Log the decision, then switch: a decision that is logged and not carried out does no harm.

    Raises:
        MigrationRefused: nobody decides, or somebody else switched at this moment.
    """
    if not (by := decided.by.strip()):
        raise MigrationRefused("A switch is decided by somebody; give their name with --by.")
    now, number = system.now(clock), warehouse.rows(ACTIVE, system=system.name).height + 1
    decided = replace(decided, reason=mask(decided.reason)[0])
    summary = (
        f"Migration {row['migration_id']} was {decided.status}: the index is served with "
        f"{described(wanted)}. {decided.reason}"
    )
    details = {**decided.details, "reason": decided.reason, **wanted.keys, "switch": str(number)}
    what = f"migration_{decided.status.replace(' ', '_')}"
    book.append(system.name, [decision_entry(system.name, what, now, by, summary, details)])
    switched: dict[str, Any] = {
        **{"system": system.name, "number": number, "since": now, **wanted.keys, "model": model},
        **{"embedding": wanted.embedding, "chunk_characters": wanted.chunking.characters},
        **{"migration_id": row["migration_id"], "decided_by": by, "reason": decided.reason},
    }
    with warehouse.writing() as writer:
        before = writer.read(f"select count(*) as n from {ACTIVE} where system = ?", [system.name])
        if before["n"][0] != number - 1:
            raise MigrationRefused("Somebody else switched at this moment; see aiops migrate status.")
        writer.append(ACTIVE, framed(warehouse, ACTIVE, switched))
        done = {**row, "status": decided.status, "decided_at": clock}
        keys = {"system": system.name, "migration_id": row["migration_id"]}
        writer.replace(MIGRATIONS, framed(warehouse, MIGRATIONS, done), **keys)
    return switched


def framed(warehouse: Warehouse, table: str, row: Mapping[str, Any]) -> pl.DataFrame:
    """Return a row of a table as a frame of its schema."""
    return pl.DataFrame([dict(row)], schema=warehouse.tables[table].schema)
