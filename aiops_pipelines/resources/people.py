"""Whose a call is: the calls of one user, also those that name only a trace or session of that user."""

from dataclasses import replace

import polars as pl

from aiops_pipelines.compliance.erasure import ERASED, mark
from aiops_pipelines.compliance.privacy import pseudonymised
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.warehouse import Warehouse

CALLS_OF = """
    with calls as (
        select calls.event_id, calls.trace_id, calls.occurred_at,
            coalesce(calls.user_id, calls.session_id, calls.event_id) as subject,
            coalesce(calls.user_id, traces.user_id) as user_id,
            coalesce(calls.session_id, traces.session_id) as session_id
        from inference_log.inferences as calls left join inference_log.traces using (system, trace_id)
        where calls.system = $1),
    alone as (
        select session_id from calls where session_id is not null
        group by session_id having count(distinct user_id) = 1 and bool_or(user_id = $2))
    select event_id, trace_id, occurred_at, subject, session_id,
        coalesce(session_id in (from alone), false) as session_alone
    from calls where user_id = $2 or (user_id is null and session_id in (from alone))
"""
"""A session belongs to a user when no other one is named in it."""
USERS = """
    select user_id from inference_log.inferences where system = $1 and user_id is not null
    union select user_id from inference_log.traces where system = $1 and user_id is not null
"""
ERASED_TRACES = f"""
    select trace_id from inference_log.traces
    where system = $1 and (starts_with(user_id, '{ERASED}') or starts_with(session_id, '{ERASED}'))
"""
ERASED_CALLS = f"""
    with theirs as (
        select event_id, trace_id from inference_log.inferences
        where system = $1 and (starts_with(user_id, '{ERASED}') or starts_with(session_id, '{ERASED}')
            or (user_id is null and trace_id in ({ERASED_TRACES}))))
    select event_id from theirs
    union select substr(event_id, length(trace_id) + 2) from theirs
    where starts_with(event_id, trace_id || '-')
"""
"""A call is also named by its own part of the id, where nothing names its trace."""


def as_stored(keys: Keys, system: str, user_id: str) -> str:
    """Return a user's key as it stands in the tables: a pseudonym where it holds personal data."""
    return pseudonymised(user_id.strip(), keys.pepper(system))[0]


def calls_of(warehouse: Warehouse, system: str, user_id: str) -> pl.DataFrame:
    """Return the calls of a user by the stored key.

    Columns: event_id, trace_id, occurred_at, subject (whose secret their log entries are closed with),
    session_id, and session_alone where no other user is named in that session.
    """
    return warehouse.read(CALLS_OF, [system, user_id])


def marked(warehouse: Warehouse, keys: Keys, system: str, person: str) -> str | None:
    """Return the stored key of the user with this mark, if the tables still name them."""
    pepper = keys.pepper(system)
    users = warehouse.read(USERS, [system])["user_id"]
    return next((user for user in users if mark(pepper, user) == person), None)


def erased_marks(warehouse: Warehouse, system: str) -> frozenset[str]:
    """Return the marks of everybody who was erased from a system."""
    if not warehouse.built("compliance.erasures"):
        return frozenset()
    rows = warehouse.rows("compliance.erasures", system=system, status="erased")
    return frozenset(rows["marks"].explode().drop_nulls())


def knowing_erased(warehouse: Warehouse, source: Source) -> Source:
    """Return the source with the traces and calls of the people whose marks it has."""
    if not source.erased:
        return source
    traces, calls = (warehouse.read(sql, [source.system]) for sql in (ERASED_TRACES, ERASED_CALLS))
    return replace(
        source, erased_traces=frozenset(traces["trace_id"]), erased_calls=frozenset(calls["event_id"])
    )
