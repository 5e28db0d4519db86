"""A person in a system's tables: which rows are theirs, and what these become when the person is erased.

Costs, token counts and scores stay, under a random key that nothing leads to. Carrying it out is `erasing`.
"""

import secrets
from datetime import datetime
from functools import cached_property
from typing import Any

import polars as pl

from aiops_pipelines.compliance.erasure import ERASED, LOOKED_FOR, mark, redacted, sought, starts
from aiops_pipelines.inference_log.forgotten import keyed_line
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.people import as_stored, calls_of
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

INFERENCES, TRACES, FEEDBACK, QUARANTINE = (
    f"inference_log.{name}" for name in ("inferences", "traces", "feedback", "quarantine")
)
SCORES, OBSERVED = "monitoring.quality_scores", "monitoring.baseline_scores"
DIAGNOSES = "incidents.diagnoses"
NONE = pl.lit(None, pl.String)
TEXTS_THERE = pl.col("query").is_not_null() | pl.col("answer").is_not_null()
COMMON = """
    with mine as (select unnest($2) as event_id),
    others as (
        select query, answer from inference_log.inferences anti join mine using (event_id) where system = $1
        union all select query, reference_answer from rag.known_queries where system = $1
        union all select query, null from rag.adversarial_queries where system = $1),
    said as (select query as text from others union all select answer from others)
    select start from wanted_rows
    where start in (select left(trim(text), $3) from said where text is not null)
    or exists (select 1 from rag.chunks where system = $1 and contains(chunks.text, start))
"""
"""Beginnings of texts that others have said too, or a document says."""


