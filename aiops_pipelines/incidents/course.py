"""What people do with an incident: the events that are only ever appended, and the status they lead to.

Which incidents there are is decided in `lifecycle`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl

from aiops_pipelines.incidents.clocks import Pause
from aiops_pipelines.mendable import Mendable

EVENTS = pl.Schema(
    {
        **dict.fromkeys(("system", "incident_id"), pl.String()),
        "at": pl.Datetime("us", "UTC"),
        **dict.fromkeys(("event", "actor", "reason"), pl.String()),
    }
)
NEXT = {
    "open": {"acknowledged": "acknowledged", "mitigated": "mitigated", "resolved": "resolved"},
    "acknowledged": {"mitigated": "mitigated", "resolved": "resolved"},
    "mitigated": {"resolved": "resolved", "reopened": "open"},
    "resolved": {"reopened": "open"},
}
"""Status by status, the events that can happen and the status they lead to."""
NEEDS_A_REASON = ("resolved", "reopened", "paused")
LONGEST = {"--by": 120, "--reason": 4_000, "--reference": 500}
"""Characters; an entry of the audit log has 65,535 bytes, and one that is longer would stop the log."""
Row = dict[str, Any]


class IncidentError(Mendable, ValueError):
    """An event that cannot happen to an incident; the message says why, and what can."""


@dataclass(frozen=True)
class Course:
    """Where an incident stands after its events; `started_at` is when its clocks began to run."""

    started_at: datetime
    status: str = "open"
    acknowledged_at: datetime | None = None
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    pauses: tuple[Pause, ...] = ()
    paused: Row | None = None
    set_aside: tuple[str, ...] = ()
    reopened: int = 0

    def after(self, event: Row) -> "Course":
        """Return the course after an event; one that cannot happen is set aside with its reason."""
        if refused := refusal(self.status, self.paused is not None, event):
            return replace(self, set_aside=(*self.set_aside, refused))
        if event["event"] == "paused":
            return replace(self, paused=event)
        course = self.running(event["at"])
        if event["event"] == "resumed":
            return course
        if event["event"] == "reopened":
            return Course(event["at"], set_aside=self.set_aside, reopened=self.reopened + 1)
        status = NEXT[self.status][event["event"]]
        return replace(course, status=status, **{f"{status}_at": event["at"]})

    def running(self, at: datetime) -> "Course":
        """Return the course with a running pause ended; whoever acts on an incident ends its pause."""
        if self.paused is None:
            return self
        pause = Pause(self.paused["at"], at, self.paused["reason"])
        return replace(self, pauses=(*self.pauses, pause), paused=None)


def refusal(status: str, paused: bool, event: Row) -> str | None:
    """Say why an event cannot happen to an incident of a status, or None when it can."""
    kind, number = event["event"], event["incident_id"]
    possible = [*NEXT[status], *(() if status == "resolved" else ("resumed",) if paused else ("paused",))]
    if kind not in possible:
        state = f"{status} and paused" if paused else status
        return f"{number} is {state}, so it cannot be {kind}; it can be {' or '.join(possible)}."
    if not (event["actor"] or "").strip():
        return f"{number} cannot be {kind} by nobody; give the actor."
    if kind in NEEDS_A_REASON and not (event["reason"] or "").strip():
        return f"{number} cannot be {kind} without a reason; say what was found."
    return None


def new_event(
    incident: Row, events: pl.DataFrame, event: str, actor: str, reason: str, at: datetime
) -> pl.DataFrame:
    """Return the row to append to `incidents.incident_events` for something a person did.

    `incident` is a row of `incidents.incidents`, `events` all events so far, `at` is UTC-aware.

    Raises:
        IncidentError: it cannot happen to an incident of this status, lies before its last event, or lacks
            an actor or, for resolved, reopened and paused, a reason.
    """
    row = {name: incident[name] for name in ("system", "incident_id")}
    row |= {"at": at, "event": event, "actor": actor, "reason": reason}
    mine = events.filter(system=row["system"], incident_id=row["incident_id"])
    earlier = mine.sort("at", maintain_order=True).rows(named=True)
    paused = bool(earlier) and earlier[-1]["event"] == "paused"
    if earlier and at < earlier[-1]["at"]:
        raise IncidentError(f"{row['incident_id']} has an event of {earlier[-1]['at']}; add only later ones.")
    refused = refusal(incident["status"], paused, row)
    if refused := refused or too_long({"--by": actor, "--reason": reason}):
        raise IncidentError(refused)
    return pl.DataFrame([row], schema=EVENTS)


def too_long(given: Mapping[str, str]) -> str | None:
    """Say which option is longer than what the audit log can hold, where what is recorded stays for good."""
    for option, text in given.items():
        if len(text) > LONGEST[option]:
            return (
                f"{option} has {len(text):,} characters in all; say it in {LONGEST[option]:,}, and the rest "
                "where the incident is worked on."
            )
    return None
