"""Remedies: what was done against an incident, as rows that are only ever appended.

A remedy changes no status, and several may stand on one incident. Whether one held is `remedy_proof`.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import polars as pl

from aiops_pipelines.incidents.course import IncidentError
from aiops_pipelines.wording import moment

TIME = pl.Datetime("us", "UTC")
REMEDIES = pl.Schema(
    {
        **dict.fromkeys(("system", "incident_id", "remedy_id"), pl.String()),
        **dict.fromkeys(("at", "recorded_at"), TIME),
        **dict.fromkeys(("kind", "did", "actor", "run_id", "outcome"), pl.String()),
    }
)
KINDS = ("prompt", "model", "index", "retrieval", "guardrail", "configuration", "other")
LONGEST = {"did": 2_000, "actor": 120}
Row = Mapping[str, Any]


def remedy_id(system: str, incident_id: str, at: datetime, did: str) -> str:
    """Return the number of a remedy, made of where, when and what."""
    content = f"{system}|{incident_id}|{at.isoformat()}|{did}"
    return "REM-" + sha256(content.encode()).hexdigest()[:8]


def possible(incident: Row, told: Row, now: datetime) -> dict[str, Any]:
    """Return what is told with its words in a line; before a run, so that what was run can be recorded.

    Raises:
        IncidentError: it cannot be so.
    """
    key = {name: incident[name] for name in ("system", "incident_id")}
    row = key | dict(told) | {name: " ".join(told[name].split()) for name in LONGEST}
    if refused := _refusal(incident, row, now):
        raise IncidentError(refused)
    return row


def new_remedy(incident: Row, told: Row, earlier: pl.DataFrame, now: datetime) -> tuple[str, pl.DataFrame]:
    """Return a remedy's number and the row to append for it to `incidents.remedies`.

    There is no row if the same was recorded before.

    Args:
        incident: a row of `incidents.incidents`, of any status.
        told: kind, did, at (UTC-aware), actor; run_id and outcome of what was run here, else None.
        earlier: all rows so far.
        now: when it is recorded, UTC-aware.

    Raises:
        IncidentError: it cannot be so, or contradicts what was recorded under the same number.
    """
    row = possible(incident, told, now)
    key = {name: row[name] for name in ("system", "incident_id")}
    words = " ".join(filter(None, (row["did"], row["outcome"])))  # the same run twice is two remedies
    row["remedy_id"] = number = remedy_id(**key, at=row["at"], did=words)
    for before in earlier.filter(remedy_id=number, **key).rows(named=True):
        if other := [name for name in ("kind", "actor") if row[name] != before[name]]:
            raise IncidentError(
                f"{number} was recorded with these words and this time by {before['actor']} as "
                f"{before['kind']}; the first record stands. Say with other words what is different about "
                f"the {other[0]}."
            )
        return number, pl.DataFrame(schema=REMEDIES)
    return number, pl.DataFrame([row | {"recorded_at": now}], schema=REMEDIES)


def _refusal(incident: Row, row: Row, now: datetime) -> str | None:
    """Say why a remedy cannot be recorded, or None when it can."""
    number = incident["incident_id"]
    for name, option in (("did", "--did"), ("actor", "--by")):
        if not row[name]:
            return f"A remedy of {number} is recorded with what was done and by whom; give {option}."
        if len(row[name]) > LONGEST[name]:
            return f"{option} has {len(row[name]):,} characters; say it in {LONGEST[name]:,}."
    if row["kind"] not in KINDS:
        return f"{row['kind']!r} is no kind of remedy; give --kind {', '.join(KINDS[:-1])} or {KINDS[-1]}."
    if row["at"] > now:
        return f"--at {moment(row['at'])} is still to come; it is {moment(now)} for {row['system']}."
    if row["at"] < incident["began_at"]:
        return (
            f"--at {moment(row['at'])} lies before {number} began, {moment(incident['began_at'])}; what was "
            "done before cannot have been done against it."
        )
    return None
