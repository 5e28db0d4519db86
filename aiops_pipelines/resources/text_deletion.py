"""Texts of a system whose term is over are deleted: questions, answers and what repeats them.

Texts that a legal hold covers stay, and so do those of weeks that are still to be judged. A deletion and its
entries in the audit log are one transaction. Then the file is written anew, for freed blocks keep bytes.
"""

import json
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from aiops_pipelines.compliance.audit_entry import decision_entry
from aiops_pipelines.compliance.erasure import SHORTEST_TEXT, redacted
from aiops_pipelines.compliance.retention import HELD, deletion_entries, kept_from, spans
from aiops_pipelines.periods import midnight
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.completion import due_weeks
from aiops_pipelines.resources.holds import HOLDS, held_calls
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.writer import Writer
from aiops_pipelines.systems import System
from aiops_pipelines.wording import listed, some

DELETIONS = "compliance.text_deletions"
INFERENCES, DIAGNOSES = "inference_log.inferences", "incidents.diagnoses"
OTHERS = {
    "inference_log.feedback": (["feedback_id"], "label", "coalesce(given_at, ingested_at)"),
    "inference_log.quarantine": (["source_file", "source_line", "line_hash"], "raw_masked", "quarantined_at"),
}
"""Tables with other words of users: their keys, the words, and from when on their term runs."""
NOT_REWRITTEN = {
    DELETIONS: ("deleted_at", "(calls > 0 or others > 0)"),
    "compliance.erasures": ("erasure_id", "status = 'erased'"),
}
OVER_TERM = """
    select event_id, occurred_at from inference_log.inferences
    where system = $1 and occurred_at < $2 and (query is not null or answer is not null)
"""
DUE = f"""{OVER_TERM}
    and event_id in (select event_id from compliance.audit_log where system = $1 and kind = 'inference')
"""
"""A call without an entry waits for it: the log could not say that its texts were deleted."""
COMMITTED = """
    select entry_index, event_id from compliance.audit_log where system = ? and kind = 'inference'
    and (input_commitment is not null or output_commitment is not null) order by entry_index
"""
REPEATED = """
    with cells as (select unnest($2) as cell)
    select distinct cell from cells, inference_log.inferences as calls semi join wanted_rows using (event_id)
    where system = $1 and (query = cell or answer = cell
        or (length(cell) >= $3 and (starts_with(query, cell) or starts_with(answer, cell))))
"""


def delete_texts(
    warehouse: Warehouse, book: AuditBook, system: System, clock: datetime
) -> dict[str, Any] | None:
    """Delete what is over its term; return the row of `compliance.text_deletions`, None if nothing changed.

    Raises:
        SigningKeyMissing, LogForked: the audit log cannot be continued, so nothing is deleted.
    """
    now = system.now(clock)
    before = kept_from(now, system.retention.text_days)
    due = warehouse.read(DUE, [system.name, before.replace(tzinfo=None)])
    due = _judged(due, warehouse, system, clock)
    others = _others(warehouse, system.name, before)
    if due.is_empty() and not others:
        return None
    book.whole_keys(system.name)
    held = held_calls(warehouse, book, system.name).join(due, on="event_id", how="semi")
    free = due.join(held, on="event_id", how="anti")
    others |= _repeated(warehouse, system.name, free)
    counts = {
        "calls": free.height,
        "others": sum(frame.height for frame in others.values()),
        "held": held["event_id"].n_unique(),
    }
    holds = sorted(held["hold_id"].unique())
    if not (counts["calls"] or counts["others"]) and _said_already(warehouse, system.name, counts, holds):
        return None
    row = {
        **{
            "system": system.name,
            "deleted_at": now,
            "text_days": system.retention.text_days,
            "before": before,
        },
        **{"newest": free["occurred_at"].max(), **counts, "holds": holds, "rewritten_at": None},
    }
    book.signing(system.name).continued()
    _carry_out(warehouse, book, system, row, free, others)
    return row


def overdue(warehouse: Warehouse, book: AuditBook, system: System, clock: datetime) -> int:
    """Return how many calls keep texts over their term that no hold covers: they wait, or nothing deletes."""
    before = kept_from(system.now(clock), system.retention.text_days).replace(tzinfo=None)
    over = warehouse.read(OVER_TERM, [system.name, before])
    return over.join(held_calls(warehouse, book, system.name), on="event_id", how="anti").height


