"""Incidents out of signals: one for each episode of a cause, with the status people gave it.

Signals decide that an incident exists and when it comes back, or a person does (`reported`); people decide
everything else, by events that are only ever appended. Nothing resolves by itself: a limit that holds again
is evidence, a person closes. Clocks are in `clocks`, what to do is in the runbooks.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import polars as pl

from aiops_pipelines.incidents.clocks import UTC_WEEK, BusinessCalendar, Step, clocks
from aiops_pipelines.incidents.course import Course, Row
from aiops_pipelines.incidents.reported import REPORTED, RULE, reported_incident
from aiops_pipelines.incidents.rules import CAUSES

TIME = pl.Datetime("us", "UTC")
INCIDENTS = pl.Schema(
    {
        **dict.fromkeys(("system", "incident_id", "cause", "severity", "title", "status"), pl.String()),
        **dict.fromkeys(("opened_at", "last_signal_at", "acknowledge_due_at", "mitigate_due_at"), TIME),
        **dict.fromkeys(
            ("resolve_due_at", "escalate_at", "acknowledged_at", "mitigated_at", "resolved_at"), TIME
        ),
        "runbook": pl.String(),
        "signals": pl.Int64(),
        "evidence": pl.String(),
        "source": pl.String(),
        "began_at": TIME,
        "reported_by": pl.String(),
        "reopened": pl.Int64(),
    }
)
CHANGES = pl.Schema(dict.fromkeys(("system", "incident_id", "change"), pl.String()))

EPISODE_GAP = timedelta(days=14)
"""Signals of a cause at least this far apart are two incidents."""
WAITS_FOR = {"open": 0, "acknowledged": 1, "mitigated": 2}
"""Which of the three clocks runs out next."""
STEPS: tuple[Step, ...] = ("acknowledge", "mitigate", "resolve")
SENTENCES_SHOWN = 3


def incidents(
    signals: pl.DataFrame,
    events: pl.DataFrame,
    now: datetime,
    runbooks: Mapping[str, str] | None = None,
    calm: pl.DataFrame | None = None,
    known: pl.DataFrame | None = None,
    calendar: BusinessCalendar = UTC_WEEK,
    reports: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return one row of `incidents.incidents` for each episode of a cause and each report, as of `now`.

    Signals of a cause less than 14 days apart are one episode. A signal whose period starts after the
    incident was resolved reopens it, and its clocks start again.

    Args:
        signals: rows of `incidents.signals`, of any systems.
        events: rows of `incidents.incident_events`; what is later than `now` has not happened yet.
        now: the present, UTC-aware.
        runbooks: name of the runbook of each cause.
        calm: whole periods with data and no signal, as `rules.calm_periods` gives them.
        known: incidents as stored before; one that was opened during its first period keeps that time.
        calendar: business hours of P2 and P3.
        reports: rows of `incidents.reported_incidents`: what people opened.
    """
    opened = {} if known is None else dict(known.select("incident_id", "opened_at").iter_rows())
    happened = events.filter(pl.col("at") <= now).rows(named=True)
    still = [] if calm is None else calm.rows(named=True)
    rows = []
    for episode in _episodes(signals):
        first = episode[0]
        number = _incident_id(first["system"], first["cause"], first["period_start"])
        start = min(first["period_end"], opened.get(number, first["period_end"]))
        mine = [e for e in happened if e["system"] == first["system"] and e["incident_id"] == number]
        course = _course(start, episode, mine, number)
        rows.append(
            _described(number, episode, course, [c for c in still if c["system"] == first["system"]])
            | _due(course, _severity(episode), calendar, now)
            | {"opened_at": start, "runbook": (runbooks or {}).get(first["cause"])}
        )
    for report in () if reports is None else reports.filter(pl.col("reported_at") <= now).rows(named=True):
        number = report["incident_id"]
        mine = [e for e in happened if e["system"] == report["system"] and e["incident_id"] == number]
        course = _course(report["reported_at"], (), mine, number)
        row = reported_incident(report, course)
        row["evidence"] = " ".join([row["evidence"], *_set_aside(course)])
        runbook = {"runbook": (runbooks or {}).get(REPORTED)}
        rows.append(row | _due(course, report["severity"], calendar, now) | runbook)
    return pl.DataFrame(rows, schema=INCIDENTS).sort("opened_at", "system", "incident_id")


