"""Scores one week of one system: what is in the warehouse about its calls goes to the judge.

Which calls are taken lives in `monitoring.sampling`, what scores become in `monitoring.quality`.
"""

from datetime import date, datetime, timedelta
from typing import Protocol

import polars as pl

from aiops_pipelines.inference_log.late import with_trace_facts
from aiops_pipelines.monitoring.quality import quality_scores
from aiops_pipelines.monitoring.samples import judge_samples, named_documents
from aiops_pipelines.monitoring.sampling import known_probes, production_sample, unanswered_sample
from aiops_pipelines.periods import midnight
from aiops_pipelines.rag.known_queries import retired
from aiops_pipelines.resources.warehouse import Warehouse

PRODUCTION_SAMPLE = 400


class Judge(Protocol):
    """Scores calls; see `resources.judge`."""

    def score(self, samples: pl.DataFrame) -> pl.DataFrame:
        """Return one row per sample and metric."""


class ModelJudge(Protocol):
    """Scores the calls of a week that are given to a model; see `resources.model_judge`."""

    sample_size: int

    def score(self, samples: pl.DataFrame, week: date) -> pl.DataFrame:
        """Return one row per sample and metric."""


def score_week(
    warehouse: Warehouse, judge: Judge, system: str, week: date, model: ModelJudge | None = None
) -> pl.DataFrame:
    """Return monitoring.quality_scores of the known-query probes and of samples of the production calls.

    A model, where the system has one, judges the probes and a smaller sample of the same sample besides.
    Calls whose texts were deleted since keep the scores that they have: they cannot be judged again.
    """
    calls = _calls_of_week(warehouse, system, week)
    deleted = calls.filter(pl.col("texts_deleted_at").is_not_null())
    there = calls.join(deleted, on="event_id", how="anti")  # without its text a short answer looks like none
    left = there.height / max(1, calls.height)
    size = max(1, round(PRODUCTION_SAMPLE * left))
    samples = production_sample(there, week, size), unanswered_sample(there, week, size)
    tables = ("rag.chunks", "rag.known_queries", "rag.judgements", "rag.index_chunks")
    chunks, known, judgements, places = (warehouse.rows(name, system=system) for name in tables)
    gone = retired(known, end_of_week(week))
    hostile = warehouse.rows("rag.adversarial_queries", system=system)["query_id"].to_list()
    probes = known_probes(calls, week).filter(~pl.col("known_query_id").is_in([*gone, *hostile]))
    chosen = pl.concat([probes, *samples])
    given = judge_samples(named_documents(chosen, places), chunks, known, judgements)
    judged = judge.score(given)
    if model:
        few = production_sample(samples[0], week, max(1, round(model.sample_size * left)))
        seen = pl.concat([probes, few])
        judged = pl.concat([judged, model.score(given.join(seen, on="event_id", how="semi"), week)])
    scores = quality_scores(judged, chosen, week)
    if deleted.is_empty():
        return scores
    stored = warehouse.rows("monitoring.quality_scores", system=system, week=week)
    kept = stored.join(deleted, on="event_id", how="semi")
    return pl.concat([kept, scores.join(kept, on="event_id", how="anti")])


def end_of_week(week: date) -> datetime:
    """Return the last moment of a week, UTC."""
    return midnight(week + timedelta(days=7)) - timedelta(microseconds=1)


def _calls_of_week(warehouse: Warehouse, system: str, week: date) -> pl.DataFrame:
    """Return the calls with the users that their traces name: who asked decides what is independent."""
    start, end = midnight(week), midnight(week + timedelta(days=7))
    calls = warehouse.read(
        "select * from inference_log.inferences where system = ? and occurred_at >= ? and occurred_at < ?",
        [system, start.replace(tzinfo=None), end.replace(tzinfo=None)],
    )
    return with_trace_facts(calls, warehouse.rows("inference_log.traces", system=system))


def endpoints_of_scored(warehouse: Warehouse, system: str) -> pl.DataFrame:
    """Return event_id and endpoint of all production calls with a score, those of the baseline too.

    An endpoint that only the trace of a call names counts as its own.
    """
    return warehouse.read(
        "select event_id, coalesce(calls.endpoint, traces.endpoint) as endpoint "
        "from inference_log.inferences as calls left join inference_log.traces using (system, trace_id) "
        "where system = $1 and event_id in ("
        "select event_id from monitoring.quality_scores where system = $1 and sample = 'production' "
        "union select unit from monitoring.baseline_scores where system = $1 and sample = 'production')",
        [system],
    )
