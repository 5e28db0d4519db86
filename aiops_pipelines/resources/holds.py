"""Legal holds: what they cover is neither deleted by its term nor erased until somebody releases them.

A hold covers the calls of a system, of one of its users, of a period or of an incident's period. The user is
kept as a keyed hash, and in the log by the name that user's calls have there.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from aiops_pipelines.compliance.audit_entry import decision_entry, user_name
from aiops_pipelines.compliance.erasure import mark
from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.incidents.lifecycle import signals_of
from aiops_pipelines.incidents.reported import PERSON
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.decisions import REPORTED, find_incident
from aiops_pipelines.resources.people import as_stored, calls_of, marked
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

HOLDS = "compliance.legal_holds"
HELD = pl.Schema({"event_id": pl.String(), "hold_id": pl.String()})
IN_PERIOD = """
    select event_id from inference_log.inferences where system = $1
    and ($2 is null or occurred_at >= $2) and ($3 is null or occurred_at < $3)
"""


class HoldError(Mendable, ValueError):
    """A hold cannot be placed or released; the message says why."""


@dataclass(frozen=True)
class Covered:
    """What a hold is about besides the system; all of it if nothing is given."""

    user_id: str | None = None
    incident: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def place(
    warehouse: Warehouse,
    book: AuditBook,
    system: System,
    covered: Covered,
    by: str,
    reason: str,
    clock: datetime,
) -> dict[str, Any]:
    """Place a hold and enter it into the audit log; return its row.

    Raises:
        HoldError: nobody places it, there is no reason, or it names a person or covers no moment.
        IncidentError: there is no such incident.
    """
    reason = _justified(by, reason, covered.user_id, "A hold is placed")
    keys, now = book.whole_keys(system.name), system.now(clock)
    since, until, incident = covered.since, covered.until, None
    if covered.incident:
        _, found = find_incident(warehouse, [system], covered.incident, clock)
        incident, of_cause = found["incident_id"], {"system": system.name, "cause": found["cause"]}
        signals = signals_of(incident, warehouse.rows("incidents.signals", **of_cause))
        since, until = signals["period_start"].min(), signals["period_end"].max()  # type: ignore[assignment]
        if found["source"] == PERSON:
            (told,) = warehouse.rows(REPORTED, system=system.name, incident_id=incident).rows(named=True)
            # one that is not over goes on until people resolve it
            since, until = found["began_at"], found["opened_at"] if told["ended_at"] else found["resolved_at"]
    if since and until and since >= until:
        raise HoldError("The period of the hold ends before it begins; --to is the day after its last one.")
    user = as_stored(keys, system.name, covered.user_id) if covered.user_id else None
    person = user and user_name(keys.subject(system.name, user), user)
    details = {
        "person": person,
        "since": since and since.isoformat(),
        "until": until and until.isoformat(),
        "incident_id": incident,
        "reason": reason,
    }
    summary = f"A legal hold was placed: {reason}"
    entry = decision_entry(system.name, "hold_placed", now, by.strip(), summary, details)
    row = dict.fromkeys(warehouse.tables[HOLDS].schema) | {
        "system": system.name,
        "hold_id": f"HOLD-{entry['entry_id'].removeprefix('decision:')[:8]}",
        "person": user and mark(keys.pepper(system.name), user),
        **{"since": since, "until": until, "incident_id": incident},
        **{"reason": reason, "placed_by": by.strip(), "placed_at": now},
    }
    frame = pl.DataFrame([row], schema=warehouse.tables[HOLDS].schema)
    keys_of = {"system": system.name, "hold_id": row["hold_id"]}
    book.append(system.name, [entry], lambda writer: writer.replace(HOLDS, frame, **keys_of))
    return row


def release(
    warehouse: Warehouse, book: AuditBook, system: System, hold_id: str, by: str, reason: str, clock: datetime
) -> None:
    """Release a hold and enter it into the audit log.

    Raises:
        HoldError: nobody releases it, there is no reason, or it does not hold.
    """
    reason = _justified(by, reason, None, "A hold is released")
    wanted, now = f"HOLD-{hold_id.strip().lower().removeprefix('hold-')}", system.now(clock)
    holding = active(warehouse, system.name)
    if wanted not in list(holding["hold_id"]):
        raise HoldError(
            f"No hold {wanted} of {system.name} is in force; those in force: "
            f"{', '.join(holding['hold_id']) or 'none'}."
        )
    details = {"hold_id": wanted, "reason": reason}
    summary = f"{wanted} was released: {reason}"
    entry = decision_entry(system.name, "hold_released", now, by.strip(), summary, details)
    said = {"released_by": by.strip(), "released_at": now, "released_because": reason}
    frame = pl.DataFrame([{"system": system.name, "hold_id": wanted} | said])
    book.append(system.name, [entry], lambda writer: writer.update(HOLDS, frame, ["system", "hold_id"]))


def active(warehouse: Warehouse, system: str) -> pl.DataFrame:
    """Return the holds of a system that are in force, the oldest first."""
    return warehouse.rows(HOLDS, system=system).filter(pl.col("released_at").is_null()).sort("placed_at")


def held_calls(warehouse: Warehouse, book: AuditBook, system: str) -> pl.DataFrame:
    """Return event_id and hold_id of every call that a hold in force covers."""
    found = [HELD.to_frame()]
    for row in active(warehouse, system).iter_rows(named=True):
        ends = [at and at.replace(tzinfo=None) for at in (row["since"], row["until"])]
        calls = warehouse.read(IN_PERIOD, [system, *ends])
        if row["person"]:
            user = marked(warehouse, book.keys, system, row["person"])
            theirs = calls_of(warehouse, system, user) if user else calls.clear()
            calls = calls.join(theirs, on="event_id", how="semi")
        found.append(calls.with_columns(hold_id=pl.lit(row["hold_id"])))
    return pl.concat(found)


def _justified(by: str, reason: str, user_id: str | None, what: str) -> str:
    if not (by.strip() and reason.strip()):
        raise HoldError(f"{what} by somebody and for a reason: --by NAME --reason TEXT.")
    if user_id and (user_id in reason or user_id in by):
        raise HoldError("The reason names the person, and the audit log keeps it for good; say it without.")
    return mask(reason.strip())[0]
