"""Remedies in the warehouse: what people did is recorded, and what can be run here is run and then recorded.

What may be recorded is `incidents.remedies`. Running takes the functions behind `aiops reindex` and `aiops
migrate rollback`; what fails is not recorded as done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.incidents.course import IncidentError
from aiops_pipelines.incidents.remedies import new_remedy, possible, remedy_id
from aiops_pipelines.incidents.runbooks import Runbook
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.resources.decisions import find_incident
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.index_proof import prove
from aiops_pipelines.resources.migrations import Migrations
from aiops_pipelines.resources.pace import Tell, quiet
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

REMEDIES, PROOFS = "incidents.remedies", "incidents.remedy_proofs"
REINDEXED = "Brought the index up to date with its corpus."
ROLLED_BACK = "Rolled the index back to the one from before the last switch."
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Recorded:
    """A remedy as it stands in `incidents.remedies`; `new` is false of one that was recorded before."""

    system: System
    remedy: Row
    new: bool


def record_remedy(
    warehouse: Warehouse, systems: list[System], number: str, told: Row, clock: datetime
) -> Recorded:
    """Append what a person did against an incident; the status stays as it is.

    Args:
        warehouse: the working file.
        systems: where to look for the incident.
        number: of the incident.
        told: kind, did (personal data in it is masked), at (now if it is None) and actor, who stays as given.
        clock: the time, UTC.

    Raises:
        IncidentError: there is no such incident, or it cannot be so.
    """
    system, incident = find_incident(warehouse, systems, number, clock)
    masked = {"did": mask(" ".join(told["did"].split()))[0]}  # a number may go on in the next line
    by_people = {"at": told["at"] or system.now(clock), "run_id": None, "outcome": None}
    return _append(warehouse, system, incident, dict(told) | masked | by_people, clock)


def _append(warehouse: Warehouse, system: System, incident: Row, told: Row, clock: datetime) -> Recorded:
    with warehouse.held():  # nobody else writes between the look and the row
        earlier = warehouse.rows(REMEDIES, system=system.name)
        number, row = new_remedy(incident, told, earlier, system.now(clock))
        with warehouse.writing() as writer:
            writer.append(REMEDIES, row)
        kept = warehouse.rows(REMEDIES, system=system.name, remedy_id=number)
    return Recorded(system, kept.row(0, named=True), bool(row.height))


def runnable(incident: Row, runbook: Runbook | None) -> str:
    """Return what the runbook of an incident names to be run.

    Raises:
        IncidentError: it names nothing.
    """
    if runbook is None or runbook.run is None:
        of = f"The runbook {runbook.name}" if runbook else f"No runbook of {incident['incident_id']}"
        names = "names nothing that can be run here" if runbook else "can be used"
        raise IncidentError(
            f"{of} {names}. Do what it takes where the application lives, and record it: aiops incident "
            f"remedy {incident['incident_id']} --did TEXT --kind KIND --by NAME"
        )
    return runbook.run


def reindexed(
    warehouse: Warehouse, system: System, incident: Row, by: str, clock: datetime, tell: Tell = quiet
) -> Recorded:
    """Bring the index up to date with its corpus and record that as a remedy.

    Raises:
        IncidentError: it cannot be recorded, nothing was behind, or the index does not equal its source then.
        CorpusError, EmbedderError: the corpus cannot be read, or the model cannot be used.
    """
    told = _run_here(system, incident, by, clock, REINDEXED)
    now, number = system.now(clock), incident["incident_id"]
    run_id = remedy_id(system.name, number, now, REINDEXED)
    with warehouse.held():
        done = IndexBook(warehouse).reindex(system, clock, tell, run_id)
        found = prove(warehouse, system.name).findings
    if found:
        raise IncidentError(
            f"{' '.join(found)} So no remedy of {number} is recorded: aiops reindex {system.name} --anew "
            "reads, cuts and embeds again what is missing."
        )
    if done.index.is_empty():
        raise IncidentError(
            f"The index of {system.name} is level with its corpus already, so nothing was done and no remedy "
            f"of {number} is recorded. Is an older one served? Switch the application to "
            "the newest and record that with --did."
        )
    outcome = " ".join([*done.report.sentences()[:2], f"Built {', '.join(done.report.built)}."])
    return _append(warehouse, system, incident, told | {"run_id": run_id, "outcome": outcome}, clock)


def rolled_back(
    warehouse: Warehouse, moves: Migrations, system: System, incident: Row, by: str, clock: datetime
) -> Recorded:
    """Serve the index from before the last switch again and record that as a remedy.

    Raises:
        IncidentError: it cannot be recorded.
        MigrationRefused: there is nothing to roll back, or no model for it any more.
    """
    told = _run_here(system, incident, by, clock, ROLLED_BACK)
    switched = moves.rollback(system, told["actor"], f"A remedy of {incident['incident_id']}.", clock)
    recipe = f"{switched['model']}, {Chunking.named(switched['chunker_version']).described}"
    outcome = (
        f"In force is {recipe}, vectors {switched['embedding_version']}, by switch {switched['number']}."
    )
    run_id = f"switch {switched['number']}"
    return _append(warehouse, system, incident, told | {"run_id": run_id, "outcome": outcome}, clock)


def _run_here(system: System, incident: Row, by: str, clock: datetime, did: str) -> dict[str, Any]:
    """Return what is known of a remedy before it is run; one that could not be recorded is not run."""
    now = system.now(clock)
    return possible(incident, {"kind": "index", "did": did, "at": now, "actor": by}, now)
