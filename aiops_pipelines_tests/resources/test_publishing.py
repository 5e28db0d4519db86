"""One contract for every store: differences only, verified, switched as a whole, and back without an upload."""

from datetime import timedelta

import polars as pl
import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.rag.recipes import Recipe
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.embedder import embedder
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.vector_store import StoreError
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines_tests.resources.desk import NOW, TOPICS, index, migrations, write_corpus
from aiops_pipelines_tests.resources.published_desk import (
    STORES,
    contents,
    documents,
    opened,
    publications,
    published_desk,
    publisher,
)

pytestmark = pytest.mark.usefixtures("kept_open")

TO_SMALL = Recipe("all-MiniLM-L6-v2", embedder().space.version, Chunking(300))


@pytest.fixture(params=STORES, ids=lambda name: name.rpartition(".")[2])
def system(request: pytest.FixtureRequest, project: Project, warehouse: Warehouse) -> System:
    system = published_desk(project, request.param)
    assert system.corpus and system.corpus.folder
    write_corpus(system.corpus.folder)
    index(warehouse, system)
    return system


def test_the_life_of_a_published_index(project: Project, warehouse: Warehouse, system: System) -> None:
    publish = publisher(project, warehouse).publish
    first = publish(system, NOW, "first")
    assert (first.upserts, first.deletes, first.written, first.switched) == (6, 0, 6, True)
    assert first.proof.findings == () and (first.proof.vectors, first.proof.probes) == (6, 6)
    assert documents(system, warehouse) == {f"{name}.md" for name in TOPICS}

    second = publish(system, NOW, "second")
    counts = (second.upserts, second.deletes, second.written, second.removed, second.switched)
    assert counts == (0, 0, 0, 0, False) and second.proof.findings == () and second.proof.vectors == 6
    assert second.collection == first.collection and publications(warehouse).height == 1

    assert system.corpus and system.corpus.folder
    (system.corpus.folder / "claims.md").unlink()
    write_corpus(
        system.corpus.folder, {"fees": "A label costs three euros.", "news": "A shop opens in Oslo."}
    )
    index(warehouse, system, NOW + timedelta(days=1))
    third = publish(system, NOW + timedelta(days=1), "third")
    assert (third.upserts, third.deletes, third.switched) == (2, 2, True)
    assert third.proof.deleted_probes == 1 and third.proof.findings == ()
    assert third.collection != first.collection or first.store == "duckdb"
    if first.store in ("duckdb", "lancedb"):
        assert (third.written, third.removed) == (2, 2)
    held = contents(system, warehouse)
    assert {text for *_, text, _ in held if "label" in text} == {"# Fees\n\nA label costs three euros."}
    assert documents(system, warehouse) == {f"{name}.md" for name in TOPICS if name != "claims"} | {"news.md"}
    assert publications(warehouse)["status"].to_list() == ["published"] * 2

    fourth = publish(system, NOW + timedelta(days=1), "fourth")
    assert (fourth.upserts, fourth.deletes, fourth.written, fourth.switched) == (0, 0, 0, False)
    log = warehouse.rows("compliance.audit_log", system="desk").sort("entry_index")
    assert log["kind"].to_list() == ["decision.index_published"] * 2
    assert log["actor"].to_list() == ["first", "third"]
    assert AuditBook(project, warehouse, Keys(project.keys)).verify("desk")[1] == 2


@pytest.mark.parametrize("system", STORES[:3], indirect=True)
def test_a_text_that_changed_in_white_space_alone_is_published_where_it_changed(
    project: Project, warehouse: Warehouse, system: System
) -> None:
    assert system.corpus and system.corpus.folder
    write_corpus(system.corpus.folder, {"one": "if late:\n  warn()", "two": "if late:\n  warn()"})
    for name in ("one", "two"):
        (system.corpus.folder / f"{name}.md").write_text("if late:\n  warn()\n", encoding="utf-8")
    index(warehouse, system)
    publish = publisher(project, warehouse).publish
    publish(system, NOW, "first")
    (system.corpus.folder / "two.md").write_text("if late:\n    warn()\n", encoding="utf-8")
    index(warehouse, system, NOW + timedelta(days=1))
    done = publish(system, NOW + timedelta(days=1), "second")
    assert (done.written > 0, done.proof.findings) == (True, ())
    texts = {
        (dict(where)["document"], text) for _, where, text, _ in contents(system, warehouse) if "warn" in text
    }
    assert texts == {("one.md", "if late:\n  warn()"), ("two.md", "if late:\n    warn()")}


