"""Which weeks and months are done, and which are due again because what they were made from has changed.

The books are in `operations.completed_periods`; a period is entered last, so killed work is due again.
"""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import polars as pl

from aiops_pipelines.part import Part
from aiops_pipelines.periods import judged_months, judged_weeks, midnight, next_month
from aiops_pipelines.resources.model_judge import waiting_weeks
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.writer import Writer
from aiops_pipelines.systems import System

BOOKS = "operations.completed_periods"
LATER = {"guardrails_from", "adversarial_limits", "missing_calls_per_day", "invoice_difference"}
"""Settings that a version brought: while they stand at their default, no period is due again for them."""
INPUTS = """
    select
        (select count(*) || ':' || coalesce(bit_xor(hash(event_id)), 0) from inference_log.inferences
         where system = $1 and occurred_at >= $2 and occurred_at < $3),
        (select coalesce(bit_xor(told), 0) from (
            select hash(query_id, valid_from, query, reference_answer) as told
            from rag.known_queries where system = $1 and valid_from < $3
            union all
            select hash(query_id, valid_from, query, category, must_not_contain::varchar)
            from rag.adversarial_queries where system = $1 and valid_from < $3)),
        (select coalesce(bit_xor(hash(query_id, valid_from, document, grade)), 0) from rag.judgements
         where system = $1 and valid_from < $3),
        (select coalesce(bit_xor(hash(revision, valid_from)), 0) from rag.corpus_revisions
         where system = $1 and valid_from < $3),
        (select coalesce(bit_xor(hash(metric, sample, judge, fingerprint)), 0) from monitoring.baselines
         where system = $1 and last_week < $2::date),
        (select coalesce(bit_xor(hash(trace_id, session_id, user_id, endpoint)), 0)
         from inference_log.traces where system = $1 and trace_id in
             (select trace_id from inference_log.inferences
              where system = $1 and occurred_at >= $2 and occurred_at < $3))
"""
MONTH_INPUTS = """
    with calls as (
        select event_id from inference_log.inferences
        where system = $1 and occurred_at >= $2 and occurred_at < $3
    )
    select
        (select count(cost_usd) || ':' || coalesce(sum(cost_usd), 0) from costs.call_costs
         where system = $1 and event_id in (from calls)),
        (select coalesce(bit_xor(hash(event_id, signal)), 0) from monitoring.user_signals
         where system = $1 and signal in ('rated_up', 'rated_down') and event_id in (from calls)),
        (select coalesce(bit_xor(hash(week, sample, metric, verdict, "drop")), 0) from drift.drift_verdicts
         where system = $1 and week + interval 7 day > $2 and week + interval 7 day <= $3),
        (select coalesce(bit_xor(hash(incident_id, regime, notice, kind, due_at, notified_at)), 0)
         from incidents.legal_clocks inner join incidents.incidents using (system, incident_id)
         where system = $1 and opened_at < $3 and (kind is not null or due_at is not null)
             and (resolved_at is null or resolved_at >= $2
                 or (due_at is not null and (notified_at is null or notified_at >= $2))))
"""
"""What a month's report is made from besides: costs, ratings, verdicts and legal clocks, which move when no
call comes."""
JUDGED_MONTH = """
    select bit_xor(hash(judge, rate, low, high, answers)) from monitoring.hallucination_rates
    where system = $1 and grain = 'month' and period_start = $2::date and $3 > $2 and rate is not null
"""
"""And where a judge with a model measured it; fingerprints of other months are as they were without one."""


def inputs(
    warehouse: Warehouse | Writer, system: System, start: datetime, end: datetime, *queries: str
) -> str:
    """Return a fingerprint of what a period is made from: calls, users, truth, corpus, baseline, limits."""
    parameters = [system.name, start.replace(tzinfo=None), end.replace(tzinfo=None)]
    found = (warehouse.read(query, parameters).row(0) for query in (INPUTS, *queries))
    rows = [row for row in found if row != (None,)]
    settings = f"{_said(system.limits)}{system.profile}{_said(system.baseline)}"
    return hashlib.sha256(f"{rows}{settings}".encode()).hexdigest()[:16]


def _said(settings: Part) -> str:
    """Return settings as text, without those that came with a version and that nobody has set."""
    fields = type(settings).model_fields
    unset = {
        name
        for name in LATER & fields.keys()
        if getattr(settings, name) == fields[name].get_default(call_default_factory=True)
    }
    return settings.model_dump_json(exclude=unset)


def week_inputs(warehouse: Warehouse | Writer, system: System, week: date) -> str:
    """Return the fingerprint of one week."""
    return inputs(warehouse, system, midnight(week), midnight(week + timedelta(days=7)))


def month_inputs(warehouse: Warehouse | Writer, system: System, month: date) -> str:
    """Return the fingerprint of one month."""
    return inputs(warehouse, system, midnight(month), midnight(next_month(month)), MONTH_INPUTS, JUDGED_MONTH)


def due_weeks(warehouse: Warehouse, system: System, clock: datetime) -> list[date]:
    """Return the closed weeks whose work is missing, was made from other inputs or waits for a judge."""
    with warehouse.held():  # a query a week
        first = first_call(warehouse, system)
        done = _done(warehouse, system, "weekly")
        weeks = judged_weeks(system, first, clock) if first else []
        waiting = waiting_weeks(system, warehouse, clock)
        return [
            week
            for week in weeks
            if week in waiting or done.get(week) != week_inputs(warehouse, system, week)
        ]


def due_months(warehouse: Warehouse, system: System, clock: datetime) -> list[date]:
    """Return the closed months of a system whose work is missing or was made from other inputs."""
    with warehouse.held():
        first = first_call(warehouse, system)
        done = _done(warehouse, system, "monthly")
        months = judged_months(system, first, clock) if first else []
        return [month for month in months if done.get(month) != month_inputs(warehouse, system, month)]


def first_call(warehouse: Warehouse, system: System) -> datetime | None:
    """Return when the system's log begins, or nothing for an empty log."""
    sql = "select min(occurred_at) as first from inference_log.inferences where system = ?"
    found: datetime | None = warehouse.read(sql, [system.name])["first"][0]
    return found


def enter(
    warehouse: Warehouse, system: System, cadence: str, periods: Sequence[date], clock: datetime
) -> None:
    """Enter periods as done, with the fingerprint of what they were made from."""
    fingerprint = week_inputs if cadence == "weekly" else month_inputs
    rows = [
        (system.name, cadence, period, fingerprint(warehouse, system, period), clock) for period in periods
    ]
    frame = pl.DataFrame(rows, schema=warehouse.tables[BOOKS].schema, orient="row")
    warehouse.replace(BOOKS, frame, system=system.name, cadence=cadence, period=list(periods))


def settled(warehouse: Warehouse | Writer, system: System) -> pl.DataFrame:
    """Return the entered periods with the fingerprint of their inputs as they are now: `inputs` and `now`."""
    rows = warehouse.read(
        f"select system, cadence, period, inputs from {BOOKS} where system = ?", [system.name]
    )
    found = {"weekly": week_inputs, "monthly": month_inputs}
    now = [found[cadence](warehouse, system, period) for _, cadence, period, _ in rows.iter_rows()]
    return rows.with_columns(now=pl.Series(now, dtype=pl.String))


def _done(warehouse: Warehouse, system: System, cadence: str) -> dict[date, str]:
    rows = warehouse.rows(BOOKS, system=system.name, cadence=cadence)
    return dict(rows.select("period", "inputs").iter_rows())
