"""A store that lies is found out before readers see it; what cannot be used is said in a sentence."""

import sys
from pathlib import Path

import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.rag.store_settings import Publish
from aiops_pipelines.resources.publishing import Publisher
from aiops_pipelines.resources.stores.duckdb_vectors import DuckDBVectorStore
from aiops_pipelines.resources.vector_store import StoreError, look_over, vector_store
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines_tests.resources.desk import NOW, TOPICS, desk, index, write_corpus
from aiops_pipelines_tests.resources.published_desk import (
    CLASS,
    contents,
    opened,
    publications,
    published_desk,
    publisher,
)

pytestmark = pytest.mark.usefixtures("kept_open")

LIARS = "aiops_pipelines_tests.resources.lying_stores."
MANY = {f"page-{n}": f"Page {n} tells of parcel number {n} and of lane {n * 7 % 13}." for n in range(14)}


@pytest.fixture
def published(project: Project, warehouse: Warehouse) -> Publisher:
    """An index that is published by an honest class, and then edited: one document new, one gone."""
    system = published_desk(project, CLASS)
    assert system.corpus and system.corpus.folder
    write_corpus(system.corpus.folder, TOPICS | MANY)
    index(warehouse, system)
    assert publisher(project, warehouse).publish(system, NOW, "first").proof.findings == ()
    write_corpus(system.corpus.folder, {"news": "A shop opens in Oslo."})
    (system.corpus.folder / "claims.md").unlink()
    index(warehouse, system, NOW)
    return publisher(project, warehouse)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("LosesAWrite", "1 node not in the store"),
        ("RoundsVectors", "with another vector than in the index"),
        ("CutsTexts", "nodes with another text than in the index"),
        ("FindsTheFarthest", "probes find other nodes than the index does"),
    ],
)
def test_a_store_that_lies_is_caught_and_readers_keep_what_they_had(
    fault: str, said: str, published: Publisher, project: Project, warehouse: Warehouse
) -> None:
    honest = published_desk(project, CLASS)
    before, log = contents(honest, warehouse), warehouse.rows("compliance.audit_log")
    shown = opened(honest, warehouse).shown()
    refused = published.publish(published_desk(project, LIARS + fault), NOW, "second")
    assert any(said in one for one in refused.proof.findings), refused.proof.findings
    assert not refused.switched and refused.refusal()[-1].endswith("aiops publish desk --anew")
    assert (contents(honest, warehouse), opened(honest, warehouse).shown()) == (before, shown)
    assert warehouse.rows("compliance.audit_log").equals(log)
    published.publish(published_desk(project, LIARS + fault), NOW, "third")
    rows = publications(warehouse)
    assert rows["status"].to_list() == ["published", "refused"]  # refused twice is one row
    assert any(said in one for one in rows["findings"].to_list()[1])
    mended = published.publish(honest, NOW, "fourth", anew=True)
    assert mended.proof.findings == () and mended.switched and contents(honest, warehouse) != before


def test_what_is_deleted_and_stays_is_caught(
    published: Publisher, project: Project, warehouse: Warehouse
) -> None:
    honest, liar = published_desk(project, CLASS), published_desk(project, LIARS + "KeepsDeleted")
    published.publish(honest, NOW, "second")  # the other slot
    assert honest.corpus and honest.corpus.folder
    (honest.corpus.folder / "fees.md").unlink()
    index(warehouse, honest, NOW)
    refused = published.publish(liar, NOW, "third")
    assert any("in the store and not in the index" in one for one in refused.proof.findings)
    alive = "2 documents deleted and still found by a passage of its own: claims.md, fees.md."
    assert alive in refused.proof.findings
    assert not refused.switched


def test_a_class_that_cannot_say_what_it_holds_is_refused(
    project: Project, warehouse: Warehouse, published: Publisher
) -> None:
    with pytest.raises(StoreError, match="HasNoListing has no get_nodes"):
        published.publish(published_desk(project, LIARS + "HasNoListing"), NOW, "second")


@pytest.mark.parametrize("store", ["duckdb", CLASS])
def test_vectors_of_somebody_else_are_refused(project: Project, warehouse: Warehouse, store: str) -> None:
    from llama_index.core.schema import TextNode

    system = published_desk(project, store)
    assert system.corpus and system.corpus.folder and system.publish
    write_corpus(system.corpus.folder)
    index(warehouse, system)
    row = warehouse.rows("rag.index_versions").row(0, named=True)
    family = f"desk_{row['embedding_version']}_{row['chunker_version']}"
    file = system.publish.arguments["file"]
    Path(file).parent.mkdir(exist_ok=True)
    for name in (family, f"{family}_a", f"{family}_b"):
        foreign = DuckDBVectorStore(file=file, table=name)
        chunk = warehouse.rows("rag.index_chunks").row(0, named=True)
        from aiops_pipelines.rag.publication import node_id

        name_of = node_id(chunk["document"], chunk["chunk_id"])
        foreign.add([TextNode(id_=name_of, text="x", embedding=[1.0, 0.0])])
        foreign.close()
    with pytest.raises(StoreError, match=r"holds vectors of 2 numbers, the index has 384"):
        publisher(project, warehouse).publish(system, NOW, "first")


