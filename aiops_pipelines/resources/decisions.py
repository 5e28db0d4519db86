"""What people decide and the warehouse keeps: what was done with an incident, and which baselines hold.

What can happen to an incident is `incidents.course`, what carries a baseline is `monitoring.baseline` and
`monitoring.service_baseline`.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import polars as pl

from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.incidents import lifecycle
from aiops_pipelines.incidents.course import IncidentError, new_event
from aiops_pipelines.incidents.post_incident import Known
from aiops_pipelines.incidents.reported import PERSON, new_report
from aiops_pipelines.monitoring.baseline import BaselineRefusedError, complete_weeks, freeze
from aiops_pipelines.monitoring.service_baseline import freeze_service
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.week_scores import Judge, ModelJudge, score_week
from aiops_pipelines.systems import System, monday

REPORTED = "incidents.reported_incidents"
CALLS = "select event_id from inference_log.inferences where system = ? and event_id in (select unnest(?))"
BASELINES, BASELINE_SCORES = "monitoring.baselines", "monitoring.baseline_scores"
SCORES = "monitoring.quality_scores"
SERVICE_BASELINES = "monitoring.service_baselines"
HOURLY = ("monitoring.hourly_traffic", "monitoring.latency_sketch")
Row = Mapping[str, Any]


def incidents_now(warehouse: Warehouse, system: System, clock: datetime) -> pl.DataFrame:
    """Return a system's incidents with everything people did since the last run."""
    stored = warehouse.rows("incidents.incidents", system=system.name)
    current = lifecycle.incidents(
        warehouse.rows("incidents.signals", system=system.name),
        warehouse.rows("incidents.incident_events", system=system.name),
        system.now(clock),
        dict(stored.select("cause", "runbook").iter_rows()),
        known=stored,
        calendar=system.business_hours.calendar,
        reports=warehouse.rows(REPORTED, system=system.name),
    )
    known = stored.select("incident_id", "runbook_digest", told="evidence")
    joined = current.join(known, on="incident_id", how="left", maintain_order="left")
    by_people = pl.col("source") == PERSON  # a signal alone is no incident before a run
    opened = joined.filter(by_people | pl.col("incident_id").is_in(stored["incident_id"].to_list()))
    return opened.with_columns(evidence=pl.coalesce("told", "evidence")).drop("told")


def find_incident(
    warehouse: Warehouse, systems: list[System], number: str, clock: datetime
) -> tuple[System, Row]:
    """Return an incident and its system by its number, with or without INC-.

    Raises:
        IncidentError: none of the systems has it.
    """
    wanted = f"INC-{number.strip().lower().removeprefix('inc-')}"
    for system in systems:
        for row in incidents_now(warehouse, system, clock).iter_rows(named=True):
            if row["incident_id"] == wanted:
                return system, row
    names = ", ".join(system.name for system in systems) or "no system"
    raise IncidentError(f"There is no incident {wanted} of {names}; `aiops incidents` lists them.")


def known_of(warehouse: Warehouse, incident: Row, legal_clocks: pl.DataFrame) -> Known:
    """Return what the tables hold of an incident; its legal clocks are given as they stand now."""
    key = {"system": incident["system"], "incident_id": incident["incident_id"]}
    signals = warehouse.rows("incidents.signals", system=incident["system"], cause=incident["cause"])
    mine = lifecycle.signals_of(incident["incident_id"], signals)
    names = ("incident_events", "announcements", "diagnoses", "legal_events")
    events, told, answers, legal_events = (warehouse.rows(f"incidents.{name}", **key) for name in names)
    done = (warehouse.rows(f"incidents.{name}", **key) for name in ("remedies", "remedy_proofs"))
    return Known(dict(incident), mine, events, told, answers, legal_events, legal_clocks, *done)


def record_event(
    warehouse: Warehouse,
    systems: list[System],
    number: str,
    event: str,
    actor: str,
    reason: str,
    clock: datetime,
    learned: str = "",
) -> tuple[System, Row]:
    """Append what a person did with an incident; return its system and the incident as it stands then.

    `learned` is what closing an incident takes besides its reason, as `lesson` gives it. Personal data in
    both is masked; who acted stays, also where it is an address: somebody answers for what was done.

    Raises:
        IncidentError: there is no such incident, or this cannot happen to it now.
    """
    system, incident = find_incident(warehouse, systems, number, clock)
    reason = mask(" ".join(part for part in (reason.strip(), learned) if part))[0]
    events = warehouse.rows("incidents.incident_events", system=system.name)
    row = new_event(dict(incident), events, event, actor.strip(), reason, system.now(clock))
    with warehouse.writing() as writer:
        writer.append("incidents.incident_events", row)
    return find_incident(warehouse, [system], incident["incident_id"], clock)


