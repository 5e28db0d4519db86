"""What the law wants of incidents, in the warehouse: what people recorded, and the clocks that follow.

What can be recorded is `incidents.legal_events`, how time is counted `incidents.legal_clocks`.
"""

from datetime import datetime
from typing import Any

import polars as pl

from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.incidents.legal_clocks import legal_clocks
from aiops_pipelines.incidents.legal_events import new_legal_event
from aiops_pipelines.resources.decisions import find_incident
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

EVENTS, CLOCKS = "incidents.legal_events", "incidents.legal_clocks"


def legal_clocks_now(
    warehouse: Warehouse, system: System, incidents: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """Return the legal clocks of some incidents of a system, with everything recorded so far."""
    events = warehouse.rows(EVENTS, system=system.name)
    return legal_clocks(incidents, events, system.regimes, system.business_hours.calendar.zone, now)


def record_legal_event(
    warehouse: Warehouse, systems: list[System], number: str, event: dict[str, Any], clock: datetime
) -> tuple[System, str]:
    """Append what a person recorded; return the incident's system and its whole number.

    `event` is as `new_legal_event` takes it; without `at` it happened now. Personal data in its reason is
    masked. Who recorded it stays as given, and so does the reference, by which an authority finds a notice.

    Raises:
        IncidentError: there is no such incident, or it cannot be so.
    """
    system, incident = find_incident(warehouse, systems, number, clock)
    now = system.now(clock)
    told = event | {"at": event["at"] or now, "reason": mask(event["reason"])[0]}
    row = new_legal_event(incident, warehouse.rows(EVENTS), system.regimes, told, now)
    with warehouse.writing() as writer:
        writer.append(EVENTS, row)
    return system, incident["incident_id"]
