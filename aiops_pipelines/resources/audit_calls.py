"""The stored calls and the audit log: entries for those that have none, and each record against its entry.

What is compared is `compliance.records`; keeping and signing the log is `audit_book`.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from aiops_pipelines.compliance.audit_entry import FACTS, inference_entry
from aiops_pipelines.compliance.finding import Finding
from aiops_pipelines.compliance.records import Record, against_records, subject_of, unlogged
from aiops_pipelines.compliance.retention import Deletions
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.warehouse import Warehouse

INFERENCES = "inference_log.inferences"
NOT_YET_LOGGED = """
    from inference_log.inferences
    where system = ? and event_id not in
        (select event_id from compliance.audit_log where system = ? and event_id is not null)
"""
ENTERED = """
    with portion as materialized (
        select stored.rowid as place from wanted_rows
        join inference_log.inferences as stored using (event_id) where stored.system = ?)
    select {columns}, call_costs.cost_usd, call_costs.price_status
    from portion join inference_log.inferences as calls on calls.rowid = portion.place
    left join costs.call_costs using (system, event_id)
    order by calls.occurred_at, calls.event_id
"""
LOGGED = """
    with portion as (
        select system, event_id, entry_index, entry_id, leaf from compliance.audit_log
        where system = ? and kind = 'inference' and entry_index >= ?
        order by entry_index limit {rows}),
    log as materialized (
        select portion.*, stored.rowid as place
        from portion left join inference_log.inferences as stored using (system, event_id))
    select log.entry_index, log.entry_id, log.leaf, {columns}
    from log left join inference_log.inferences as calls on calls.rowid = log.place
    order by log.entry_index
"""
"""Calls are found by their ids first, so that texts are read of the portion alone and not of every call."""
COMPARED = (
    *("occurred_at", "endpoint", "model_served", "model_requested", "prompt_version", "index_version"),
    *("status", "tokens_total", "latency_ms", "query", "answer", "user_id", "session_id", "pii_counts"),
    *FACTS,
)
ROWS_AT_ONCE = 50_000
"""Texts of so many calls are held at a time."""
SUBJECTS_AT_ONCE = 100_000
"""Keys of so many people are held at a time; each is a file."""


def new_entries(warehouse: Warehouse, system: str, keys: Keys) -> Iterator[dict[str, Any]]:
    """Yield an entry for every call that has none now; calls are read a portion at a time."""
    missing = warehouse.read(
        f"select event_id {NOT_YET_LOGGED} order by occurred_at, event_id", [system, system]
    )
    sql = ENTERED.format(columns=_columns("calls.system", "calls.event_id"))
    key_of = lru_cache(SUBJECTS_AT_ONCE)(lambda subject: keys.subject(system, subject))
    for portion in missing.iter_slices(ROWS_AT_ONCE):
        for row in warehouse.read(sql, [system], portion).iter_rows(named=True):
            record = {**_record(row), "price_status": row["price_status"] or "unknown"}
            yield inference_entry(record, key_of(subject_of(row)))


def altered(warehouse: Warehouse, system: str, keys: Keys, deletions: Deletions) -> list[Finding]:
    """Return what is no longer as it was logged, and notes on what could not be compared.

    `deletions` are what the log itself says was deleted.
    """
    if not warehouse.built(INFERENCES):
        return []
    logged = _logged(warehouse, system)
    key_of = lru_cache(SUBJECTS_AT_ONCE)(lambda subject: keys.kept_subject(system, subject))
    findings = against_records(logged, key_of, deletions)
    missing = warehouse.read(f"select count(*) as n {NOT_YET_LOGGED}", [system, system])["n"][0]
    return [*findings, Finding("note", None, None, None, unlogged(missing))] if missing else findings


def _logged(warehouse: Warehouse, system: str) -> Iterator[tuple[int, str, bytes, Record | None]]:
    sql, following = LOGGED.format(columns=_columns("log.system", "log.event_id"), rows=ROWS_AT_ONCE), 0
    while (rows := warehouse.read(sql, [system, following])).height:
        for row in rows.iter_rows(named=True):
            record = _record(row) if row["occurred_at"] else None
            yield row["entry_index"], row["entry_id"], row["leaf"], record
        following = rows["entry_index"][-1] + 1


def _columns(*names: str) -> str:
    return ", ".join([*names, *(f"calls.{name}" for name in COMPARED)])


def _record(row: Mapping[str, Any]) -> Record:
    return {**row, "pii_counts": json.loads(row["pii_counts"] or "{}")}