def open_incident(warehouse: Warehouse, system: System, told: Row, clock: datetime) -> tuple[Row, bool]:
    """Open an incident that a person reports; return it, and whether it is new.

    `told` is as `reported.new_report` takes it, but for the system. Personal data in it is masked.

    Raises:
        IncidentError: it cannot be so, or an inference that it names is not there.
    """
    calls = warehouse.read(CALLS, [system.name, list(told["calls"])])["event_id"].to_list()
    if missing := sorted(set(told["calls"]) - set(calls)):
        raise IncidentError(
            f"{system.name} has no inference {missing[0]!r}; --call takes an event_id of its inference log."
        )
    title = " ".join(told["title"].split())  # first, for a number may go on in the next line
    masked = {"title": mask(title)[0], "seen": mask(told["seen"])[0]}
    with warehouse.held():  # nobody else writes between the look and the row
        earlier = warehouse.rows(REPORTED, system=system.name)
        number, row = new_report({"system": system.name, **told, **masked}, earlier, system.now(clock))
        with warehouse.writing() as writer:
            writer.append(REPORTED, row)
    return find_incident(warehouse, [system], number, clock)[1], bool(row.height)


def lesson(incident: Row, digests: Mapping[str, str], runbook_change: str, waiver: str) -> str:
    """Return what an incident taught, in words: what changed in its runbook, or why it stays as it is.

    Raises:
        IncidentError: neither is said, or both; or the runbook is as it was when the incident was opened.
    """
    number, name = incident["incident_id"], f"{incident['runbook'] or 'its runbook'}.yaml"
    changed, waived = runbook_change.strip(), waiver.strip()
    if bool(changed) == bool(waived):
        raise IncidentError(
            f"{number} is resolved with what it taught: --runbook-change says what is new in {name}, or "
            "--waiver why it stays as it is. Give one of them."
        )
    if (
        changed
        and incident["runbook_digest"]
        and digests.get(incident["runbook"]) == incident["runbook_digest"]
    ):
        raise IncidentError(
            f"{name} is as it was when {number} was opened; change it first, or say with --waiver why not."
        )
    return f"Runbook changed: {changed}" if changed else f"Runbook not changed: {waived}"


def approve_baseline(warehouse: Warehouse, system: System, by: str) -> pl.DataFrame:
    """Sign a system's frozen baselines; return them.

    Raises:
        BaselineRefusedError: nothing is frozen yet, or nobody signs.
    """
    signed = _frozen(warehouse, system, by, BASELINES).with_columns(approved_by=pl.lit(by.strip()))
    warehouse.replace(BASELINES, signed, system=system.name)
    return signed


def replace_baseline(
    warehouse: Warehouse,
    book: AuditBook,
    system: System,
    by: str,
    reason: str,
    first_week: date,
    clock: datetime,
    judge: Judge,
    model: ModelJudge | None = None,
) -> pl.DataFrame:
    """Freeze a new baseline from a week on in place of the old one; return it.

    Weeks of the new one are scored again where another judge scored weeks since. The decision goes to the
    audit log first: one that is logged and not carried out does no harm.

    Raises:
        BaselineRefusedError: there is none to replace, nobody signs, there is no reason, the date is no
            Monday of a scored week, or the weeks from there do not carry a baseline.
    """
    old, now = _frozen(warehouse, system, by, BASELINES), system.now(clock)
    reason = _justified(reason, first_week)
    scores = warehouse.rows(SCORES, system=system.name)
    weeks = sorted(scores["week"].unique())
    if first_week not in weeks:
        span = f"scored weeks begin on {weeks[0]} to {weeks[-1]}" if weeks else "no week is scored yet"
        raise BaselineRefusedError(f"The week of {first_week} has no scores; {span}.")
    later = scores.filter(pl.col("week") >= first_week)
    anew = _judged_anew(warehouse, judge, system, later, now, model)
    kept = later.filter(~pl.col("week").is_in(list(anew)))
    baselines, observations = freeze(pl.concat([*anew.values(), kept]), system.baseline, now, by.strip())
    entry = _replacement(system, old, baselines, by.strip(), reason, now, sorted(anew))
    book.append(system.name, [entry])
    with warehouse.writing() as writer:
        for week, scored in anew.items():
            writer.replace(SCORES, scored, system=system.name, week=week)
        writer.replace(BASELINES, baselines, system=system.name)
        writer.replace(BASELINE_SCORES, observations, system=system.name)
    return baselines