def test_there_is_something_to_publish_or_a_sentence(project: Project, warehouse: Warehouse) -> None:
    publish = publisher(project, warehouse).publish
    with pytest.raises(StoreError, match="desk has no index yet: aiops reindex desk"):
        publish(published_desk(project, "duckdb"), NOW, "first")
    with pytest.raises(StoreError, match="desk is not published; add publish to its file"):
        publish(desk(project), NOW, "first")


def test_a_text_that_the_index_lost_is_named(project: Project, warehouse: Warehouse) -> None:
    system = published_desk(project, "duckdb")
    assert system.corpus and system.corpus.folder
    write_corpus(system.corpus.folder)
    index(warehouse, system)
    with warehouse.writing() as writer:
        writer.delete("rag.chunks", system="desk")
    with pytest.raises(StoreError, match=r"lost the text of c\w+; aiops reindex desk --anew"):
        publisher(project, warehouse).publish(system, NOW, "first")


def test_what_is_missing_is_named_before_anything_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lancedb", "qdrant"):
        monkeypatch.setitem(sys.modules, f"llama_index.vector_stores.{name}", None)
        with pytest.raises(StoreError, match=rf"pip install aiops-pipelines\[{name}\]"):
            look_over(Publish(store=name))
    monkeypatch.delenv("QDRANT_API_KEY", raising=False)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="The environment variable NO_SUCH_KEY is not set"):
        look_over(Publish(store="qdrant", secrets={"api_key": "NO_SUCH_KEY"}))
    with pytest.raises(StoreError, match="install the package of nowhere"):
        look_over(Publish(store="nowhere.Store", arguments={"table": "{collection}"}))
    with pytest.raises(StoreError, match=r"publish\.arguments do not fit duckdb"):
        vector_store("desk", Publish(arguments={"fiel": "x"}))
    with pytest.raises(StoreError, match="LanceDB Cloud"):
        vector_store("desk", Publish(store="lancedb", arguments={"uri": "db://desk"}))


def test_a_secret_comes_from_the_environment_and_is_told_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STORE_FILE", str(tmp_path / "secret.duckdb"))
    store = vector_store("desk", Publish(secrets={"file": "STORE_FILE"}))
    assert store.place == str(tmp_path / "secret.duckdb") and store.shown() is None


@pytest.mark.parametrize(
    ("publish", "said"),
    [
        ({"store": "pinecone"}, "pinecone is no store; give duckdb, lancedb, qdrant or the dotted name"),
        ({"store": "my.Store"}, "or two spaces would mix"),
        ({"store": "qdrant", "arguments": {"api_key": "s3cret"}}, "name the environment variable"),
        ({"store": "qdrant", "arguments": {"url": "https://me:s3cret@host"}}, "an address holds a password"),
        ({"store": "qdrant", "secrets": {"api_key": "s3cret"}}, "names the environment variable of api_key"),
        ({"shop": "duckdb"}, "Extra inputs are not permitted"),
    ],
)
def test_a_mistake_in_the_file_is_a_sentence_without_the_secret(
    project: Project, publish: dict, said: str
) -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError) as found:
        desk(project, publish=publish)
    messages = " ".join(one["msg"] for one in found.value.errors())
    assert said in messages and "s3cret" not in messages


def test_a_store_without_a_place_lies_below_the_data_folder(tmp_path: Path) -> None:
    def place(**publish: object) -> object:
        rooted: System = desk(Project(tmp_path), publish=publish).rooted(tmp_path)
        assert rooted.publish
        return rooted.publish.arguments

    assert place() == {"file": str(tmp_path / "vectors" / "desk.duckdb")}
    assert place(store="lancedb") == {"uri": str(tmp_path / "vectors" / "desk.lancedb")}
    assert place(store="qdrant") == {"path": str(tmp_path / "vectors" / "desk.qdrant")}
    assert place(store="qdrant", arguments={"url": "http://host"}) == {"url": "http://host"}
    assert place(store="lancedb", arguments={"uri": "s3://b/x"}) == {"uri": "s3://b/x"}
    assert place(arguments={"file": "own/x.duckdb"}) == {"file": str(tmp_path / "own" / "x.duckdb")}
