"""A real model and a provider's that changes behind its name."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.rag.index_settings import EmbeddingClass
from aiops_pipelines.rag.ranking import Vectors
from aiops_pipelines.resources.canaries import TEXTS, Canaries, ModelChanged
from aiops_pipelines.resources.embedder import MiniLM, embedder
from aiops_pipelines.resources.embedders.llama import LlamaEmbedder
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.desk import NOW, desk, index, write_corpus
from aiops_pipelines_tests.resources.hashed_words import HashedWords

pytestmark = pytest.mark.usefixtures("kept_open")

LATER = datetime(2026, 6, 2, tzinfo=UTC)


class Model(HashedWords):
    """Answers under one name; `moved` is how far its vectors have moved since."""

    moved = 0.0

    def embed(self, texts: Sequence[str]) -> Any:
        vectors = super().embed(texts)
        vectors[:, 0] += self.moved
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return Vectors(self.space.version, self.embed(texts))


def status(warehouse: Warehouse) -> list[str]:
    return warehouse.rows("rag.canary_checks")["status"].to_list()


def test_the_real_model_is_what_it_was(warehouse: Warehouse) -> None:
    canaries, model = Canaries(warehouse), embedder()
    canaries.check(model, NOW)
    assert status(warehouse) == ["registered"]
    assert warehouse.rows("rag.embedding_canaries").height == 2 * len(TEXTS)
    canaries.check(model, LATER)
    assert status(warehouse) == ["unchanged"]
    assert warehouse.rows("rag.canary_checks")["least_cosine"][0] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("moved", "stopped"), [(1e-4, False), (0.5, True)])
def test_noise_passes_and_another_model_does_not(warehouse: Warehouse, moved: float, stopped: bool) -> None:
    canaries, model = Canaries(warehouse), Model()
    canaries.check(model, NOW)
    model.moved = moved
    if stopped:
        with pytest.raises(ModelChanged, match="hashed-words returns other vectors than when ev-"):
            canaries.check(model, LATER)
    else:
        canaries.check(model, LATER)
    assert status(warehouse) == ["changed" if stopped else "unchanged"]


def test_it_is_asked_once_and_before_its_first_passage(warehouse: Warehouse) -> None:
    model = Model()
    watched = Canaries(warehouse).watching(model, NOW)
    assert watched.name == "hashed-words" and not model.embedded
    watched.embed(["one"])
    watched.embed(["two"])
    assert model.embedded == [*TEXTS, *TEXTS, "one", "two"]


def test_a_provider_is_asked_in_every_run(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"class": "a.B", "model": "m", "provider": "p", "dated_name": "m-1", "dimension": 16}
    model, asked = LlamaEmbedder(EmbeddingClass.model_validate(names)), []
    monkeypatch.setattr(Canaries, "check", lambda _self, one, _now: asked.append(one.name))
    Canaries(warehouse).watching(model, NOW)
    assert asked == ["m"]


def test_a_run_embeds_nothing_with_a_model_that_changed_and_the_index_stays(
    project: Project, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = desk(project)
    assert system.corpus
    write_corpus(system.corpus.folder)
    index(warehouse, system)
    tables = ("rag.embeddings", "rag.index_versions", "rag.chunks")
    before = [warehouse.rows(table) for table in tables]
    genuine = MiniLM.embed
    monkeypatch.setattr(MiniLM, "embed", lambda self, texts: np.roll(genuine(self, texts), 1, axis=1))
    write_corpus(system.corpus.folder, {"news": "A shop opens in Oslo."})
    with pytest.raises(ModelChanged, match="nothing is embedded with it"):
        IndexBook(warehouse).reindex(system, LATER)
    assert all(old.equals(warehouse.rows(table)) for old, table in zip(before, tables, strict=True))
    monkeypatch.undo()
    IndexBook(warehouse).reindex(system, LATER + timedelta(hours=1))
    assert warehouse.rows("rag.index_versions").height == 2
