"""Migrations between two real models and between two chunkings, on a small real index."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.rag.recipes import Recipe
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.embedder import EmbedderError, MultilingualE5, embedder
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.migrations import MigrationRefused, Migrations
from aiops_pipelines.resources.recipes import Recipes, file_differs
from aiops_pipelines.resources.retrieval_bench import RetrievalBench
from aiops_pipelines.resources.shadow import estimate
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines_tests.resources.desk import NOW, TOPICS, ask, desk, index, migrations, write_corpus

pytestmark = pytest.mark.usefixtures("kept_open")

MINI, E5 = embedder().space.version, MultilingualE5().space.version
TO_E5 = Recipe("multilingual-e5-small", E5, Chunking())
TO_SMALL = Recipe("all-MiniLM-L6-v2", MINI, Chunking(300))


REMEMBERED: dict[tuple[str, bool], Any] = {}


@pytest.fixture(autouse=True)
def e5_reads_each_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real vectors of three texts a second, kept from test to test: equal texts have equal vectors."""
    genuine = MultilingualE5._encode

    def encode(self: MultilingualE5, texts: Sequence[str], is_query: bool) -> Any:
        new = [text for text in dict.fromkeys(texts) if (text, is_query) not in REMEMBERED]
        for text, vector in zip(new, genuine(self, new, is_query), strict=True):
            REMEMBERED[text, is_query] = vector
        return np.array([REMEMBERED[text, is_query] for text in texts], dtype=np.float32)

    monkeypatch.setattr(MultilingualE5, "_encode", encode)


@pytest.fixture
def system(project: Project, warehouse: Warehouse) -> System:
    system = desk(project, limits={"margin": 0.05})
    assert system.corpus
    write_corpus(system.corpus.folder)
    index(warehouse, system)
    return system


@pytest.fixture
def moves(project: Project, warehouse: Warehouse, system: System) -> Migrations:
    return migrations(project, warehouse)


def served(warehouse: Warehouse) -> list[str]:
    return Recipes(warehouse).served("desk")["embedding_version"].to_list()


def test_between_two_real_models_of_one_dimension_and_back(
    warehouse: Warehouse, system: System, moves: Migrations, project: Project
) -> None:
    ask(warehouse, 84)
    before = warehouse.rows("rag.index_versions")
    row = moves.start(system, TO_E5, NOW)
    assert row["status"] == "built" and served(warehouse) == [MINI]
    assert warehouse.rows("rag.index_versions", embedding_version=MINI).equals(before)
    gates = {one["measure"]: one for one in moves.verdicts("desk", "mg-1")}
    assert (gates["ndcg_at_10"]["before"], gates["ndcg_at_10"]["after"]) == (1.0, 1.0)
    assert gates["recall_at_5"]["verdict"] == "not inferior"
    assert gates["same_documents_at_5"]["queries"] == 0 and gates["same_documents_at_5"]["after"] is None
    switch = moves.promote(system, "Ada", "", False, NOW + timedelta(days=1))
    assert (switch["number"], switch["embedding_version"]) == (2, E5)
    assert served(warehouse) == [MINI, E5]
    assert Recipes(warehouse).first(system) == TO_E5
    index(warehouse, system, NOW + timedelta(days=2))  # nothing moved, nothing is built
    assert warehouse.rows("rag.index_versions").height == 2
    moves.rollback(system, "Ada", "Users complain, eve@example.com too", NOW + timedelta(days=3))
    assert served(warehouse) == [MINI, E5, MINI]
    with pytest.raises(MigrationRefused, match="mg-1 is rolled back already"):
        moves.rollback(system, "Ada", "", NOW + timedelta(days=3))
    log = warehouse.rows("compliance.audit_log", system="desk").sort("entry_index")
    assert log["kind"].to_list() == ["decision.migration_promoted", "decision.migration_rolled_back"]
    assert log["actor"].to_list() == ["Ada", "Ada"] and "Users complain, [EMAIL] too" in log["summary"][1]
    assert AuditBook(project, warehouse, Keys(project.keys)).verify("desk")[1] == 2


def test_known_queries_of_a_file_that_no_run_has_read_count(
    warehouse: Warehouse, system: System, moves: Migrations, tmp_path: Path
) -> None:
    relevant = [{"document": "fees.md", "grade": 2}]
    lines = [
        json.dumps({"query_id": f"q{n}", "query": "label", "valid_from": "2026-05-01", "relevant": relevant})
        for n in range(20)
    ]
    (tmp_path / "known.jsonl").write_text("\n".join(lines), encoding="utf-8")
    row = moves.start(system.model_copy(update={"known_queries": tmp_path / "known.jsonl"}), TO_SMALL, NOW)
    known = [one for one in moves.verdicts("desk", row["migration_id"]) if one["sample"] == "known queries"]
    assert {one["queries"] for one in known} == {20}


