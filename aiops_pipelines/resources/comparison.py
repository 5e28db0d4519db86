"""Two indexes of a system asked the same queries: the known ones, and a sample of those of production.

What the answers mean for a migration is `rag.migration`.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime

import polars as pl

from aiops_pipelines.rag import migration
from aiops_pipelines.resources.retrieval_bench import RetrievalBench, Row
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

PRODUCTION_QUERIES = 200
"""Distinct questions, the same ones on every machine; agreement to within 7 points at worst."""
GONE = (
    "The index in force cannot be asked any more, since no model here has its space: there is nothing to "
    "compare with."
)
FLOATS = ("before", "after", "relative_drop", "low", "high")


def compare_indexes(
    warehouse: Warehouse, system: System, before: Row, after: Row, clock: datetime
) -> pl.DataFrame:
    """Return sample, measure, means, drop, interval, queries, verdict and reason, a row per measure.

    Args:
        warehouse: where the indexes are.
        system: whose known queries in force are asked.
        before: row of `rag.index_versions` of the index in force.
        after: the same of the index that may replace it.
        clock: now, UTC-aware.
    """
    bench = RetrievalBench(warehouse)
    with warehouse.held():
        scores = [_dense(bench, warehouse, system, index, clock) for index in (before, after)]
        asked = _production(warehouse, system.name)
        ranked = [
            bench.rankings(system.name, i, asked).get("dense") if asked else [] for i in (before, after)
        ]
    gates = migration.gate(scores[0], scores[1], system.limits.margin)
    if scores[0].is_empty() and scores[1].height:
        gates = [replace(one, reason=GONE) for one in gates]
    found = [(migration.KNOWN, one) for one in gates]
    if None in ranked:  # no model has the old space any more, so the old index cannot be asked
        ranked = [[], []]
    named = [
        [[document for document, _ in ranking] for ranking in rankings]
        for rankings in ranked
        if rankings is not None
    ]
    found += [(migration.PRODUCTION, one) for one in migration.agreement(*named)]
    rows = [asdict(one) | {"sample": sample} for sample, one in found]
    frame = pl.DataFrame(rows, infer_schema_length=None).rename({"drop": "relative_drop"})
    return frame.with_columns(pl.col(FLOATS).cast(pl.Float64))


def _dense(
    bench: RetrievalBench, warehouse: Warehouse, system: System, index: Row, clock: datetime
) -> pl.DataFrame:
    scored = bench.scores(system.name, index, system.now(clock))
    empty = warehouse.tables["rag.retrieval_scores"].empty()
    return pl.concat([empty, *scored]).filter(ranker="dense")


def _production(warehouse: Warehouse, system: str) -> Sequence[str]:
    sql = (
        "select query from inference_log.inferences where system = ? and known_query_id is null "
        "and trim(query) <> '' group by query order by md5(query) limit ?"
    )
    found: list[str] = warehouse.read(sql, [system, PRODUCTION_QUERIES])["query"].to_list()
    return found