class Person:
    """A person in a system's tables, as they are when this is made."""

    def __init__(self, warehouse: Warehouse, book: AuditBook, system: System, user_id: str):
        self._warehouse, self.system, self.given = warehouse, system, user_id.strip()
        keys = book.whole_keys(system.name)
        self._keys, self._pepper = keys, keys.pepper(system.name)
        self.stored = as_stored(keys, system.name, self.given)
        self.calls = calls_of(warehouse, system.name, self.stored)
        own = self.calls.filter("session_alone")["session_id"].drop_nulls().unique().sort()
        self.sessions: list[str] = own.to_list()
        self.identifiers = list(dict.fromkeys([self.stored, self.given, *self.sessions]))
        self.texts = self._rows(INFERENCES, event_id=self.calls["event_id"].to_list()).select(
            "query", "answer"
        )

    def _rows(self, table: str, **keys: Any) -> pl.DataFrame:
        return self._warehouse.rows(table, system=self.system.name, **keys)

    @property
    def marks(self) -> list[str]:
        """By what the person is known again."""
        return [mark(self._pepper, one) for one in self.identifiers]

    @cached_property
    def names(self) -> dict[str, str]:
        """What takes the place of each identifier: the same random key in all tables."""
        shared = self.calls["session_id"].drop_nulls().unique().to_list()
        user = f"{ERASED}{secrets.token_hex(8)}"
        return {self.given: user, self.stored: user} | {
            session: f"{ERASED}{secrets.token_hex(8)}" for session in shared
        }

    @cached_property
    def own_texts(self) -> list[str]:
        """Questions and answers that nobody else has and no document holds: what can be searched for."""
        texts = sorted(
            {text.strip() for column in self.texts for text in column.drop_nulls() if text.strip()}
        )
        begins = pl.DataFrame({"start": [text[:LOOKED_FOR] for text in texts]}).unique()
        if begins.is_empty():
            return []
        mine = self.calls["event_id"].to_list()
        others = self._warehouse.read(COMMON, [self.system.name, mine, LOOKED_FOR], begins)
        common = set(others["start"])
        return [text for text in texts if text[:LOOKED_FOR] not in common]

    def changes(self, now: datetime) -> dict[str, tuple[pl.DataFrame, list[str]]]:
        """Return what is changed, by table: the rows' new values and the columns they are found by."""
        found = {
            INFERENCES: (self._calls(now), ["system", "event_id"]),
            TRACES: (self._traces(), ["system", "trace_id"]),
            FEEDBACK: (self._feedback(), ["system", "feedback_id"]),
            SCORES: (self._clusters(SCORES, "event_id"), ["system", "event_id"]),
            OBSERVED: (self._clusters(OBSERVED, "unit"), ["system", "unit"]),
            DIAGNOSES: (self._diagnoses(), ["system", "incident_id", "asked_at", "position"]),
        }
        return {table: change for table, change in found.items() if change[0].height}

    def _renamed(self, column: str) -> pl.Expr:
        return pl.col(column).replace(self.names)

    def _calls(self, now: datetime) -> pl.DataFrame:
        rows = self._rows(INFERENCES, event_id=self.calls["event_id"].to_list())
        user = pl.when(pl.col("user_id").is_not_null()).then(self._renamed("user_id"))
        return rows.select(
            "system",
            "event_id",
            user_id=user,
            session_id=self._renamed("session_id"),
            query=NONE,
            answer=NONE,
            texts_deleted_at=pl.when(TEXTS_THERE).then(now).otherwise("texts_deleted_at"),
        )

    def _traces(self) -> pl.DataFrame:
        rows = self._rows(TRACES)
        own = pl.col("trace_id").is_in(self.calls["trace_id"].drop_nulls().implode())
        mine = rows.filter((pl.col("user_id") == self.stored) | (own & pl.col("user_id").is_null()))
        mine = mine.filter(pl.col("user_id").is_not_null() | pl.col("session_id").is_in(self.sessions))
        return mine.select(
            "system", "trace_id", user_id=self._renamed("user_id"), session_id=self._renamed("session_id")
        )

    def _feedback(self) -> pl.DataFrame:
        rows = self._rows(FEEDBACK)
        own = self.calls.select(call_id=pl.col("event_id").str.strip_prefix(pl.col("trace_id") + "-"))[
            "call_id"
        ]
        about = {"event_id": self.calls["event_id"], "trace_id": self.calls["trace_id"], "call_id": own}
        mine = pl.any_horizontal(
            pl.col("session_id").is_in(self.sessions),
            pl.col("given_by").is_in([self.stored, self.given]),
            *(pl.col(name).is_in(values.drop_nulls().implode()) for name, values in about.items()),
        )
        mine_only = rows.filter(mine.fill_null(value=False))
        return mine_only.select(
            *("system", "feedback_id"),
            session_id=self._renamed("session_id"),
            given_by=self._renamed("given_by"),
            label=NONE,
        )

    def set_aside(self, sources: dict[str, list[int]]) -> pl.DataFrame:
        """Return the lines set aside that are the person's, by their place in the logs or what they show."""
        rows = self._rows(QUARANTINE).filter(pl.col("raw_masked").is_not_null())
        shown = [one.decode(errors="replace") for one in sought(self.identifiers, self.own_texts)]
        said = pl.lit(value=False) if not shown else pl.col("raw_masked").str.contains_any(shown)
        places = [(name, line) for name, lines in sources.items() for line in lines]
        named = pl.DataFrame(places, schema={"source_file": pl.String, "source_line": pl.Int64}, orient="row")
        there = rows.join(named, on=["source_file", "source_line"], how="semi")
        return pl.concat([there, rows.filter(said)]).unique(maintain_order=True)

    def blanked(self, lines: pl.DataFrame) -> pl.DataFrame:
        """Return lines set aside without what they say, and with hashes that take the system's key."""
        keyed = [keyed_line(self._pepper, hashed) for hashed in lines["line_hash"]]
        return lines.with_columns(line_hash=pl.Series(keyed, dtype=pl.String), raw_masked=NONE)

    def _clusters(self, table: str, call: str) -> pl.DataFrame:
        rows = self._rows(table).filter(pl.col(call).is_in(self.calls["event_id"].implode()))
        mine = rows.filter(pl.col("cluster").is_in(list(self.names))).unique(["system", call])
        return mine.select("system", call, cluster=self._renamed("cluster"))

    def _diagnoses(self) -> pl.DataFrame:
        rows = self._rows(DIAGNOSES).drop_nulls("answer")
        texts = {text for column in self.texts for text in column.drop_nulls()}

        def theirs(cell: str) -> bool:
            return any(starts(text, cell) for text in texts)

        own = {one: self.names[one] for one in self.identifiers}
        new = pl.Series([redacted(answer, own, theirs) for answer in rows["answer"]], dtype=pl.String)
        changed = rows.with_columns(answer=new).filter(rows["answer"] != new)
        return changed.select("system", "incident_id", "asked_at", "position", "answer")
