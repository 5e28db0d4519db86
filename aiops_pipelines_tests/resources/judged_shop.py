"""A shop with weeks of answers, some of which say what their context does not, and known queries."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from aiops_pipelines.monitoring.judge_settings import JudgeSettings
from aiops_pipelines.monitoring.quality import JUDGED
from aiops_pipelines.resources.model_judge import ModelJudge
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.week_scores import score_week
from aiops_pipelines_tests.resources.test_completion import insert

JUNE_1 = date(2026, 6, 1)
CLOCK = datetime(2026, 7, 20, 6, tzinfo=UTC)
FEE = "The fee is ten euros."
TRUE, FALSE = "The fee is ten euros.", "The fee is nine dollars."


class NoJudge:
    """Scores nothing, so that only the model's scores are there."""

    def score(self, samples: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame(schema=JUDGED)


def settings(url: str, **changes: Any) -> JudgeSettings:
    given = {"kind": "openai_compatible", "base_url": url, "model": "tiny", "dated_name": "tiny-1"}
    return JudgeSettings.model_validate(given | {"concurrency": 8} | changes)


def week(number: int) -> date:
    return JUNE_1 + timedelta(weeks=number)


def fill(
    warehouse: Warehouse, weeks: int = 1, answers: int = 40, false: int = 10, known: int = 0, **changes: Any
) -> None:
    """Log answers of as many users in each week, the first `false` of which are wrong, and probes besides."""
    insert(warehouse, "rag.chunks", {"system": "shop", "chunk_id": "c1", "chunker_version": "1", "text": FEE})
    since = datetime(2026, 1, 1, tzinfo=UTC)
    asked = {"system": "shop", "query": "What is the fee?", "reference_answer": FEE, "valid_from": since}
    queries = [asked | {"query_id": f"q{n}"} for n in range(known)]
    if queries:
        insert(warehouse, "rag.known_queries", *queries)
    calls = []
    for number in range(weeks):
        at = datetime(2026, 6, 2, 12, tzinfo=UTC) + timedelta(weeks=number)
        base = {
            "system": "shop",
            "occurred_at": at,
            "query": "What is the fee?",
            "status": "ok",
            "endpoint": "chat",
            "retrieved": [{"chunk_id": "c1", "document": "fees.md", "score": 1.0}],
        }
        calls += [
            base
            | {"event_id": f"w{number}-{n:03}", "user_id": f"u{n}", "answer": FALSE if n < false else TRUE}
            | changes
            for n in range(answers)
        ]
        calls += [
            base | {"event_id": f"w{number}-q{n:03}", "known_query_id": f"q{n}", "answer": TRUE}
            for n in range(known)
        ]
    insert(warehouse, "inference_log.inferences", *calls)


def judge(warehouse: Warehouse, url: str, clock: datetime = CLOCK, **changes: Any) -> ModelJudge:
    return ModelJudge("shop", settings(url, **changes), warehouse, clock)


def scored(warehouse: Warehouse, model: ModelJudge, number: int = 0) -> pl.DataFrame:
    """Score a week and keep it, as a run does."""
    with warehouse.held():
        found = score_week(warehouse, NoJudge(), "shop", week(number), model)
        warehouse.replace("monitoring.quality_scores", found, system="shop", week=week(number))
    return found