def test_a_migration_goes_to_a_collection_of_its_own_and_back_without_an_upload(
    project: Project, warehouse: Warehouse, system: System
) -> None:
    publish, moves = publisher(project, warehouse).publish, migrations(project, warehouse)
    before = publish(system, NOW, "before")
    held = contents(system, warehouse)
    moves.start(system, TO_SMALL, NOW)
    assert publish(system, NOW, "shadow").switched is False
    moves.promote(system, "Ada", "A trial", True, NOW + timedelta(days=1))
    after = publish(system, NOW + timedelta(days=1), "after")
    assert (after.upserts, after.written, after.switched, after.proof.findings) == (6, 6, True, ())
    assert "structure-2-300" in after.collection and "structure-2-300" not in before.collection
    assert contents(system, warehouse) != held

    moves.rollback(system, "Ada", "Back", NOW + timedelta(days=2))
    back = publish(system, NOW + timedelta(days=2), "back")
    assert (back.upserts, back.deletes, back.written, back.removed) == (0, 0, 0, 0)
    assert back.switched and back.collection == before.collection
    assert contents(system, warehouse) == held
    assert publications(warehouse)["collection"].to_list() == [
        before.collection,
        after.collection,
        before.collection,
    ]


def test_what_was_lost_in_the_store_is_found_and_mended(
    project: Project, warehouse: Warehouse, system: System
) -> None:
    publish = publisher(project, warehouse).publish
    publish(system, NOW, "first")
    held = contents(system, warehouse)
    store = opened(system, warehouse)
    view = store.view()
    if store.name in ("duckdb", "lancedb"):  # what readers are given cannot be written to; it is made anew
        view = store.draft(view.collection.partition("@")[0], view.held())
    view.remove([view.held()["node_id"][0]])
    if store.name in ("duckdb", "lancedb"):
        view.switch()
    store.close()
    assert len(contents(system, warehouse)) == 5
    mended = publish(system, NOW, "second")
    assert mended.proof.findings == ()
    assert contents(system, warehouse) == held


def test_questions_are_answered_by_the_published_index_in_its_own_space(
    project: Project, warehouse: Warehouse, system: System
) -> None:
    with pytest.raises(StoreError, match="Nothing of desk is published"):
        publisher(project, warehouse).as_llama_index(system)
    publisher(project, warehouse).publish(system, NOW, "first")
    found = publisher(project, warehouse).as_llama_index(system).as_retriever(similarity_top_k=2)
    best = found.retrieve("What does a label cost?")[0].node
    assert best.metadata["document"] == "fees.md" and best.ref_doc_id == "fees.md"
    row = warehouse.rows("rag.index_versions").row(0, named=True)
    traced = {name: best.metadata[name] for name in ("system", "index_version", "embedding_version")}
    assert traced == {name: row[name] for name in traced}
    places = warehouse.rows("rag.index_chunks", document="fees.md").row(0, named=True)
    kept = ("chunk_id", "document_hash", "position", "heading")
    assert {name: best.metadata[name] for name in kept} == {name: places[name] for name in kept}


def test_two_systems_in_one_place_do_not_meet(project: Project, warehouse: Warehouse, system: System) -> None:
    assert system.publish
    other = system.model_copy(update={"name": "annexe"})
    index(warehouse, other)
    publisher(project, warehouse).publish(system, NOW, "first")
    publisher(project, warehouse).publish(other, NOW, "second")
    assert contents(system, warehouse) != contents(other, warehouse)
    for one in (system, other):
        systems = {dict(metadata)["system"] for _, metadata, _, _ in contents(one, warehouse)}
        assert systems == {one.name}


@pytest.mark.parametrize("system", STORES[:3], indirect=True)
def test_everything_is_written_again_when_asked(
    project: Project, warehouse: Warehouse, system: System
) -> None:
    publish = publisher(project, warehouse).publish
    publish(system, NOW, "first")
    held = contents(system, warehouse)
    anew = publish(system, NOW, "second", anew=True)
    assert anew.written == 6 and anew.proof.findings == ()
    assert contents(system, warehouse) == held
    assert pl.Series([row[0] for row in held]).is_unique().all()
