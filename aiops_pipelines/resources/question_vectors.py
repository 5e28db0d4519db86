"""Vectors of what users asked, for a week in which only production fell; what they explain is `drift`'s."""

import polars as pl

from aiops_pipelines.drift.query_mix import only_production_fell
from aiops_pipelines.monitoring.sampling import drawn
from aiops_pipelines.resources.embedder import Embedder, embedder

BASELINE_QUESTIONS = 1_000
"""Enough for ten alike ones each; with those of the week they take about 10 s."""


def question_vectors(
    verdicts: pl.DataFrame,
    scores: pl.DataFrame,
    calls: pl.DataFrame,
    baselines: pl.DataFrame,
    model: Embedder | None = None,
) -> pl.DataFrame | None:
    """Return event_id and vector of scored questions of the baseline and the week.

    None where the known queries fell too: then the system answers worse, and other questions are not why.

    Args:
        verdicts: drift.drift_verdicts of the week.
        scores: monitoring.quality_scores.
        calls: inference_log.inferences, with event_id and query.
        baselines: monitoring.baselines.
        model: the packaged model if left out; its vectors are compared with each other only.
    """
    if not only_production_fell(verdicts):
        return None
    first, last = baselines.filter(pl.col("sample") == "production").select("first_week", "last_week").row(0)
    scored = scores.filter(pl.col("sample") == "production", pl.col("value").is_not_null())
    asked = (
        scored.unique("event_id")
        .join(calls.select("event_id", "query"), on="event_id")
        .filter(pl.col("query").str.strip_chars().str.len_chars() > 0)
    )
    before = asked.filter(pl.col("week").is_between(first, last))
    before = drawn(before, seed=0).head(BASELINE_QUESTIONS)
    now = asked.filter(pl.col("week") == verdicts["week"][0])
    questions = pl.concat([before, now]).sort("event_id").select("event_id", "query")
    texts = questions["query"].unique(maintain_order=True)
    if texts.is_empty():
        return None
    found = (model or embedder()).embed(texts.to_list())
    vectors = pl.DataFrame({"query": texts, "vector": list(found)})
    return questions.join(vectors, on="query", maintain_order="left").drop("query")
