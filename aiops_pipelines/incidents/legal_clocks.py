"""Legal clocks: by when the law asks for which notice of an incident, and how each stands.

They start with what people recorded (`legal_events`), rest for nothing and end with a recorded notice alone:
neither an acknowledgement nor a resolution is one. Response clocks are `clocks`; the law is in `compliance`.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import polars as pl

from aiops_pipelines.compliance.deadlines import (
    NOT_ADVICE,
    NOT_REPORTABLE,
    Deadline,
    deadlines,
    notices,
    regimes,
)
from aiops_pipelines.document import Column, Table, Tone
from aiops_pipelines.incidents.clocks import ESCALATE_AT, clock_result
from aiops_pipelines.incidents.course import Row
from aiops_pipelines.incidents.legal_events import Recorded, recorded
from aiops_pipelines.wording import inert, listed, moment, some

TIME = pl.Datetime("us", "UTC")
LEGAL_CLOCKS = pl.Schema(
    {
        **dict.fromkeys(
            ("system", "incident_id", "regime", "notice", "article", "fact", "kind"), pl.String()
        ),
        **dict.fromkeys(("first_aware_at", "aware_at", "first_classified_at", "classified_at"), TIME),
        **dict.fromkeys(("remind_at", "due_at", "notified_at"), TIME),
        **dict.fromkeys(("reference", "state"), pl.String()),
    }
)
CHANGES = pl.Schema(dict.fromkeys(("system", "incident_id", "change", "due"), pl.String()))
NOT_EVIDENCED, NOT_ASKED, NOT_STARTED = "NOT EVIDENCED", "not reportable", "not started"
TONES: Mapping[str, Tone] = {
    **dict.fromkeys(("overdue", "missed"), "bad"),
    **dict.fromkeys(("due", "running"), "warn"),
    NOT_EVIDENCED: "unknown",
    "met": "good",
}
TITLE = "Legal clocks (counted from facts read in secondary sources; not legal advice)"


def legal_clocks(
    incidents: pl.DataFrame, events: pl.DataFrame, under: Iterable[str], zone: ZoneInfo, now: datetime
) -> pl.DataFrame:
    """Return one row of `incidents.legal_clocks` for each notice that a regime may ask for of an incident.

    `state` is NOT EVIDENCED while nobody recorded awareness, nor that the incident is not reportable; not
    reportable; not started (it is counted from an earlier notice); running, due (80 % of its time is over) or
    overdue; and met or missed once notified.

    Args:
        incidents: rows of `incidents.incidents` of one system.
        events: rows of `incidents.legal_events`; a regime that is in them counts, whatever the file says now.
        under: the regimes that the system's file names.
        zone: where days are counted.
        now: UTC-aware.
    """
    rows = []
    for incident in incidents.sort("opened_at", "incident_id").rows(named=True):
        key = {name: incident[name] for name in ("system", "incident_id")}
        mine = events.filter(**key).rows(named=True)
        for regime in dict.fromkeys((*under, *sorted({row["regime"] for row in mine}))):
            found = recorded(row for row in mine if row["regime"] == regime)
            for notice in notices(regime):
                rows.append(
                    key | {"regime": regime, "notice": notice} | _clock(regime, notice, found, zone, now)
                )
    return pl.DataFrame(rows, schema=LEGAL_CLOCKS)


def _clock(regime: str, notice: str, found: Recorded, zone: ZoneInfo, now: datetime) -> Row:
    asked = [one for one in deadlines() if (one.regime, one.notice) == (regime, notice)]
    applicable = [one for one in asked if not one.kinds or found.kind in one.kinds]
    counted = _counted(applicable, found.starts(), zone)
    sent = min(found.notices.get(notice, ()), key=lambda row: row["at"], default=None)
    start, due, deadline = counted or (None, None, applicable[0])
    remind = start + ESCALATE_AT * (due - start) if start and due else None
    row = {
        "article": deadline.article,
        "fact": deadline.fact,
        "kind": found.kind,
        "first_aware_at": found.aware[0]["at"] if found.aware else None,
        "aware_at": found.aware_at,
        "first_classified_at": found.classified[0]["at"] if found.classified else None,
        "classified_at": found.classified[-1]["at"] if found.classified else None,
        "remind_at": remind,
        "due_at": due,
        "notified_at": sent and sent["at"],
        "reference": sent and sent["reference"],
    }
    return row | {"state": _state(row, now)}


def _counted(
    applicable: list[Deadline], starts: Mapping[str, datetime], zone: ZoneInfo
) -> tuple[datetime, datetime, Deadline] | None:
    """Return start, end and law of the deadline that counts: the first to end of those that are not past.

    What is classified as major 30 h after awareness is due 4 h later, and not 6 h before it was.
    """
    running = [
        (starts[one.after], one.ends(starts[one.after], zone), one)
        for one in applicable
        if one.after in starts
    ]
    latest = max((start for start, _, _ in running), default=None)
    live = [one for one in running if latest and one[1] >= latest]
    return min(live, key=lambda one: one[1], default=None)


def _state(row: Row, now: datetime) -> str:
    """Say how a clock stands; a notice that was given is judged, whatever was said of it later."""
    if row["notified_at"] is None and row["kind"] == NOT_REPORTABLE:
        return NOT_ASKED
    if row["due_at"] is None:
        return NOT_STARTED if row["aware_at"] or row["classified_at"] else NOT_EVIDENCED
    result = clock_result(row["due_at"], row["notified_at"], now)
    if result == "running":
        return "due" if row["remind_at"] <= now else "running"
    return "overdue" if row["notified_at"] is None else result


def legal_result(row: Row, as_at: datetime) -> str:
    """Judge a clock at a moment, in the words of the response clocks: met, missed, running."""
    if row["state"] in (NOT_ASKED, NOT_STARTED, NOT_EVIDENCED):
        return str(row["state"])
    return clock_result(row["due_at"], row["notified_at"], as_at)


def legal_changes(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Return what to announce between two looks at the clocks: those that became due, and overdue.

    Both are an `escalate` with the notice in brackets; `due` says by when, and by which article.
    """
    key = ["system", "incident_id", "regime", "notice"]
    then = {tuple(row[name] for name in key): row for row in before.rows(named=True)}
    rows = []
    for row in after.filter(pl.col("state").is_in(("due", "overdue"))).rows(named=True):
        old = then.get(tuple(row[name] for name in key))
        if old is None or old["state"] != row["state"]:
            change = f"escalate ({regimes()[row['regime']].title} {row['notice']} {row['state']})"
            rows.append(
                (row["system"], row["incident_id"], change, f"{name_of(row)} {stands(row)}. {NOT_ADVICE}")
            )
    return pl.DataFrame(rows, schema=CHANGES, orient="row")


