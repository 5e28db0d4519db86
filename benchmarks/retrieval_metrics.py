"""Measures of 10,000 queries with 100 hits each, beside pytrec_eval and, if installed, ranx and ir_measures.

python benchmarks/retrieval_metrics.py
Each starts from what it is usually given: ours from frames, the others from dictionaries.
"""

import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytrec_eval

from aiops_pipelines.rag.metrics import judged, measures

QUERIES, HITS, JUDGED, DOCUMENTS, RUNS = 10_000, 100, 20, 1_000, 5
TREC_EVAL = {"P.5,10", "recall.5,10", "success.5,10", "ndcg_cut.5,10", "recip_rank"}


def data() -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    rng = np.random.default_rng(1)
    run, qrels = {}, {}
    for number in range(QUERIES):
        names = [f"d{at}" for at in rng.permutation(DOCUMENTS)]
        run[f"q{number}"] = dict(zip(names[:HITS], rng.random(HITS).tolist(), strict=True))
        grades = rng.integers(0, 4, JUDGED).tolist()
        qrels[f"q{number}"] = dict(zip(names[90 : 90 + JUDGED], grades, strict=True))
    return run, qrels


def frame(rows: dict[str, dict[str, float]] | dict[str, dict[str, int]], value: str) -> pl.DataFrame:
    flat = [(query, name, number) for query, row in rows.items() for name, number in row.items()]
    return pl.DataFrame(flat, schema=["query_id", "document", value], orient="row")


def cpu_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    run, qrels = data()
    run_frame, qrels_frame = frame(run, "score"), frame(qrels, "grade")
    theirs = pytrec_eval.RelevanceEvaluator(qrels, TREC_EVAL).evaluate(run)
    ours = measures(judged(run_frame, qrels_frame))
    expected = np.array([theirs[query]["ndcg_cut_10"] for query in ours["query_id"]])
    print(f"largest difference in nDCG@10: {np.abs(ours['ndcg_at_10'].to_numpy() - expected).max():.1e}")
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: measures(judged(run_frame, qrels_frame)),
        "pytrec_eval": lambda: pytrec_eval.RelevanceEvaluator(qrels, TREC_EVAL).evaluate(run),
    }
    if find_spec("ranx"):
        from ranx import Qrels, Run, evaluate

        names = [f"{name}@{k}" for name in ("precision", "recall", "hit_rate", "ndcg") for k in (5, 10)]
        ways["ranx"] = lambda: evaluate(Qrels(qrels), Run(run), [*names, "mrr"])
    if find_spec("ir_measures"):
        import ir_measures
        from ir_measures import RR, P, R, Success, nDCG

        wanted = [measure @ k for measure in (P, R, Success, nDCG) for k in (5, 10)]
        ways["ir_measures"] = lambda: ir_measures.calc_aggregate([*wanted, RR], qrels, run)
    times = {way: min(cpu_s(work) for _ in range(RUNS)) for way, work in ways.items()}
    for way, taken in times.items():
        print(f"{way}: {taken / times['ours']:.2f} times our CPU time")


if __name__ == "__main__":
    main()