def test_every_index_is_asked_in_its_own_space(
    warehouse: Warehouse, system: System, moves: Migrations
) -> None:
    ask(warehouse, 20)
    moves.start(system, TO_E5, NOW)
    moves.promote(system, "Ada", "test", True, NOW + timedelta(days=1))
    found = RetrievalBench(warehouse).evaluate("desk", NOW + timedelta(days=2))
    scores, quality = found.scores, found.quality
    dense = scores.filter(ranker="dense")
    assert dense["index_version"].n_unique() == 2 and dense["ndcg_at_10"].to_list() == [1.0] * 40
    assert quality.filter(ranker="dense", metric="ndcg_at_10").height == 2


def test_the_gate_holds_and_only_a_name_and_a_reason_open_it(
    warehouse: Warehouse, system: System, moves: Migrations
) -> None:
    ask(warehouse, 40)
    moves.start(system, TO_SMALL, NOW)  # nothing differs, but 40 queries cannot show it to 5 %
    ask(warehouse, 41)
    moves.start(system, TO_SMALL, NOW)  # is compared again, with the queries there are by now
    assert {one["queries"] for one in moves.verdicts("desk", "mg-1")} == {0, 41}
    with pytest.raises(MigrationRefused, match=r"not shown to be as good: .*nobody can tell"):
        moves.promote(system, "Ada", "", False, NOW)
    for by, reason in (("", "Cheaper"), ("Ada", " ")):
        with pytest.raises(MigrationRefused, match="takes a --reason and a name"):
            moves.promote(system, by, reason, True, NOW)
    assert Recipes(warehouse).first(system).chunking.characters == 600
    assert warehouse.rows("compliance.audit_log").is_empty()
    moves.promote(system, "Ada", "Cheaper", True, NOW)
    assert Recipes(warehouse).first(system) == TO_SMALL


