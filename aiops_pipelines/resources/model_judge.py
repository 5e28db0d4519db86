"""A system's own judge at work on one week: batch by batch, each kept as soon as it is done.

What it is asked lives in `monitoring.judging`, what it may cost in `judge_ledger`, how it is asked in
`judging_model`, which is imported with the first answer.
"""

import os
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from aiops_pipelines.monitoring.frozen_answers import FrozenAnswer, canaries, frozen_answers, is_right
from aiops_pipelines.monitoring.judge_settings import API_KEY, JudgeSettings
from aiops_pipelines.monitoring.judging import (
    NO_CALLS,
    TRIES,
    WAIT,
    Outcome,
    Question,
    batches,
    believed,
    is_final,
    judged_row,
    of_frozen,
    questions,
)
from aiops_pipelines.monitoring.quality import JUDGED, MODEL_METRICS, Score
from aiops_pipelines.resources.judge_ledger import JudgeLedger
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines.wording import count, listed, some

ANSWERS, FROZEN = "monitoring.judged_answers", "monitoring.frozen_scores"
ANSWER_KEY, FROZEN_KEY = ["system", "event_id", "metric", "judge"], ["system", "week", "item", "judge"]
AS_GOOD_AS_NOW = timedelta(hours=20)
WAITING = f"""
    select distinct week from {ANSWERS}
    where system = ? and value is null and tries < {TRIES} and first_asked_at > ?
"""
Row = dict[str, Any]


def model_judge(system: System, warehouse: Warehouse, clock: datetime) -> "ModelJudge | None":
    """Return the judge that a system's file names, or None; `clock` is the real time, UTC."""
    return ModelJudge(system.name, system.judge, warehouse, clock) if system.judge else None


def waiting_weeks(system: System, warehouse: Warehouse, clock: datetime) -> set[date]:
    """Return the weeks with answers that the judge is to be asked about again."""
    if system.judge is None:
        return set()
    since = (clock - WAIT).replace(tzinfo=None)
    return set(warehouse.read(WAITING, [system.name, since])["week"])