def name_of(row: Row) -> str:
    """Name a notice with its article: GDPR 33(1) notification."""
    return f"{regimes()[row['regime']].title} {row['article']} {row['notice']}"


def stands(row: Row) -> str:
    """Say how a clock stands: overdue since 5 Aug 2026 10:00 UTC, counted from ..."""
    state = row["state"]
    if state == NOT_EVIDENCED:
        return "NOT EVIDENCED: nobody recorded awareness, nor that it is not reportable"
    if state in (NOT_ASKED, NOT_STARTED):
        return f"is {state}" if state == NOT_ASKED else "has not started: an earlier notice comes first"
    if row["notified_at"]:
        how = "in time" if state == "met" else f"late, it was due {moment(row['due_at'])}"
        return f"notified {moment(row['notified_at'])} ({inert(row['reference'])}), {how}"
    return (
        f"{'overdue since' if state == 'overdue' else 'by'} {moment(row['due_at'])}, {'; '.join(_basis(row))}"
    )


def _basis(row: Row) -> Iterator[str]:
    """Yield what a deadline is counted from, and what may make it shorter."""
    if row["aware_at"]:
        yield f"aware {_corrected(row, 'aware_at')}"
    if row["classified_at"]:
        yield f"classified as {row['kind'].replace('_', ' ')} {_corrected(row, 'classified_at')}"
    shorter = {kind for one in deadlines() if one.regime == row["regime"] for kind in one.kinds}
    if shorter and not row["kind"]:
        kinds = listed([kind.replace("_", " ") for kind in regimes()[row["regime"]].kinds if kind in shorter])
        yield f"not classified yet, and {kinds} have less time"


