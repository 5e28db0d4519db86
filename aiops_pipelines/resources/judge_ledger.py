"""What a system's judge was asked and what that cost: a row a batch, written before it is asked.

A batch that was killed stays in the books as if all of it had been asked.
"""

import secrets
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from aiops_pipelines.monitoring.judge_settings import JudgeSettings
from aiops_pipelines.monitoring.judging import CALLS, Question
from aiops_pipelines.resources.warehouse import Warehouse

BATCHES = "monitoring.judge_batches"
KILLED = "the run was killed before the batch was kept"
TOKENS_ASKED, TOKENS_SAID = 1500, 300
"""About what a prompt takes beside the texts, and an answer."""
SPENT = f"select sum(cost_usd) as spent from {BATCHES} where system = ? and started_at >= ?"
Row = dict[str, Any]


class JudgeLedger:
    """The books of one system's judge; `clock` is the real time, UTC, for that is when money is spent."""

    def __init__(self, system: str, settings: JudgeSettings, warehouse: Warehouse, clock: datetime):
        self._system, self._settings, self._warehouse, self._clock = system, settings, warehouse, clock

    def calls_left(self, week: date) -> int:
        """Return how many requests about a week may still be sent."""
        rows = self._warehouse.rows(BATCHES, system=self._system, week=week)
        return self._settings.calls_per_week - int(rows["calls"].sum() or 0)

    def usd_left(self) -> Decimal | None:
        """Return what is left of this calendar month's budget, or None without one."""
        if self._settings.monthly_budget_usd is None:
            return None
        start = self._clock.replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        spent = self._warehouse.read(SPENT, [self._system, start])["spent"][0]
        return self._settings.monthly_budget_usd - (spent or Decimal(0))

    def open(self, week: date, judge: str, asked: Sequence[Question], canaries: int) -> Row:
        """Enter a batch with all requests that it can take and what they cost by their length."""
        calls = len(asked) * CALLS[asked[0].metric]
        tokens = sum(CALLS[one.metric] * (TOKENS_ASKED + _bytes(one) // 3) for one in asked)
        row: Row = {
            **{"system": self._system, "batch_id": secrets.token_hex(8), "week": week},
            **{"metric": asked[0].metric, "judge": judge, "started_at": self._clock, "finished_at": None},
            **{"answers": len(asked) - canaries, "measured": 0, "canaries": canaries, "canaries_right": 0},
            **{"calls": calls, "input_tokens": None, "output_tokens": None},
            **{"cost_usd": self._settings.cost_usd(tokens, calls * TOKENS_SAID), "reason": KILLED},
        }
        self.close(row)
        return row

    def close(self, row: Row, table: str = "", rows: Sequence[Row] = (), key: Sequence[str] = ()) -> None:
        """Enter a batch as it is, and what it found into another table, in one transaction."""
        with self._warehouse.writing() as writer:
            writer.delete(BATCHES, batch_id=row["batch_id"])
            writer.append(BATCHES, self._frame(BATCHES, [row]))
            if rows:
                writer.delete_matching(table, self._frame(table, rows), key)
                writer.append(table, self._frame(table, rows))

    def keep(self, table: str, rows: Sequence[Row], key: Sequence[str]) -> None:
        """Enter rows about what was not asked."""
        if rows:
            with self._warehouse.writing() as writer:
                writer.delete_matching(table, self._frame(table, rows), key)
                writer.append(table, self._frame(table, rows))

    def _frame(self, table: str, rows: Sequence[Row]) -> pl.DataFrame:
        return pl.DataFrame(list(rows), schema=self._warehouse.tables[table].schema, orient="row")


def _bytes(question: Question) -> int:
    texts = (question.question, question.answer, question.reference, *question.contexts)
    return sum(len(text.encode()) for text in texts)