class ModelJudge:
    """The judge of one system; one that cannot be asked any more is not asked again by this object."""

    def __init__(self, system: str, settings: JudgeSettings, warehouse: Warehouse, clock: datetime):
        self._system, self._settings, self._warehouse, self._clock = system, settings, warehouse, clock
        self.sample_size = settings.sample_size
        self._ledger = JudgeLedger(system, settings, warehouse, clock)
        self._names: dict[str, str] = {}
        self._unmeasured: Counter[str] = Counter()
        variable = settings.secrets.get(API_KEY)
        self._key = os.environ.get(variable, "") if variable else ""
        self._stopped: Outcome | None = None
        """What every answer gets that is not asked about any more."""
        if variable and not self._key:
            why = f"the environment variable {variable} of the judge is not set"
            self._stopped = Outcome(None, why, lost=True)

    def score(self, samples: pl.DataFrame, week: date) -> pl.DataFrame:
        """Return scores as `OfflineJudge` does, of what is known already and of what is asked now.

        Args:
            samples: as `judge_samples` gives them, those calls only that this judge is to see.
            week: Monday of the week.
        """
        asked, scores = questions(samples)
        if self._stopped and self._stopped.reason == NO_CALLS:
            self._stopped = None  # those of another week
        if asked:
            self._forget_other_judges(week)
        for metric in MODEL_METRICS:
            scores |= self._scored([one for one in asked if one.metric == metric], metric, week)
        rows = [(event, metric, *score, self._judge(metric)) for (event, metric), score in scores.items()]
        return pl.DataFrame(rows, schema=JUDGED, orient="row").sort("event_id", "metric")

    def problems(self) -> list[str]:
        """Return what kept answers from scores so far, in sentences."""
        if not self._unmeasured:
            return []
        said = listed([f"{count(n)} times: {why}" for why, n in self._unmeasured.most_common(3)])
        number = some(sum(self._unmeasured.values()), "score")
        again = "What failed is asked again by the next runs, three times and for a week at most."
        return [f"The judge {self._settings.model} left {number} unmeasured ({said}). {again}"]

    def _judge(self, metric: str) -> str:
        if metric not in self._names:
            from aiops_pipelines.resources.judging_model import fingerprint

            self._names[metric] = fingerprint(metric, self._settings)
        return self._names[metric]

    def _forget_other_judges(self, week: date) -> None:
        """Delete what an earlier judge of this week was to be asked again: it will not be."""
        rows = self._warehouse.rows(ANSWERS, system=self._system, week=week)
        names = [self._judge(metric) for metric in MODEL_METRICS]
        old = rows.filter(pl.col("value").is_null(), ~pl.col("judge").is_in(names))
        if old.height:
            with self._warehouse.writing() as writer:
                writer.delete_matching(ANSWERS, old, ANSWER_KEY)

    def _scored(self, asked: list[Question], metric: str, week: date) -> dict[tuple[str, str], Score]:
        known = self._known(asked, metric) if asked else {}
        scores: dict[tuple[str, str], Score] = {
            (one.event_id, metric): (row["value"], row["reason"])
            for one, row in known.items()
            if is_final(row, self._clock)
        }
        left = [one for one in asked if (one.event_id, metric) not in scores]
        if left:
            self._judge_frozen_answers(metric, week)
        for number, batch in enumerate(batches(left)):
            for question, outcome in zip(batch, self._batch(batch, number, week, known), strict=True):
                scores[question.event_id, metric] = (outcome.value, outcome.reason)
                self._unmeasured.update([outcome.reason] if outcome.reason else [])
        return scores

    def _known(self, asked: Sequence[Question], metric: str) -> dict[Question, Row]:
        """Return what was said of questions before; another reference answer makes another question."""
        keys = {"judge": self._judge(metric), "event_id": [question.event_id for question in asked]}
        rows = self._warehouse.rows(ANSWERS, system=self._system, **keys).iter_rows(named=True)
        by_key = {(row["event_id"], row["truth"]): row for row in rows}
        found = ((question, by_key.get((question.event_id, question.truth))) for question in asked)
        return {question: row for question, row in found if row is not None}

    def _batch(
        self, batch: list[Question], number: int, week: date, known: dict[Question, Row]
    ) -> list[Outcome]:
        """Judge a batch behind its canaries and keep it."""
        keys = {"system": self._system, "week": week, "judge": self._judge(batch[0].metric)}
        if self._stopped:
            judged = [self._stopped] * len(batch)
            self._ledger.keep(ANSWERS, self._rows(batch, judged, known, keys), ANSWER_KEY)
            return judged
        guards, metric = canaries(number), batch[0].metric
        asked = [*(of_frozen(one, metric) for one in guards), *batch]  # the canaries first: they are needed
        ledger, outcomes = self._ask(asked, len(guards), week)
        guarded = list(zip(guards, outcomes, strict=False))
        judged = believed(outcomes[len(guards) :], guarded, metric)
        found = ledger | _found(judged, guarded, metric)
        self._ledger.close(found, ANSWERS, self._rows(batch, judged, known, keys), ANSWER_KEY)
        return judged

    def _rows(
        self, batch: list[Question], judged: list[Outcome], known: dict[Question, Row], keys: Row
    ) -> list[Row]:
        return [
            judged_row(question, outcome, known.get(question), self._clock, **keys)
            for question, outcome in zip(batch, judged, strict=True)
            if not outcome.unasked
        ]

    def _judge_frozen_answers(self, metric: str, week: date) -> None:
        """Judge the frozen answers once a week, so that a judge that drifts is told from answers that do."""
        judge = self._judge(metric)
        self._take_over_frozen_scores(judge, week)
        stored = self._warehouse.rows(FROZEN, system=self._system, week=week, judge=judge)
        known = set(stored.drop_nulls("value")["item"])
        left = [one for one in frozen_answers() if one.name not in known]
        if self._stopped or not left:
            return
        ledger, outcomes = self._ask([of_frozen(one, metric) for one in left], len(left), week)
        judged = list(zip(left, outcomes, strict=True))
        keys = {"system": self._system, "week": week, "metric": metric, "judge": judge}
        rows = [
            {
                **keys,
                **{"item": one.name, "kind": one.kind, "value": found.value, "reason": found.reason},
                "is_right": None if found.value is None else is_right(one.kind, metric, found.value),
                "judged_at": self._clock,
            }
            for one, found in judged
            if not found.unasked
        ]
        self._ledger.close(ledger | _found([], judged, metric), FROZEN, rows, FROZEN_KEY)

    def _take_over_frozen_scores(self, judge: str, week: date) -> None:
        """Let what was judged in the last hours stand for this week too: weeks at once have one judge."""
        rows = self._warehouse.rows(FROZEN, system=self._system, judge=judge)
        fresh = rows.drop_nulls("value").filter(pl.col("judged_at") > self._clock - AS_GOOD_AS_NOW)
        fresh = fresh.sort("week").unique("item", keep="last").with_columns(week=pl.lit(week))
        missing = fresh.join(rows.filter(week=week).drop_nulls("value"), on="item", how="anti")
        self._ledger.keep(FROZEN, missing.rows(named=True), FROZEN_KEY)

    def _ask(self, asked: Sequence[Question], guards: int, week: date) -> tuple[Row, list[Outcome]]:
        from aiops_pipelines.resources.judging_model import DOWN, Meter, ask

        meter = Meter(self._settings, self._ledger.calls_left(week), self._ledger.usd_left())
        ledger = self._ledger.open(week, self._judge(asked[0].metric), asked, guards)
        outcomes = ask(self._settings, self._key, meter, asked)
        spent = (one for one in outcomes if one.unasked)
        self._stopped = Outcome(None, DOWN, lost=True) if meter.is_down else next(spent, None)
        took = {name: getattr(meter, name) for name in ("calls", "input_tokens", "output_tokens", "cost_usd")}
        return ledger | took | {"finished_at": self._clock}, outcomes


def _found(judged: Sequence[Outcome], guarded: Sequence[tuple[FrozenAnswer, Outcome]], metric: str) -> Row:
    """Return what a batch found, for the ledger."""
    right = sum(
        is_right(one.kind, metric, outcome.value) for one, outcome in guarded if outcome.value is not None
    )
    reasons = sorted({one.reason for one in (*judged, *(o for _, o in guarded)) if one.reason})
    measured = sum(one.value is not None for one in judged)
    return {"measured": measured, "canaries_right": right, "reason": "; ".join(reasons) or None}
