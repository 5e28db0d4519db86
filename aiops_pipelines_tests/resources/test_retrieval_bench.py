"""A small real index, asked known queries by the real model and by BM25."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aiops_pipelines.rag.index_settings import Corpus
from aiops_pipelines.resources.documents import snapshots
from aiops_pipelines.resources.embedder import MiniLM, MultilingualE5, embedder
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.retrieval_bench import RetrievalBench
from aiops_pipelines.resources.warehouse import Warehouse

pytestmark = pytest.mark.usefixtures("kept_open")

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def bench(warehouse: Warehouse, tmp_path: Path) -> RetrievalBench:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "fees.md").write_text("# Fees\n\nA label costs two euros.\n", encoding="utf-8")
    (folder / "hours.md").write_text("# Hours\n\nThe desk opens at nine.\n", encoding="utf-8")
    build(warehouse, folder)
    ask_what_a_label_costs(warehouse)
    return RetrievalBench(warehouse)


def build(warehouse: Warehouse, folder: Path, model: str = MiniLM.name) -> None:
    (snapshot,) = snapshots(Corpus(folder=folder))
    IndexBook(warehouse).update("desk", snapshot, NOW, embedder(model))


def ask_what_a_label_costs(warehouse: Warehouse) -> None:
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


def test_each_index_is_asked_the_queries_of_its_time(bench: RetrievalBench) -> None:
    found = bench.evaluate("desk", NOW)
    assert sorted(found.scores["ranker"]) == ["bm25", "dense", "fusion"]
    assert found.scores["reciprocal_rank"].to_list() == [1.0] * 3
    assert found.quality.filter(metric="ndcg_at_10")["mean"].to_list() == [1.0] * 3
    assert found.comparisons.is_empty()  # one query compares nothing
    found = bench.evaluate("desk", NOW - timedelta(days=20))  # nothing was known then
    assert found.scores.is_empty()


def test_two_spaces_of_one_state_are_each_asked_in_their_own(
    bench: RetrievalBench, warehouse: Warehouse, tmp_path: Path
) -> None:
    build(warehouse, tmp_path / "corpus", MultilingualE5.name)
    scores = bench.evaluate("desk", NOW).scores
    assert scores.group_by("ranker").len().sort("ranker").rows() == [("bm25", 2), ("dense", 2), ("fusion", 2)]
    assert scores["index_version"].n_unique() == 2
    assert scores["reciprocal_rank"].to_list() == [1.0] * 6


def test_an_index_in_a_space_that_nobody_knows_keeps_its_floor(
    bench: RetrievalBench, warehouse: Warehouse
) -> None:
    with warehouse.writing() as writer:
        rows = writer.read("select * from rag.index_versions")
        gone = rows.with_columns(embedding_version=pl.lit("ev-gone"))
        writer.replace("rag.index_versions", gone, system="desk")
    scores = bench.evaluate("desk", NOW).scores
    assert scores["ranker"].to_list() == ["bm25"]


TOPICS = ("labels", "lockers", "returns", "invoices", "couriers", "customs", "refunds", "pallets")


def test_an_index_is_compared_with_the_one_before_it_on_the_same_queries(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    asked = [{"system": "desk", "query_id": t, "valid_from": NOW - timedelta(days=9)} for t in TOPICS]
    for table, fields in (
        ("rag.known_queries", lambda topic: {"query": f"what do {topic} cost", "tags": []}),
        ("rag.judgements", lambda topic: {"document": f"{topic}.md", "grade": 2}),
    ):
        declared = warehouse.tables[table]
        rows = [dict.fromkeys(declared.schema) | row | fields(row["query_id"]) for row in asked]
        warehouse.replace(table, pl.DataFrame(rows, schema=declared.schema), system="desk")
    for topic in TOPICS:
        (folder / f"{topic}.md").write_text(f"# {topic.title()}\n\nWhat {topic} cost: two euros.\n")
    build(warehouse, folder)
    bench = RetrievalBench(warehouse)
    assert bench.evaluate("desk", NOW).changes.is_empty()
    for number, topic in enumerate(TOPICS):  # each page now answers the question of the next
        other = TOPICS[(number + 1) % len(TOPICS)]
        (folder / f"{topic}.md").write_text(f"# {other.title()}\n\nWhat {other} cost: three euros.\n")
    (snapshot,) = snapshots(Corpus(folder=folder))
    IndexBook(warehouse).update("desk", snapshot, NOW + timedelta(days=1), embedder(MiniLM.name))
    changes = bench.evaluate("desk", NOW + timedelta(days=2)).changes
    versions = warehouse.rows("rag.index_versions").sort("valid_from")["index_version"].to_list()
    assert changes.select("previous_version", "index_version").unique().rows() == [tuple(versions)]
    dense = changes.row(by_predicate=pl.col("ranker") == "dense", named=True)
    assert (dense["before"], dense["queries"], dense["moved"], dense["verdict"]) == (1.0, 8, 8, "worse")
    assert dense["after"] < 0.7 and dense["high"] < 0


def test_drafts_are_asked_apart_and_count_nowhere_else(bench: RetrievalBench, warehouse: Warehouse) -> None:
    before = bench.evaluate("desk", NOW)
    asked = {"system": "desk", "query_id": "draft-1", "valid_from": NOW, "query": "when does the desk open"}
    asked |= {"reference_answer": "The desk opens at nine.", "tags": [], "document": "fees.md", "grade": 2}
    drafts = pl.DataFrame([asked], schema=warehouse.tables["rag.drafted_queries"].schema)
    warehouse.replace("rag.drafted_queries", drafts, system="desk")
    found = bench.evaluate("desk", NOW)
    assert found.scores.equals(before.scores) and found.quality.equals(before.quality)
    apart = found.slices.filter(kind="drafts", metric="reciprocal_rank")
    assert dict(apart.select("ranker", "mean").iter_rows())["dense"] == 0.5  # judged wrong, so found second
    assert before.slices.is_empty()


def test_a_tag_has_its_own_row(bench: RetrievalBench, warehouse: Warehouse) -> None:
    known = warehouse.rows("rag.known_queries").with_columns(tags=pl.lit(["prices"]))
    warehouse.replace("rag.known_queries", known, system="desk")
    slices = bench.evaluate("desk", NOW).slices
    assert set(slices["slice"]) == {"prices"} and set(slices["ranker"]) == {"dense", "bm25", "fusion"}
    assert slices.filter(metric="ndcg_at_10")["verdict"].to_list() == ["too few"] * 3


def test_ragas_measures_stand_beside_ours(bench: RetrievalBench) -> None:
    """Two documents are found where five could be: precision is 1/2 to ragas and 1/5 to trec_eval."""
    quality = bench.evaluate("desk", NOW).quality.filter(ranker="dense")
    means = dict(quality.select("metric", "mean").iter_rows())
    assert (means["ragas_context_recall_id"], means["recall_at_5"]) == (1.0, 1.0)
    assert (means["ragas_context_precision_id"], means["precision_at_5"]) == (0.5, 0.2)
    assert means["ragas_context_recall_text"] == 1.0
    assert means["ragas_context_precision_text"] == pytest.approx(
        1.0
    )  # the chunk with "two euros" comes first


def test_queries_without_a_reference_answer_have_no_text_to_compare(
    bench: RetrievalBench, warehouse: Warehouse
) -> None:
    known = warehouse.rows("rag.known_queries").with_columns(reference_answer=pl.lit(None, pl.String))
    warehouse.replace("rag.known_queries", known, system="desk")
    assert not [name for name in bench.evaluate("desk", NOW).quality["metric"] if name.endswith("_text")]
