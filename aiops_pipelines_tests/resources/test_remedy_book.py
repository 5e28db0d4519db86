"""Remedies that are run here: what came of them is recorded, and what had nothing to do is not."""

from datetime import timedelta

import polars as pl
import pytest

from aiops_pipelines.incidents.course import IncidentError
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.rag.recipes import Recipe
from aiops_pipelines.resources.embedder import embedder
from aiops_pipelines.resources.migrations import MigrationRefused
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.remedy_book import reindexed, rolled_back
from aiops_pipelines.resources.retrieval_bench import RetrievalBench
from aiops_pipelines_tests.resources.desk import NOW, ask, desk, index, migrations, write_corpus

pytestmark = pytest.mark.usefixtures("kept_open")
INCIDENT = {"system": "desk", "incident_id": "INC-1", "began_at": NOW}
LATER = NOW + timedelta(days=2)


@pytest.fixture
def system(project, warehouse):
    system = desk(project, limits={"margin": 0.05})
    write_corpus(system.corpus.folder)
    index(warehouse, system)
    return system


def test_an_index_that_was_behind_is_brought_up_to_date_and_that_is_recorded(warehouse, system):
    (system.corpus.folder / "fees.md").write_text("# Fees\n\nA label costs three euros.\n", encoding="utf-8")
    recorded = reindexed(warehouse, system, INCIDENT, "Mira", LATER)
    (row,) = warehouse.rows("incidents.remedies").rows(named=True)
    assert recorded.new and (row["kind"], row["at"], row["actor"]) == ("index", LATER, "Mira")
    newest = warehouse.rows("rag.index_versions").sort("valid_from").row(-1, named=True)
    assert newest["built_by"] == row["run_id"] and newest["index_version"] in row["outcome"]
    assert "1 edited" in row["outcome"] and "1 new text" in row["outcome"]


def test_an_index_that_does_not_equal_its_source_then_is_no_remedy(warehouse, system):
    lost = warehouse.rows("rag.index_chunks", document="hours.md")["chunk_id"][0]
    with warehouse.writing() as writer:
        writer.delete("rag.chunks", chunk_id=lost)
    (system.corpus.folder / "fees.md").write_text("# Fees\n\nA label costs three euros.\n", encoding="utf-8")
    with pytest.raises(IncidentError, match=r"without a text.*no remedy of INC-1.*aiops reindex desk --anew"):
        reindexed(warehouse, system, INCIDENT, "Mira", LATER)
    assert warehouse.rows("incidents.remedies").is_empty()


def test_an_index_that_is_level_is_no_remedy(warehouse, system):
    with pytest.raises(IncidentError, match="level with its corpus already"):
        reindexed(warehouse, system, INCIDENT, "Mira", LATER)
    with pytest.raises(IncidentError, match="give --by"):
        reindexed(warehouse, system, INCIDENT, " ", LATER)
    assert warehouse.rows("incidents.remedies").is_empty()


def test_a_switch_is_rolled_back_and_that_is_recorded(warehouse, system, project):
    moves, model = migrations(project, warehouse), embedder().space.version
    with pytest.raises(MigrationRefused, match="never migrated"):
        rolled_back(warehouse, moves, system, INCIDENT, "Mira", LATER)
    ask(warehouse, 12)
    moves.start(system, Recipe("all-MiniLM-L6-v2", model, Chunking(300)), NOW)
    moves.promote(system, "Ada", "Smaller", True, NOW + timedelta(days=1))
    assert Recipes(warehouse).first(system).chunking == Chunking(300)
    recorded = rolled_back(warehouse, moves, system, INCIDENT, "Mira", LATER)
    assert Recipes(warehouse).first(system).chunking == Chunking()
    (row,) = warehouse.rows("incidents.remedies").rows(named=True)
    assert recorded.remedy["remedy_id"] == row["remedy_id"] and row["run_id"] == "switch 3"
    assert "In force is all-MiniLM-L6-v2" in row["outcome"]
    switch = warehouse.rows("rag.active_indexes").sort("number").row(-1, named=True)
    assert (switch["decided_by"], switch["reason"]) == ("Mira", "A remedy of INC-1.")


def test_what_cannot_be_recorded_is_not_run(warehouse, system, project):
    moves, model = migrations(project, warehouse), embedder().space.version
    ask(warehouse, 12)
    moves.start(system, Recipe("all-MiniLM-L6-v2", model, Chunking(300)), NOW)
    moves.promote(system, "Ada", "Smaller", True, NOW + timedelta(days=1))
    with pytest.raises(IncidentError, match="--by has 121 characters"):
        rolled_back(warehouse, moves, system, INCIDENT, "M" * 121, LATER)
    assert Recipes(warehouse).first(system).chunking == Chunking(300)
    (system.corpus.folder / "fees.md").write_text("# Fees\n\nA label costs three euros.\n", encoding="utf-8")
    built = warehouse.rows("rag.index_versions").height
    with pytest.raises(IncidentError, match="--by has 121 characters"):
        reindexed(warehouse, system, INCIDENT, "M" * 121, LATER)
    assert warehouse.rows("rag.index_versions").height == built


def test_two_rollbacks_are_two_remedies_where_the_clock_stands_still(warehouse, system, project):
    moves, model = migrations(project, warehouse), embedder().space.version
    ask(warehouse, 12)
    still = system.model_copy(update={"as_of": LATER})
    for by in ("Mira", "Ada"):
        moves.start(still, Recipe("all-MiniLM-L6-v2", model, Chunking(300)), LATER)
        moves.promote(still, "Ada", "Smaller", True, LATER)
        recorded = rolled_back(warehouse, moves, still, INCIDENT, by, LATER + timedelta(days=1))
        assert recorded.new and (recorded.remedy["actor"], recorded.remedy["at"]) == (by, LATER)
    rows = warehouse.rows("incidents.remedies").sort("run_id")
    assert rows.select("run_id", "actor").rows() == [("switch 3", "Mira"), ("switch 5", "Ada")]


def test_what_a_rollback_is_the_remedy_of_stays_on_record(warehouse, system, project):
    moves, model = migrations(project, warehouse), embedder().space.version
    ask(warehouse, 12)
    moves.start(system, Recipe("all-MiniLM-L6-v2", model, Chunking(300)), NOW)
    moves.promote(system, "Ada", "Smaller", True, NOW + timedelta(days=1))
    bench = RetrievalBench(warehouse)
    before = bench.evaluate("desk", LATER)
    rolled_back(warehouse, moves, system, INCIDENT, "Mira", LATER)
    since = bench.evaluate("desk", LATER + timedelta(days=1))
    kept = since.changes.filter(pl.col("valid_from") < LATER)
    assert kept.height == 3 and kept.equals(before.changes)
    assert since.changes.filter(valid_from=LATER)["previous_version"].to_list() == [*kept["index_version"]]
    assert since.scores.group_by("index_version", "ranker").len()["len"].to_list() == [12] * 6  # counted once