def waits_for(row: Mapping[str, Any]) -> Step:
    """Return the step an unresolved incident waits for: acknowledge, mitigate or resolve."""
    return STEPS[WAITS_FOR[row["status"]]]


def due_at(row: Mapping[str, Any]) -> datetime | None:
    """Return by when an unresolved incident's next step is due."""
    due: datetime | None = row[f"{waits_for(row)}_due_at"]
    return due


def unmatched_events(incidents: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return events whose incident is not there: late data can move an episode's start and number."""
    return events.join(incidents, on=["system", "incident_id"], how="anti")


def changes(
    before: pl.DataFrame,
    after: pl.DataFrame,
    since: datetime,
    now: datetime,
    news_for: timedelta = EPISODE_GAP,
    untold: Collection[str] = (),
) -> pl.DataFrame:
    """Return what to announce between two looks at the incidents: system, incident_id, change.

    A change is opened, a new status, a raised severity, or escalate: 80 % of the clock that runs now has
    passed, which the last look did not see. The clock may have run since before that look: a week that is
    judged on Monday morning was over at midnight, and a severity that is raised keeps the original start.
    What is first seen when its last signal is `news_for` old is history, of a log just brought in say: it
    stands in the tables and calls nobody, until it has a signal that is news.

    Args:
        before: incidents as the last look found them.
        after: incidents as they stand at `now`.
        since: the last look, UTC-aware.
        now: the present, UTC-aware.
        news_for: how long after its last signal an incident is news.
        untold: numbers of incidents in `before` that nobody was told of.
    """
    earlier = {(row["system"], row["incident_id"]): row for row in before.rows(named=True)}
    rows = []
    for row in after.rows(named=True):
        key = (row["system"], row["incident_id"])
        old = earlier.get(key)
        if old and key[1] in untold and _revived(old, row, since - news_for):
            old = None
        if old or now - row["last_signal_at"] < news_for:
            rows += [(*key, change) for change in _news(old, row, since, now)]
    return pl.DataFrame(rows, schema=CHANGES, orient="row")


def _news(old: Row | None, new: Row, since: datetime, now: datetime) -> Iterator[str]:
    if old is None:
        yield "opened"
    elif old["status"] != new["status"]:
        yield "reopened" if new["status"] == "open" else new["status"]
    if old is not None and new["severity"] < old["severity"]:
        yield f"raised to {new['severity']}"
    same = old is not None and all(old[name] == new[name] for name in ("status", "severity"))
    if _passed(new, now) and not (same and _passed(old, since)):
        yield "escalate"


def _revived(old: Row, new: Row, news: datetime) -> bool:
    """Say whether what was history has a new signal."""
    return bool(old["last_signal_at"] <= news and old["last_signal_at"] < new["last_signal_at"])


def _passed(row: Row | None, at: datetime) -> bool:
    return row is not None and row["escalate_at"] is not None and bool(row["escalate_at"] <= at)


def signals_of(incident_id: str, signals: pl.DataFrame) -> pl.DataFrame:
    """Return the signals that an incident is made of, earliest first; none if late data moved its start."""
    for episode in _episodes(signals):
        first = episode[0]
        if _incident_id(first["system"], first["cause"], first["period_start"]) == incident_id:
            return pl.DataFrame(episode, schema=signals.schema)
    return signals.clear()


def _episodes(signals: pl.DataFrame) -> Iterator[list[Row]]:
    """Yield the signals of each episode, in order of their periods."""
    ordered = signals.sort("system", "cause", "period_start", "period_end", "signal", "subject")
    episode: list[Row] = []
    for row in ordered.iter_rows(named=True):
        same = episode and (row["system"], row["cause"]) == (episode[0]["system"], episode[0]["cause"])
        if same and row["period_start"] - max(s["period_end"] for s in episode) < EPISODE_GAP:
            episode.append(row)
        else:
            if episode:
                yield episode
            episode = [row]
    if episode:
        yield episode


def _incident_id(system: str, cause: str, first_period: datetime) -> str:
    return "INC-" + sha256(f"{system}|{cause}|{first_period.isoformat()}".encode()).hexdigest()[:8]


def _severity(episode: Iterable[Row]) -> str:
    """P1 is the highest."""
    severity: str = min(row["severity"] for row in episode)
    return severity


def _course(start: datetime, episode: Sequence[Row], events: Sequence[Row], number: str) -> Course:
    """Follow signals and events in the order they happened; a signal from after the resolution reopens."""
    course = Course(start)
    for row in sorted([*episode, *events], key=lambda row: row.get("at") or row["period_end"]):
        if "event" in row:
            course = course.after(row)
        elif course.resolved_at is not None and row["period_start"] >= course.resolved_at:
            again = {
                "incident_id": number,
                "event": "reopened",
                "actor": row["signal"],
                "reason": row["evidence"],
            }
            course = course.after(again | {"at": row["period_end"]})
    return course


def _due(course: Course, severity: str, calendar: BusinessCalendar, now: datetime) -> Row:
    """Due times; while the clocks are paused they move on with `now`."""
    stopped = course.running(max(now, course.paused["at"]) if course.paused else now)
    running = clocks(severity, course.started_at, calendar, stopped.pauses)
    waits = WAITS_FOR.get(course.status)
    return {f"{clock.step}_due_at": clock.due_at for clock in running} | {
        "escalate_at": None if waits is None else running[waits].escalate_at
    }


def _described(number: str, episode: Sequence[Row], course: Course, calm: Sequence[Row]) -> Row:
    last = max(row["period_end"] for row in episode)
    return {
        "system": episode[0]["system"],
        "incident_id": number,
        "cause": episode[0]["cause"],
        "severity": _severity(episode),
        "title": CAUSES.get(episode[0]["cause"], episode[0]["cause"]),
        "status": course.status,
        "last_signal_at": last,
        "acknowledged_at": course.acknowledged_at,
        "mitigated_at": course.mitigated_at,
        "resolved_at": course.resolved_at,
        "signals": len(episode),
        "evidence": " ".join([*_evidence(episode), *_calmed(episode, last, calm), *_set_aside(course)]),
        "source": RULE,
        "began_at": episode[0]["period_start"],
        "reported_by": None,
        "reopened": course.reopened,
    }


def _evidence(episode: Sequence[Row]) -> list[str]:
    """How many signals, and the worst sentence of each thing that broke its limit, the gravest first."""
    by_value = sorted(episode, key=lambda row: row["value"] or 0)
    worst = {(row["signal"], row["subject"]): row["evidence"] for row in by_value}
    grave = sorted(episode, key=lambda row: row["severity"])
    sentences = list(dict.fromkeys(worst[row["signal"], row["subject"]] for row in grave))
    first, last = (min(row["period_start"] for row in episode), max(row["period_end"] for row in episode))
    count = [f"{len(episode)} signals from {first:%Y-%m-%d} to {last:%Y-%m-%d}, at worst:"]
    more = len(sentences) - SENTENCES_SHOWN
    return [
        *(count if len(episode) > 1 else []),
        *sentences[:SENTENCES_SHOWN],
        *([f"And {more} more."] if more > 0 else []),
    ]


def _calmed(episode: Sequence[Row], last: datetime, calm: Sequence[Row]) -> list[str]:
    """Say so when every limit the incident broke has held since, in a whole period with data."""
    held = {
        (row["signal"], row["subject"]): row["period_end"]
        for row in sorted(calm, key=lambda row: row["period_end"])
        if row["period_start"] >= last
    }
    broken = {(row["signal"], row["subject"]) for row in episode}
    if not broken <= held.keys():
        return []
    until = min(held[key] for key in broken)
    return [
        f"Every limit it broke has held since {last:%Y-%m-%d}, with data up to {until:%Y-%m-%d %H:%M} UTC."
    ]


def _set_aside(course: Course) -> list[str]:
    return [f"An event was set aside: {refused}" for refused in course.set_aside]
