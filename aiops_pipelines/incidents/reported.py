"""Incidents that people open because no rule found them: what they report, and the incident it makes.

Such an incident has a cause of its own, no signals, and a number made of what was reported, so that no signal
joins, reopens or calms it. Clocks, course, runbook and law treat it like any other. A report is not edited:
what is learned later is said with the events of the incident.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import polars as pl

from aiops_pipelines.incidents.course import Course, IncidentError
from aiops_pipelines.wording import moment, some

REPORTED = "reported"
"""Their cause, and the name of the runbook that comes with the project."""
RULE, PERSON = "rule", "person"
SEVERITIES = {
    "P1": "no useful outputs",
    "P2": "quality measurably worse",
    "P3": "an anomaly of cost or performance",
}
TIME = pl.Datetime("us", "UTC")
REPORTS = pl.Schema(
    {
        **dict.fromkeys(("system", "incident_id"), pl.String()),
        "reported_at": TIME,
        **dict.fromkeys(("severity", "title", "seen"), pl.String()),
        **dict.fromkeys(("began_at", "ended_at"), TIME),
        "calls": pl.List(pl.String),
        "reporter": pl.String(),
    }
)
LONGEST = {"title": 120, "seen": 2_000}
CALLS_BYTES = 20_000
"""The ids of its calls stand in one entry of the audit log, which has 65,535 bytes at most."""
Row = Mapping[str, Any]


def new_report(told: Row, earlier: pl.DataFrame, now: datetime) -> tuple[str, pl.DataFrame]:
    """Return an incident's number and the row to append for it to `incidents.reported_incidents`.

    There is no row if the same was reported before.

    Args:
        told: system, severity, title, seen, began_at, ended_at (or None), calls, reporter; times UTC-aware.
        earlier: all rows so far.
        now: when it is reported, UTC-aware.

    Raises:
        IncidentError: it cannot be so, or contradicts what was reported under the same number.
    """
    row = {**told, "title": _in_a_line(told["title"]), "seen": told["seen"].strip()}
    row |= {"reporter": _in_a_line(told["reporter"]), "calls": sorted(set(told["calls"]))}
    if refused := _refusal(row, now):
        raise IncidentError(refused)
    row["incident_id"] = _number(row)
    for before in earlier.filter(system=row["system"], incident_id=row["incident_id"]).rows(named=True):
        if other := [name for name in row if row[name] != before[name]]:
            raise IncidentError(
                f"{row['incident_id']} was opened with this title and beginning by {before['reporter']}, "
                f"{moment(before['reported_at'])}, but with another {other[0].replace('_at', '')}. The first "
                "report stands: say what is new with its events, or open another one under its own title."
            )
        return row["incident_id"], pl.DataFrame(schema=REPORTS)
    return row["incident_id"], pl.DataFrame([row | {"reported_at": now}], schema=REPORTS)


def _in_a_line(text: str) -> str:
    return " ".join(text.split())


def _refusal(row: Row, now: datetime) -> str | None:
    """Say why nothing can be opened of a report, or None when it can."""
    if row["severity"] not in SEVERITIES:
        each = ", ".join(f"{name} ({meaning})" for name, meaning in SEVERITIES.items())
        return f"{row['severity']!r} is no severity; there are {each}. If in doubt, take the higher one."
    for name, what in (("title", "a title"), ("seen", "what was seen"), ("reporter", "who reports it")):
        if not row[name]:
            return f"An incident is opened with {what}; give --{'by' if name == 'reporter' else name}."
        if len(row[name]) > LONGEST.get(name, LONGEST["title"]):
            return (
                f"--{'by' if name == 'reporter' else name} has {len(row[name]):,} characters; say it in "
                + (f"{LONGEST.get(name, LONGEST['title']):,}, and the rest where the incident is worked on.")
            )
    if len(", ".join(row["calls"]).encode()) > CALLS_BYTES:
        return f"--call names {some(len(row['calls']), 'inference')}; name those that show it best."
    for name, option in (("began_at", "--began"), ("ended_at", "--until")):
        if row[name] and row[name] > now:
            return f"{option} {moment(row[name])} is not over yet; it is {moment(now)} for {row['system']}."
    if row["ended_at"] and row["ended_at"] < row["began_at"]:
        return "--until lies before --began; give the stretch in which it was seen."
    return None


def _number(row: Row) -> str:
    content = f"{row['system']}|{REPORTED}|{row['began_at'].isoformat()}|{row['title']}"
    return "INC-" + sha256(content.encode()).hexdigest()[:8]


def reported_incident(report: Row, course: Course) -> dict[str, Any]:
    """Return what a row of `incidents.incidents` says of a report, but for its due times and runbook."""
    return {
        "system": report["system"],
        "incident_id": report["incident_id"],
        "cause": REPORTED,
        "severity": report["severity"],
        "title": report["title"],
        "status": course.status,
        "opened_at": report["reported_at"],
        "last_signal_at": report["reported_at"],
        "acknowledged_at": course.acknowledged_at,
        "mitigated_at": course.mitigated_at,
        "resolved_at": course.resolved_at,
        "signals": 0,
        "evidence": " ".join([report["seen"], _concerned(report)]),
        "source": PERSON,
        "began_at": report["began_at"],
        "reported_by": report["reporter"],
        "reopened": course.reopened,
    }


def _concerned(report: Row) -> str:
    until = f" and was seen until {moment(report['ended_at'])}" if report["ended_at"] else ""
    named = report["calls"]
    calls = f", of {some(len(named), 'inference')}: {', '.join(named)}" if named else ""
    return f"It began {moment(report['began_at'])}{until}. Reported by {report['reporter']}{calls}."