def _judged(due: pl.DataFrame, warehouse: Warehouse, system: System, clock: datetime) -> pl.DataFrame:
    """Leave out the calls of weeks whose work is still to be done: imported history is judged first."""
    if due.is_empty():
        return due
    for week in due_weeks(warehouse, system, clock):
        start = midnight(week)
        inside = pl.col("occurred_at").is_between(start, start + timedelta(days=7), closed="left")
        due = due.filter(~inside)
    return due


def _others(warehouse: Warehouse, system: str, before: datetime) -> dict[str, pl.DataFrame]:
    """Return the keys of other texts over their term, by table; those of a time that a hold covers stay."""
    found = {}
    for table, (keys, words, at) in OTHERS.items():
        rows = warehouse.read(
            f"select distinct system, {', '.join(keys)} from {table} as said "
            f"where system = ? and {words} is not null and {at} < ? and not exists "
            f"(select 1 from {HOLDS} as holds where holds.system = said.system and released_at is null "
            f"and (since is null or {at} >= since) and (until is null or {at} < until))",
            [system, before.replace(tzinfo=None)],
        )
        if rows.height:
            found[table] = rows.with_columns(pl.lit(None, pl.String).alias(words))
    return found


def _repeated(warehouse: Warehouse, system: str, free: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the answers to runbook queries that repeat these calls' texts, without them."""
    rows = warehouse.rows(DIAGNOSES, system=system).drop_nulls("answer")
    cells = {
        cell
        for answer in rows["answer"]
        for row in json.loads(answer)["rows"]
        for cell in row
        if isinstance(cell, str)
    }
    if free.is_empty() or not cells:
        return {}
    found = warehouse.read(REPEATED, [system, sorted(cells), SHORTEST_TEXT], free)
    said = set(found["cell"])
    changed = rows.with_columns(
        pl.Series("answer", [redacted(answer, {}, said.__contains__) for answer in rows["answer"]], pl.String)
    )
    changed = changed.filter(changed["answer"] != rows["answer"])
    keys = ["system", "incident_id", "asked_at", "position", "answer"]
    return {DIAGNOSES: changed.select(keys)} if changed.height else {}


def _said_already(warehouse: Warehouse, system: str, counts: dict[str, int], holds: list[str]) -> bool:
    rows = warehouse.rows(DELETIONS, system=system).sort("deleted_at").tail(1).rows(named=True)
    last = (rows[0]["held"], rows[0]["holds"]) if rows else (0, [])
    return last == (counts["held"], holds)


def _carry_out(
    warehouse: Warehouse,
    book: AuditBook,
    system: System,
    row: dict[str, Any],
    free: pl.DataFrame,
    others: dict[str, pl.DataFrame],
) -> None:
    name, now = system.name, row["deleted_at"]
    noted = book.noted_settings(system, now)  # the term itself stands in the log before
    entries = [noted] if noted else []
    counts = {key: row[key] for key in ("calls", "others", "held")}
    if counts["calls"] or counts["others"]:
        places = warehouse.read(COMMITTED, [name])
        gone = places["event_id"].is_in(free["event_id"].implode())
        named = spans(zip(places["entry_index"], gone, strict=True))
        entries += deletion_entries(name, now, row["text_days"], named, counts)
    if row["holds"]:
        said = f"{some(row['held'], 'call')} with texts over their term are held by {listed(row['holds'])}."
        details = {"held": row["held"], "holds": row["holds"], "before": row["before"].isoformat()}
        entries.append(decision_entry(name, HELD, now, "aiops_pipelines", said, details))
    emptied = free.select(
        pl.lit(name).alias("system"),
        "event_id",
        query=pl.lit(None, pl.String),
        answer=pl.lit(None, pl.String),
        texts_deleted_at=pl.lit(now),
    )
    stored = pl.DataFrame([row], schema=warehouse.tables[DELETIONS].schema)

    def along(writer: Writer) -> None:
        writer.update(INFERENCES, emptied, ["system", "event_id"])
        for table, frame in others.items():
            writer.update(table, frame, frame.columns[:-1])
        writer.append(DELETIONS, stored)

    book.append(name, entries, along)
    book.sign(name, now)


def rewrite(warehouse: Warehouse, clock: datetime) -> bool:
    """Write the file anew if something was deleted since it last was; say whether. It must not be held."""
    waiting = {
        table: warehouse.read(f"select system, {key} from {table} where rewritten_at is null and {what}")
        for table, (key, what) in NOT_REWRITTEN.items()
    }
    if not any(rows.height for rows in waiting.values()):
        return False
    warehouse.rewrite()
    with warehouse.writing() as writer:
        for table, rows in waiting.items():
            writer.update(table, rows.with_columns(rewritten_at=pl.lit(clock)), rows.columns)
    return True
