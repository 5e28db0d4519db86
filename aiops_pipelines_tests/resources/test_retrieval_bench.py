"""A small real index, asked known queries by the real model and by BM25."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aiops_pipelines.resources.documents import snapshots
from aiops_pipelines.resources.embedder import embedder
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.retrieval_bench import RetrievalBench
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import Corpus

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def bench(warehouse: Warehouse, tmp_path: Path) -> RetrievalBench:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "fees.md").write_text("# Fees\n\nA label costs two euros.\n", encoding="utf-8")
    (folder / "hours.md").write_text("# Hours\n\nThe desk opens at nine.\n", encoding="utf-8")
    model = embedder()
    for snapshot in snapshots(Corpus(folder=folder)):
        IndexBook(warehouse, model).update("desk", snapshot, NOW)
    return RetrievalBench(warehouse, Recipes(warehouse))


def test_each_index_is_asked_the_queries_of_its_time(bench: RetrievalBench, warehouse: Warehouse) -> None:
    asked = {"system": "desk", "query_id": "q1", "valid_from": NOW - timedelta(days=9)}
    known = {**asked, "query": "what does a label cost", "reference_answer": "two euros", "tags": []}
    warehouse.replace(
        "rag.known_queries",
        pl.DataFrame([known], schema=warehouse.tables["rag.known_queries"].schema),
        system="desk",
    )
    judged = {**asked, "document": "fees.md", "grade": 2}
    warehouse.replace(
        "rag.judgements",
        pl.DataFrame([judged], schema=warehouse.tables["rag.judgements"].schema),
        system="desk",
    )
    scores, quality = bench.evaluate("desk", NOW)
    assert sorted(scores["ranker"]) == ["bm25", "dense"]
    assert scores["reciprocal_rank"].to_list() == [1.0, 1.0]
    assert quality.filter(metric="ndcg_at_10")["mean"].to_list() == [1.0, 1.0]
    scores, _ = bench.evaluate("desk", NOW - timedelta(days=20))  # nothing was known then
    assert scores.is_empty()
