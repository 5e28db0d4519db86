"""What people record for the law about an incident: awareness, classification and notices.

Events are only ever appended: a correction is a further row, and the first stays. What follows from them is
`legal_clocks`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from aiops_pipelines.compliance.deadlines import NOT_REPORTABLE, notices, regimes
from aiops_pipelines.incidents.course import IncidentError, Row, too_long
from aiops_pipelines.wording import listed, moment

LEGAL_EVENTS = pl.Schema(
    {
        **dict.fromkeys(("system", "incident_id"), pl.String()),
        "recorded_at": pl.Datetime("us", "UTC"),
        **dict.fromkeys(("regime", "event", "about"), pl.String()),
        "at": pl.Datetime("us", "UTC"),
        **dict.fromkeys(("actor", "reason", "reference"), pl.String()),
    }
)
AWARE, CLASSIFIED, NOTIFIED, WITHDRAWN = "aware", "classified", "notified", "withdrawn"


@dataclass(frozen=True)
class Recorded:
    """What is recorded of one incident under one regime, in the order it was recorded.

    Of awareness and classification the last row counts. Notices are those that were not withdrawn.
    """

    aware: tuple[Row, ...] = ()
    classified: tuple[Row, ...] = ()
    notices: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)

    @property
    def aware_at(self) -> datetime | None:
        """When people became aware, by the last correction."""
        return self.aware[-1]["at"] if self.aware else None

    @property
    def kind(self) -> str | None:
        """What the incident is classified as."""
        return self.classified[-1]["about"] if self.classified else None

    def starts(self) -> dict[str, datetime]:
        """Return what deadlines are counted from: a notice from its first submission, or from its last."""
        found: dict[str, datetime] = {} if self.aware_at is None else {"awareness": self.aware_at}
        if self.classified and self.kind != NOT_REPORTABLE:
            found["classified"] = self.classified[-1]["at"]
        for notice, rows in self.notices.items():
            times = [row["at"] for row in rows]
            found |= {notice: min(times), f"last {notice}": max(times)}
        return found


def recorded(events: Iterable[Row]) -> Recorded:
    """Return what the events of one incident and regime amount to."""
    aware: list[Row] = []
    classified: list[Row] = []
    sent: dict[str, list[Row]] = {}
    for row in sorted(events, key=lambda row: row["recorded_at"]):
        if row["event"] == WITHDRAWN:
            _withdraw(sent.get(row["about"], []), row["reference"])
        elif row["event"] == NOTIFIED:
            sent.setdefault(row["about"], []).append(row)
        else:
            (aware if row["event"] == AWARE else classified).append(row)
    left = {name: tuple(rows) for name, rows in sent.items() if rows}
    return Recorded(tuple(aware), tuple(classified), left)


def _withdraw(given: list[Row], reference: str | None) -> None:
    """Take back the notice with this reference, or the one recorded last: those before it were given."""
    named = [row for row in given if reference and row["reference"] == reference]
    for row in (named or given)[-1:]:
        given.remove(row)


def sentence(event: Row) -> str:
    """Say what was recorded, when and by whom: aware under gdpr, recorded 4 Aug 2026 10:00 UTC by Mira."""
    what = f"{event['event']} {event['about'] or ''}".strip().replace("_", " ")
    said = f"{what} under {event['regime']}, recorded {moment(event['recorded_at'])} by {event['actor']}"
    why = "; ".join(part for part in (event["reference"], event["reason"]) if part)
    return f"{said}: {why}" if why else said


def new_legal_event(
    incident: Mapping[str, Any], events: pl.DataFrame, under: Iterable[str], event: Row, now: datetime
) -> pl.DataFrame:
    """Return the row to append to `incidents.legal_events` for something a person recorded.

    Args:
        incident: a row of `incidents.incidents`, of any status: the law does not ask for it.
        events: all rows of `incidents.legal_events` so far.
        under: the regimes that the system's file names.
        event: regime, event, about (a classification or a notice), at (UTC-aware), actor, reason, reference.
        now: when it is recorded, UTC-aware.

    Raises:
        IncidentError: it cannot be so, or lacks what makes it worth something as evidence.
    """
    key = {name: incident[name] for name in ("system", "incident_id")}
    earlier = recorded(events.filter(regime=event["regime"], **key).rows(named=True))
    given = {"--by": event["actor"], "--reason": event["reason"], "--reference": event["reference"]}
    if refused := _refusal(incident, list(under), earlier, event, now) or too_long(given):
        raise IncidentError(refused)
    return pl.DataFrame([key | {"recorded_at": now} | event], schema=LEGAL_EVENTS)


def _refusal(
    incident: Mapping[str, Any], under: list[str], earlier: Recorded, event: Row, now: datetime
) -> str | None:
    """Say why something cannot be recorded, or None when it can."""
    system, regime, number = incident["system"], event["regime"], incident["incident_id"]
    if regime not in under:
        named = f"it names {listed(under)}" if under else "it names none"
        return f"{system} is not under {regime!r} by its file ({named}); write it under regimes first."
    if not event["actor"].strip():
        return f"Nobody recorded this of {number}; give the name of who did."
    if event["at"] > now:
        return f"{moment(event['at'])} is not over yet; record what has happened."
    if event["event"] in (NOTIFIED, WITHDRAWN):
        return _refused_notice(number, earlier, event)
    if event["event"] == CLASSIFIED and event["about"] not in (kinds := kinds_of(regime)):
        return f"Under {regime} an incident is {' or '.join(kinds)}, not {event['about']!r}."
    before = earlier.aware if event["event"] == AWARE else earlier.classified
    if (before or event["about"] == NOT_REPORTABLE) and not event["reason"].strip():
        said = f"It is recorded already ({moment(before[-1]['at'])}); a correction" if before else "This"
        return f"{said} takes a reason, which is kept with it."
    return None


def _refused_notice(number: str, earlier: Recorded, event: Row) -> str | None:
    regime, notice = event["regime"], event["about"]
    asked = notices(regime)
    if notice not in asked:
        return f"The notices under {regime} are {listed(asked)}, not {notice!r}."
    if event["event"] == WITHDRAWN:
        if notice not in earlier.notices:
            return f"No {notice} of {number} is recorded under {regime}, so none can be withdrawn."
        given = [row["reference"] for row in earlier.notices[notice]]
        if event["reference"].strip() and event["reference"] not in given:
            return f"No {notice} of {number} has the reference {event['reference']}; it was {listed(given)}."
        return None if event["reason"].strip() else "What was recorded is withdrawn only with a reason."
    starts = earlier.starts()
    if not starts.keys() & {"awareness", "classified"}:
        return f"Record first when people became aware of {number} under {regime}: `aiops incident aware`."
    if missing := [one for one in asked[: asked.index(notice)] if one not in starts]:
        return f"The {missing[0]} of {number} comes before its {notice}; record it first."
    if event["at"] < min(starts.values()):
        return f"{number} cannot be notified before {moment(min(starts.values()))}, when it became known."
    if not event["reference"].strip():
        return (
            "A notice is recorded with the reference by which it is found again, say the authority's number."
        )
    return None


def kinds_of(regime: str) -> list[str]:
    """Return what an incident can be classified as."""
    return [*regimes()[regime].kinds, NOT_REPORTABLE]
