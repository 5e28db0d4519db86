"""What the measures say of a run from anywhere: means with intervals, and the queries no mean speaks for."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from aiops_pipelines.rag.evaluation import interval
from aiops_pipelines.rag.metrics import judged, measures

TREC_EVAL = {"precision": "P", "recall": "recall", "hit": "success", "ndcg": "ndcg_cut"}


@dataclass(frozen=True)
class RunReport:
    """`means` has a row per measure (metric, trec_eval, mean, low, high), over `queries` queries."""

    queries: int
    means: pl.DataFrame
    not_ranked: list[str]
    not_judged: list[str]


def run_report(
    run: pl.DataFrame, qrels: pl.DataFrame, cuts: Sequence[int] = (5, 10), complete: bool = False
) -> RunReport:
    """Return the mean of each measure over the queries that are ranked and judged.

    Args:
        run: columns as `metrics.RUN`.
        qrels: columns as `metrics.QRELS`.
        cuts: places at which the measures are cut.
        complete: let judged queries without a ranking count as 0, as trec_eval -c does.

    Raises:
        ValueError: no query is both ranked and judged.
    """
    values = measures(judged(run, qrels), cuts)
    asked, truth = set(run["query_id"]), set(qrels["query_id"])
    missing = sorted(truth - asked)
    if values.is_empty():
        raise ValueError("No query is both ranked and judged; give a run and judgements of the same queries.")
    if complete:
        values = pl.concat([values, pl.DataFrame({"query_id": missing})], how="diagonal").fill_null(0.0)
    rows = []
    for metric in values.columns[1:]:
        scores = values[metric].to_numpy()
        rows.append((metric, trec_eval_name(metric), float(scores.mean()), *interval(scores)))
    means = pl.DataFrame(rows, schema=["metric", "trec_eval", "mean", "low", "high"], orient="row")
    return RunReport(values.height, means, missing, sorted(asked - truth))


def trec_eval_name(metric: str) -> str:
    """Return what trec_eval calls a measure: precision_at_5 is P_5."""
    name, _, cut = metric.partition("_at_")
    return f"{TREC_EVAL[name]}_{cut}" if cut else "recip_rank"
