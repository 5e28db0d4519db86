"""What a judge with a model is asked about a week, in which batches, and when an answer is asked about again.

Asking it is `resources.model_judge`; what the scores become is `quality`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from aiops_pipelines.monitoring.frozen_answers import FrozenAnswer, is_right
from aiops_pipelines.monitoring.quality import CORRECTNESS, FAITHFULNESS, Score
from aiops_pipelines.wording import some

BATCH = 20
"""Answers that share their canaries: small, for a batch whose canaries are wrong is lost as a whole."""
CALLS = {FAITHFULNESS: 2, CORRECTNESS: 3}
"""Requests that a score takes."""
TRIES = 3
WAIT = timedelta(days=7)
"""So often and so long an answer without a score is asked about again."""
NO_STATEMENT = "the judge found no statement in the answer"
NO_CALLS = "the judge's calls_per_week are used up"
NO_MONEY = "the judge's monthly_budget_usd is spent"
NOTHING_TO_JUDGE = ("the call ended as", "no ", "the texts of", "nothing was retrieved", NO_STATEMENT)
NOT_MISSED = (*NOTHING_TO_JUDGE, NO_CALLS, NO_MONEY)
"""How the reason begins where no score is missed: there is nothing to judge, or a budget ended somewhere at
random, which leaves a smaller sample and no other one."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """One answer to be judged by one metric; `truth` tells which reference answer it is held against."""

    event_id: str
    metric: str
    question: str
    answer: str
    contexts: tuple[str, ...]
    reference: str = ""

    @property
    def truth(self) -> str:
        """A hash of the reference answer, empty where there is none."""
        return hashlib.sha256(self.reference.encode()).hexdigest()[:16] if self.reference else ""


@dataclass(frozen=True)
class Outcome:
    """A score or why there is none.

    `lost` where the judge could not be reached, which is no try; `unasked` where nothing was sent at all.
    """

    value: float | None
    reason: str | None = None
    statements: int | None = None
    unsupported: int | None = None
    lost: bool = False
    unasked: bool = False


def of_frozen(answer: FrozenAnswer, metric: str) -> Question:
    """Return a frozen answer as a question."""
    reference = answer.reference if metric == CORRECTNESS else ""
    return Question(answer.name, metric, answer.question, answer.answer, (answer.context,), reference)


def questions(samples: pl.DataFrame) -> tuple[list[Question], dict[tuple[str, str], Score]]:
    """Return what is to be asked of samples, and why the rest cannot be, by call and metric.

    Faithfulness is asked of every call, correctness of those with a reference answer. They come in an order
    that has nothing to do with what they say: a judge that stops has judged a random part of them.
    """
    asked: list[Question] = []
    left: dict[tuple[str, str], Score] = {}
    for row in samples.iter_rows(named=True):
        metrics = (FAITHFULNESS, CORRECTNESS) if (row["reference_answer"] or "").strip() else (FAITHFULNESS,)
        for metric in metrics:
            if why := _obstacle(row, metric):
                left[row["event_id"], metric] = (None, why)
                continue
            given = (row["reference_answer"], ()) if metric == CORRECTNESS else ("", tuple(row["contexts"]))
            asked.append(Question(row["event_id"], metric, row["query"], row["answer"], given[1], given[0]))
    return sorted(asked, key=_draw), left


def _draw(question: Question) -> str:
    return hashlib.sha256(f"{question.event_id}:{question.metric}".encode()).hexdigest()


def _obstacle(row: Row, metric: str) -> str | None:
    """Return why a call has no score of a metric whatever the judge."""
    fine = ("ok",) if metric == FAITHFULNESS else ("ok", "refused")
    if row["status"] not in fine:
        return f"the call ended as {row['status']}: there is no answer to judge"
    for name, column in (("answer", "answer"), ("question", "query")):
        if not (row[column] or "").strip():
            return f"no {name} was logged"
    if metric == CORRECTNESS:
        return None
    if row["contexts"] is None:
        return "no retrieved context was logged"
    if row["contexts_missing"]:
        return f"the texts of {some(row['contexts_missing'], 'retrieved chunk')} are not in the chunk store"
    if not any(text.strip() for text in row["contexts"]):
        return "nothing was retrieved"
    return None


def batches(asked: Sequence[Question]) -> Iterator[list[Question]]:
    """Yield the questions in batches of one metric each, in the order in which they come."""
    waiting: dict[str, list[Question]] = {}
    for question in asked:
        batch = waiting.setdefault(question.metric, [])
        batch.append(question)
        if len(batch) == BATCH:
            yield waiting.pop(question.metric)
    yield from waiting.values()


def is_final(row: Row, now: datetime) -> bool:
    """Say whether an answer is not asked about again: it has its score, or was tried often or long enough."""
    return row["value"] is not None or row["tries"] >= TRIES or row["first_asked_at"] + WAIT <= now


def judged_row(question: Question, outcome: Outcome, before: Row | None, at: datetime, **keys: Any) -> Row:
    """Return the row of monitoring.judged_answers of an outcome; `keys` are system, week and judge."""
    tries = (before["tries"] if before else 0) + (not outcome.lost)
    return {
        **keys,
        "event_id": question.event_id,
        "metric": question.metric,
        "truth": question.truth,
        "value": outcome.value,
        "statements": outcome.statements,
        "unsupported": outcome.unsupported,
        "reason": outcome.reason,
        "tries": tries,
        "first_asked_at": before["first_asked_at"] if before else at,
        "judged_at": at,
    }


def believed(
    outcomes: Sequence[Outcome], guarded: Sequence[tuple[FrozenAnswer, Outcome]], metric: str
) -> list[Outcome]:
    """Return the outcomes of a batch, without scores if a canary of it came out wrong or was not judged."""
    unseen = [outcome for _, outcome in guarded if outcome.value is None]
    wrong = sorted(
        one.name
        for one, outcome in guarded
        if outcome.value is not None and not is_right(one.kind, metric, outcome.value)
    )
    if not unseen and not wrong:
        return list(outcomes)
    if wrong:
        said = Outcome(None, f"the judge got a canary of the batch wrong ({', '.join(wrong)})")
    else:
        why, unasked = f"a canary of the batch was not judged: {unseen[0].reason}", unseen[0].unasked
        said = Outcome(None, why, lost=all(one.lost for one in unseen), unasked=unasked)
    return [outcome if outcome.value is None else said for outcome in outcomes]