def _corrected(row: Row, name: str) -> str:
    """Write a time as it was corrected last, with the first beside it: a deadline may have moved."""
    first, last = row[f"first_{name}"], row[name]
    return moment(last) if first in (None, last) else f"{moment(last)} (first recorded as {moment(first)})"


def legal_lines(clocks: Iterable[Row]) -> list[tuple[Tone, str]]:
    """Return a sentence for each clock, with its tone; a notice that has not started is left out."""
    return [
        (TONES.get(row["state"], "plain"), f"{name_of(row)}: {stands(row)}.")
        for row in clocks
        if row["state"] != NOT_STARTED
        and (row["state"] != NOT_EVIDENCED or row["notice"] == notices(row["regime"])[0])
    ]


def legal_rows(clocks: Iterable[Row], incidents: Iterable[Row], start: datetime, end: datetime) -> list[Row]:
    """Return the clocks of a period: of incidents that were open in it, and what was still to be notified.

    A resolved incident goes on here until its notices are given.
    """
    known = {row["incident_id"]: row for row in incidents if row["opened_at"] < end}
    still = {
        number for number, row in known.items() if row["resolved_at"] is None or row["resolved_at"] >= start
    }
    return [
        row
        for row in clocks
        if row["incident_id"] in still or (row["incident_id"] in known and _owed(row, start))
    ]


def _owed(row: Row, start: datetime) -> bool:
    owed = row["due_at"] is not None and row["state"] != NOT_ASKED
    return owed and (row["notified_at"] is None or row["notified_at"] >= start)


def legal_sentence(rows: Iterable[Row], as_at: datetime) -> str:
    """Say how many legal clocks were missed at a moment, and of how many incidents nobody said a word."""
    results = [(row["incident_id"], legal_result(row, as_at)) for row in rows]
    missed = sum(result == "missed" for _, result in results)
    unsaid = len({number for number, result in results if result == NOT_EVIDENCED})
    said = [f"{some(missed, 'legal clock')} missed"] if missed else []
    said += [f"nobody recorded awareness of {some(unsaid, 'incident')}"] if unsaid else []
    words = "; ".join(said)
    return f" {words[0].upper()}{words[1:]}." if said else ""


def legal_table(clocks: Iterable[Row], incidents: Iterable[Row], as_at: datetime) -> Table:
    """Return legal clocks, with the titles of their incidents, as they stood at a moment."""
    titles = {row["incident_id"]: f"{row['title']} ({row['incident_id']})" for row in incidents}
    names = ("Incident", "Notice", "Classified as", "Aware", "Due", "Notified", "Reference")
    cells = tuple(
        (
            titles[row["incident_id"]],
            name_of(row),
            _classified(row),
            _aware(row),
            _written(row["due_at"], "none"),
            _written(row["notified_at"], "not yet" if row["due_at"] else "none"),
            row["reference"] or "none",
            legal_result(row, as_at),
        )
        for row in clocks
    )
    columns = (*map(Column, names), Column("Clock", "verdict"))
    return Table(TITLE, columns, cells, "incidents.legal_clocks", "No incident.")


def _classified(row: Row) -> str:
    if row["kind"] is None:
        return "not classified"
    return f"{row['kind'].replace('_', ' ')}, {_corrected(row, 'classified_at')}"


def _aware(row: Row) -> str:
    if row["state"] == NOT_EVIDENCED:
        return NOT_EVIDENCED
    return _corrected(row, "aware_at") if row["aware_at"] else "not recorded"


def _written(at: datetime | None, otherwise: str) -> str:
    return otherwise if at is None else moment(at)