def test_a_worse_index_is_called_inferior(
    warehouse: Warehouse, system: System, moves: Migrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(warehouse, 60)

    def muddled(self: MultilingualE5, texts: list[str]) -> Any:
        return genuine(self, [*texts[1:], texts[0]])  # a model that mixes its answers up

    genuine = MultilingualE5.embed
    monkeypatch.setattr(MultilingualE5, "embed", muddled)
    moves.start(system, TO_E5, NOW)
    gates = {one["measure"]: one for one in moves.verdicts("desk", "mg-1")}
    assert gates["ndcg_at_10"]["verdict"] == "inferior" and gates["ndcg_at_10"]["low"] > 0.05
    with pytest.raises(MigrationRefused, match="inferior"):
        moves.promote(system, "Ada", "", False, NOW)


def test_both_indexes_follow_the_corpus_and_the_old_one_stays_warm(
    warehouse: Warehouse, system: System, moves: Migrations
) -> None:
    assert system.corpus
    moves.start(system, TO_SMALL, NOW)
    write_corpus(system.corpus.folder, {"news": "A shop opens in Oslo."})
    index(warehouse, system, NOW + timedelta(hours=1))
    newest = warehouse.rows("rag.index_versions").sort("valid_from").tail(2)
    assert newest["documents"].to_list() == [7, 7] and newest["revision"].n_unique() == 1
    (system.corpus.folder / "news.md").unlink()
    index(warehouse, system, NOW + timedelta(hours=2))  # the corpus is as it was at first, and so are both
    level = warehouse.rows("rag.index_versions", documents=6).sort("valid_from")["valid_from"].to_list()[2:]
    assert level == [NOW + timedelta(hours=2)] * 2
    moves.promote(system, "Ada", "test", True, NOW + timedelta(hours=2))
    for days, kept in ((3, 2), (20, 1)):
        write_corpus(system.corpus.folder, {"news": f"A shop opens on day {days}."})
        index(warehouse, system, NOW + timedelta(days=days))
        newest = warehouse.rows("rag.index_versions").sort("valid_from", "built_at")
        assert newest.filter(revision=newest["revision"][-1]).height == kept


def test_a_corpus_that_moves_while_the_shadow_is_built_is_followed(
    warehouse: Warehouse, system: System, moves: Migrations
) -> None:
    assert system.corpus
    folder, moved = system.corpus.folder, []

    genuine = MultilingualE5.embed

    class Moving(MultilingualE5):
        def embed(self, texts: Any) -> Any:
            if len(texts) != 8 and not moved:  # not the canaries
                moved.append(True)
                write_corpus(folder, {"late": "This page came while others were embedded."})
            return genuine(self, texts)

    moves.recipes._models["multilingual-e5-small"] = Moving()
    moves.start(system, TO_E5, NOW)
    rows = warehouse.rows("rag.index_versions").sort("built_at")
    assert moved and rows.filter(documents=7)["embedding_version"].sort().to_list() == sorted([MINI, E5])
    with pytest.raises(MigrationRefused, match="not shown"):  # and they can be compared: no query is known
        moves.promote(system, "Ada", "", False, NOW)


def test_a_dated_corpus_keeps_its_history_as_it_was_indexed(project: Project, warehouse: Warehouse) -> None:
    folder = project.data / "corpus" / "desk"
    system = desk(project, corpus={"folder": folder, "dated": True})
    for day, topics in (("2026-05-01", {}), ("2026-05-20", {"news": "A shop opens in Oslo."})):
        write_corpus(folder / day, TOPICS | topics)
    index(warehouse, system)
    moves = migrations(project, warehouse)
    moves.start(system, TO_SMALL, NOW)
    moves.promote(system, "Ada", "test", True, NOW + timedelta(days=1))
    index(warehouse, system, NOW + timedelta(days=2))
    write_corpus(folder / "2026-06-03", TOPICS | {"more": "A shop opens in Bergen."})
    index(warehouse, system, NOW + timedelta(days=3))
    built = warehouse.rows("rag.index_versions").group_by("valid_from").agg(pl.col("chunker_version").sort())
    small, usual = TO_SMALL.chunking.version, Chunking().version
    assert built.sort("valid_from")["chunker_version"].to_list() == [[usual], [usual, small], [usual, small]]
    index(warehouse, system, NOW + timedelta(days=30))  # the old recipe is not followed any more
    write_corpus(folder / "2026-07-01", {"fees": "A label is free."})
    index(warehouse, system, NOW + timedelta(days=30))
    newest = warehouse.rows("rag.index_versions").sort("valid_from").tail(1)
    assert newest["chunker_version"].to_list() == [small] and newest["documents"].to_list() == [1]
    assert warehouse.rows("rag.index_versions").height == 6


def test_the_file_holds_for_a_new_system_and_the_index_keeps_its_recipe(
    project: Project, warehouse: Warehouse, system: System
) -> None:
    assert file_differs(warehouse, system) is None
    changed = desk(project, index={"embedding": "multilingual-e5-small", "chunk_characters": 300})
    index(warehouse, changed, NOW + timedelta(days=1))
    assert served(warehouse) == [MINI]
    said = file_differs(warehouse, changed)
    assert said and "multilingual-e5-small and chunks of 300 characters" in said and "plan desk" in said
    assert migrations(project, warehouse).target(changed, None, None).chunking.characters == 300


def test_a_recipe_without_its_model_stops_nothing_but_itself(
    project: Project, warehouse: Warehouse, system: System, moves: Migrations
) -> None:
    moves.start(system, TO_SMALL, NOW)
    with warehouse.writing() as writer:
        rows = writer.read("select * from rag.migrations")
        gone = rows.with_columns(embedding_version=pl.lit("ev-gone"))
        writer.replace("rag.migrations", gone, system="desk")
    assert system.corpus
    write_corpus(system.corpus.folder, {"news": "A shop opens in Oslo."})
    index(warehouse, system, NOW + timedelta(hours=1))
    assert warehouse.rows("rag.index_versions", documents=7)["embedding_version"].to_list() == [MINI]


def test_rules_that_are_gone_are_followed_by_those_of_today(
    project: Project, warehouse: Warehouse, system: System, moves: Migrations
) -> None:
    """An index of an older version of this project stays what was served until the next run."""
    with warehouse.writing() as writer:
        for table in ("rag.active_indexes", "rag.index_versions", "rag.index_chunks"):
            rows = writer.read(f"select * from {table}")
            before = {"chunker_version": "structure-1", "index_version": "ix-before"}
            older = rows.with_columns(**{k: pl.lit(v) for k, v in before.items() if k in rows.columns})
            writer.replace(table, older, system="desk")
    assert Recipes(warehouse).served("desk")["chunker_version"].to_list() == ["structure-1"]
    for days in (1, 2):
        index(warehouse, system, NOW + timedelta(days=days))
    found = Recipes(warehouse).served("desk")
    assert found["chunker_version"].to_list() == ["structure-1", Chunking().version]
    assert found["valid_from"][1] == NOW + timedelta(days=1)
    switches = warehouse.rows("rag.active_indexes", system="desk").sort("number")
    assert switches["chunker_version"].to_list() == ["structure-1", Chunking().version]
    assert "structure-1 are gone" in switches["reason"][1]
    with pytest.raises(MigrationRefused, match="never migrated"):
        moves.rollback(system, "Ada", "", NOW + timedelta(days=3))


def test_an_index_whose_model_is_gone_can_be_left_but_only_with_force(
    warehouse: Warehouse, system: System, moves: Migrations
) -> None:
    ask(warehouse, 84)
    with warehouse.writing() as writer:
        for table in ("rag.active_indexes", "rag.index_versions"):
            rows = writer.read(f"select * from {table}")
            writer.replace(table, rows.with_columns(embedding_version=pl.lit("ev-gone")), system="desk")
    with pytest.raises(EmbedderError, match=r"the index was made with ev-gone; .* migrate"):
        index(warehouse, system, NOW + timedelta(hours=1))
    assert system.corpus
    for hours in (1, 2):  # the corpus moves on; the index in force cannot follow it, the shadow does
        write_corpus(system.corpus.folder, {"news": f"Shop number {hours} opens in Oslo."})
        moves.start(system, TO_SMALL, NOW + timedelta(hours=hours))
    with pytest.raises(MigrationRefused, match="cannot be asked any more, since no model here has its space"):
        moves.promote(system, "Ada", "", False, NOW + timedelta(hours=3))
    moves.promote(system, "Ada", "The old model is gone", True, NOW + timedelta(hours=3))
    index(warehouse, system, NOW + timedelta(hours=3))
    assert Recipes(warehouse).first(system) == TO_SMALL
    assert warehouse.rows("rag.index_versions", chunker_version="structure-2-300")["documents"][-1] == 7
    decided = warehouse.rows("compliance.audit_log")
    with pytest.raises(MigrationRefused, match=r"cannot be rolled back: .* made in ev-gone by .*migrate on"):
        moves.rollback(system, "Ada", "", NOW + timedelta(hours=4))
    assert warehouse.rows("compliance.audit_log").equals(decided)
    assert Recipes(warehouse).first(system) == TO_SMALL


def test_a_shadow_left_behind_is_not_promoted(
    warehouse: Warehouse, system: System, moves: Migrations
) -> None:
    assert system.corpus
    moves.start(system, TO_SMALL, NOW)
    write_corpus(system.corpus.folder, {"news": "A shop opens in Oslo."})
    moves._moved(
        system, Recipes(warehouse).first(system), embedder(), NOW, "a run"
    )  # a run that saw to the served index only
    with pytest.raises(MigrationRefused, match="moved on from its shadow index"):
        moves.promote(system, "Ada", "test", True, NOW)
    moves.start(system, TO_SMALL, NOW)
    assert moves.promote(system, "Ada", "test", True, NOW)["number"] == 2


def test_what_cannot_be_started_or_decided_says_why(
    warehouse: Warehouse, system: System, moves: Migrations
) -> None:
    with pytest.raises(MigrationRefused, match=r"chunks of 600 characters already; name another --embedding"):
        moves.start(system, Recipe("all-MiniLM-L6-v2", MINI, Chunking()), NOW)
    with pytest.raises(MigrationRefused, match="No migration of desk is open"):
        moves.promote(system, "Ada", "x", True, NOW)
    with pytest.raises(MigrationRefused, match="never migrated"):
        moves.rollback(system, "Ada", "x", NOW)
    moves.start(system, TO_SMALL, NOW)
    moves.start(system, replace(TO_SMALL, chunking=Chunking(200)), NOW + timedelta(hours=1))
    assert warehouse.rows("rag.migrations").sort("migration_id")["status"].to_list() == ["abandoned", "built"]


def test_cost_and_time_are_known_before_anything_is_spent(warehouse: Warehouse, system: System) -> None:
    tables = ("rag.embeddings", "rag.chunks", "rag.migrations", "rag.index_versions")
    before = [warehouse.rows(table) for table in tables]
    model = embedder("multilingual-e5-small")
    found = estimate(warehouse, system, model, Chunking(), NOW)
    assert (found.documents, found.chunks, found.texts, found.present) == (6, 6, 6, 0)
    assert found.tokens == model.count_tokens([f"# {n.title()}\n\n{t}" for n, t in TOPICS.items()])
    assert found.seconds and found.usd == 0 and found.sample == 6
    assert found.disk_bytes == 6 * 384 * 4  # the chunks' texts are stored already
    assert estimate(warehouse, system, embedder(), Chunking(), NOW).texts == 0
    assert all(old.equals(warehouse.rows(table)) for old, table in zip(before, tables, strict=True))


CHILD = """
import sys
from pathlib import Path
from aiops_pipelines.project import Project
from aiops_pipelines.resources import vectors
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources import desk
from aiops_pipelines_tests.resources.test_migrations import TO_SMALL, kill_at

project = Project(Path(sys.argv[1]))
vectors.FIRST_BATCH, vectors.BATCH_SECONDS = 2, 0.0
warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
kill_at(int(sys.argv[2]))
moves = desk.migrations(project, warehouse)
system = desk.desk(project)
moves.start(system, TO_SMALL, desk.NOW)
moves.promote(system, "Ada", "test", True, desk.NOW)
"""


def kill_at(transaction: int) -> None:
    """Die, as by kill -9, in the transaction of this number: half of them before, half after its commit."""
    import os
    import signal

    genuine, count = Warehouse.writing, [0]

    def writing(self: Warehouse) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def open_() -> Any:
            count[0] += 1
            with genuine(self) as writer:
                yield writer
                if count[0] * 2 == transaction:
                    os.kill(os.getpid(), signal.SIGKILL)
            if count[0] * 2 + 1 == transaction:
                os.kill(os.getpid(), signal.SIGKILL)

        return open_()

    Warehouse.writing = writing  # type: ignore[method-assign]


def child(project: Project, transaction: int) -> int:
    command = [sys.executable, "-W", "ignore", "-c", CHILD, str(project.data), str(transaction)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).returncode


def everything(warehouse: Warehouse) -> dict[str, pl.DataFrame]:
    found = {}
    names = ("index_versions", "index_chunks", "chunks", "embeddings", "active_indexes", "migrations")
    with warehouse.held():
        frames = {name: warehouse.rows(f"rag.{name}") for name in names}
    for name, rows in frames.items():
        rows = rows.drop("built_at", "started_at", "decided_at", "texts_embedded", strict=False)
        keys = [column for column in rows.columns if not rows.schema[column].is_nested()]
        found[name] = rows.sort(keys)
    return found


def laid_out(project: Project) -> Warehouse:
    system = desk(project)
    assert system.corpus
    write_corpus(system.corpus.folder, {n: f"{t} " * 16 for n, t in TOPICS.items()})
    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    index(warehouse, system)
    return warehouse


@pytest.mark.slow
def test_killed_anywhere_and_started_again_it_ends_as_a_clean_build(tmp_path: Path) -> None:
    clean = Project(tmp_path / "clean")
    expected_in = laid_out(clean)
    assert child(clean, -1) == 0
    expected = everything(expected_in)
    assert expected["migrations"]["status"].to_list() == ["promoted"] and expected["embeddings"].height > 12
    survived, at = False, 2
    while not survived:
        project = Project(tmp_path / f"killed-{at}")
        warehouse = laid_out(project)
        survived = child(project, at) == 0
        if not survived:
            again(project, warehouse)
        for name, rows in everything(warehouse).items():
            assert rows.equals(expected[name]), (at, name)
        at += 1
    assert at > 20


def again(project: Project, warehouse: Warehouse) -> None:
    moves, system = migrations(project, warehouse), desk(project)
    row = moves.latest("desk")
    if row is None or row["status"] != "promoted":
        moves.start(system, TO_SMALL, NOW)
        moves.promote(system, "Ada", "test", True, NOW)


@pytest.mark.shares_the_file
def test_a_killed_build_goes_on_where_it_was(project: Project, tmp_path: Path) -> None:
    warehouse = laid_out(project)
    served_before = warehouse.rows("rag.active_indexes")
    assert child(project, 10) == -9  # its transactions: canaries twice, the migration, then two texts each
    left = warehouse.rows("rag.embeddings").height
    assert warehouse.rows("rag.active_indexes").equals(served_before)
    again(project, warehouse)
    clean = laid_out(Project(tmp_path / "clean"))
    again(Project(tmp_path / "clean"), clean)
    for name, rows in everything(warehouse).items():
        assert rows.equals(everything(clean)[name]), name
    assert 0 < left < warehouse.rows("rag.embeddings").height


def test_a_way_of_cutting_is_migrated_to_like_a_size(system: System, moves: Migrations) -> None:
    target = moves.target(system, None, 900, "sentences")
    moves.start(system, target, NOW)
    assert moves.target(system, None, None) == target  # an open one goes on
    moves.promote(system, "Ada", "test", True, NOW + timedelta(days=1))
    assert moves.recipes.active("desk") == Recipe("all-MiniLM-L6-v2", MINI, Chunking(900, "sentences"))