def _judged_anew(
    warehouse: Warehouse,
    judge: Judge,
    system: System,
    scores: pl.DataFrame,
    now: datetime,
    model: ModelJudge | None,
) -> dict[date, pl.DataFrame]:
    """Return the new baseline's weeks as the judge in use scores them; none if all weeks have one judge."""
    judges = scores.drop_nulls("value").group_by("sample", "metric").agg(pl.col("judge").n_unique())
    if judges.filter(pl.col("judge") > 1).is_empty():
        return {}
    weeks = complete_weeks(scores, now)[: system.baseline.weeks]
    return {week: score_week(warehouse, judge, system.name, week, model) for week in weeks}


def replace_service_baseline(
    warehouse: Warehouse,
    book: AuditBook,
    system: System,
    by: str,
    reason: str,
    first_week: date,
    clock: datetime,
) -> pl.DataFrame:
    """Freeze a new baseline of the service from a week on in place of the old one; return it.

    The decision goes to the audit log first, as with `replace_baseline`.

    Raises:
        BaselineRefusedError: there is none to replace, nobody signs, there is no reason, the date is no
            Monday, or the weeks from there do not carry a baseline.
    """
    old, now = _frozen(warehouse, system, by, SERVICE_BASELINES), system.now(clock)
    reason = _justified(reason, first_week)
    hourly, sketch = (warehouse.rows(name, system=system.name) for name in HOURLY)
    new = freeze_service(hourly, sketch, system.baseline, now, first_week)
    first, last = new["first_week"][0], new["last_week"][0]
    details = {"reason": reason, "old": _measures(old), "new": _measures(new)}
    details |= {"first_week": first.isoformat(), "last_week": last.isoformat()}
    summary = f"The service's baseline was replaced by the weeks from {first} to {last}: {reason}"
    entry = decision_entry(system.name, "service_baseline_replaced", now, by.strip(), summary, details)
    book.append(system.name, [entry])
    warehouse.replace(SERVICE_BASELINES, new, system=system.name)
    return new


def _measures(frozen: pl.DataFrame) -> dict[str, str | None]:
    rows = frozen.sort("measure").select("measure", "value").iter_rows()
    return {measure: None if value is None else f"{value:.6g}" for measure, value in rows}


def _justified(reason: str, first_week: date) -> str:
    if not reason.strip():
        raise BaselineRefusedError("A baseline is replaced only with a reason; say what changed for good.")
    if first_week != monday(first_week):
        raise BaselineRefusedError(f"{first_week} is not a Monday; its week begins on {monday(first_week)}.")
    return mask(reason.strip())[0]


def _frozen(warehouse: Warehouse, system: System, by: str, table: str) -> pl.DataFrame:
    if not by.strip():
        raise BaselineRefusedError("A baseline is signed by somebody; give their name.")
    frozen = warehouse.rows(table, system=system.name)
    if frozen.is_empty():
        weeks = system.baseline.weeks
        raise BaselineRefusedError(
            f"{system.name} has no baseline yet; a run freezes it from the first {weeks} weeks."
        )
    return frozen


def _replacement(
    system: System,
    old: pl.DataFrame,
    new: pl.DataFrame,
    by: str,
    reason: str,
    now: datetime,
    scored_again: list[date],
) -> dict[str, Any]:
    first, last = new["first_week"][0], new["last_week"][0]
    details = {"reason": reason, "old": _fingerprints(old), "new": _fingerprints(new)}
    details |= {"first_week": first.isoformat(), "last_week": last.isoformat()}
    details |= {"scored_again": [week.isoformat() for week in scored_again]}
    summary = f"The baseline was replaced by the weeks from {first} to {last}: {reason}"
    return decision_entry(system.name, "baseline_replaced", now, by, summary, details)


def _fingerprints(baselines: pl.DataFrame) -> dict[str, str]:
    rows = baselines.sort("sample", "metric").select("sample", "metric", "fingerprint").iter_rows()
    return {f"{sample}/{metric}": fingerprint for sample, metric, fingerprint in rows}
