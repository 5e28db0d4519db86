"""What can happen to an incident, in which order."""

from datetime import UTC, datetime

import polars as pl
import pytest

from aiops_pipelines.incidents.course import EVENTS, IncidentError, new_event

NOON = datetime(2026, 6, 8, 12, tzinfo=UTC)
NONE = pl.DataFrame(schema=EVENTS)


def incident(status: str) -> dict[str, str]:
    return {"system": "s", "incident_id": "INC-1", "status": status}


def event(
    status: str, kind: str, actor: str = "kim", reason: str = "because", events: pl.DataFrame = NONE
) -> pl.DataFrame:
    return new_event(incident(status), events, kind, actor, reason, NOON)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("open", "acknowledged"),
        ("open", "mitigated"),
        ("open", "resolved"),
        ("acknowledged", "mitigated"),
        ("acknowledged", "resolved"),
        ("mitigated", "resolved"),
        ("mitigated", "reopened"),
        ("resolved", "reopened"),
        ("open", "paused"),
    ],
)
def test_what_can_happen_is_a_row(status, kind):
    assert event(status, kind).rows() == [("s", "INC-1", NOON, kind, "kim", "because")]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("open", "reopened"),
        ("open", "resumed"),
        ("acknowledged", "acknowledged"),
        ("mitigated", "acknowledged"),
        ("resolved", "resolved"),
        ("resolved", "acknowledged"),
        ("resolved", "paused"),
        ("open", "deleted"),
    ],
)
def test_what_cannot_happen_says_what_can(status, kind):
    with pytest.raises(IncidentError, match=f"INC-1 is {status}, so it cannot be {kind}; it can be "):
        event(status, kind)


@pytest.mark.parametrize("kind", ["resolved", "paused"])
def test_closing_and_pausing_need_a_reason(kind):
    with pytest.raises(IncidentError, match=f"cannot be {kind} without a reason"):
        event("open", kind, reason=" ")
    assert event("open", "acknowledged", reason="").height == 1


def test_somebody_does_it():
    with pytest.raises(IncidentError, match="give the actor"):
        event("open", "acknowledged", actor="")


def test_a_pause_is_ended_once():
    paused = event("open", "paused")
    assert event("open", "resumed", events=paused).height == 1
    with pytest.raises(IncidentError, match="open and paused, so it cannot be paused"):
        event("open", "paused", events=paused)


def test_events_are_only_appended():
    later = event("open", "acknowledged").with_columns(pl.col("at") + pl.duration(hours=1))
    with pytest.raises(IncidentError, match="add only later ones"):
        event("acknowledged", "resolved", events=later)
