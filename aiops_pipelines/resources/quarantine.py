"""Documents that are held out of an index for review, and the decision to serve one.

What holds them is `screening`. Whoever wants to keep one out for good writes it into corpus.quarantine, or
mends it at its source.
"""

from datetime import datetime

import polars as pl

from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.rag.poison import HELD, RELEASED
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.screening import FINDINGS
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System


class QuarantineError(ValueError, Mendable):
    """A document cannot be released; the message says why."""


def findings(warehouse: Warehouse, system: str) -> pl.DataFrame:
    """Return the rows of `rag.document_findings` of a system, the newest first."""
    return warehouse.rows(FINDINGS, system=system).sort("found_at", "document", descending=[True, False])


def release(
    warehouse: Warehouse,
    book: AuditBook,
    system: System,
    document: str,
    by: str,
    reason: str,
    clock: datetime,
) -> None:
    """Let the next run serve a held document as it is; another version of it is looked at anew.

    The decision goes to the audit log first: one that is logged and not carried out does no harm.

    Raises:
        QuarantineError: it is not held, nobody decides or there is no reason.
    """
    if not (by.strip() and reason.strip()):
        raise QuarantineError("A document is released by somebody and for a reason: --by NAME --reason TEXT.")
    rows = findings(warehouse, system.name)
    row = next(rows.filter(status=HELD, document=document).iter_rows(named=True), None)
    if row is None:
        held = ", ".join(rows.filter(status=HELD)["document"]) or "none"
        raise QuarantineError(f"{document} of {system.name} is not held for review; held: {held}.")
    now, who, why = system.now(clock), by.strip(), mask(reason.strip())[0]
    summary = f"{document} was released although it looked as if it was made against retrieval: {why}"
    details = {"document": document, "document_hash": row["document_hash"], "evidence": row["evidence"]}
    details |= {"reason": why}
    entry = decision_entry(system.name, "document_released", now, who, summary, details)
    book.append(system.name, [entry])
    this = (pl.col("document") == document) & (pl.col("document_hash") == row["document_hash"])
    decided = {"status": RELEASED, "decided_by": who, "decided_at": clock, "decision_reason": why}
    changed = rows.with_columns(
        pl.when(this).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in decided.items()
    )
    with warehouse.writing() as writer:
        writer.replace(FINDINGS, changed, system=system.name)
        writer.delete("rag.source_files", system=system.name, document=document)  # so that it is read again
