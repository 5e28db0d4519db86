"""kill -9 at every step of a publication: readers keep the old state, and the next one ends like a clean one."""

import os
import shutil
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources import publishing
from aiops_pipelines.resources.published import known_tables
from aiops_pipelines.resources.stores.duckdb_file import DuckDBDraft
from aiops_pipelines.resources.stores.lance import LanceDraft
from aiops_pipelines.resources.stores.llama import LlamaDraft
from aiops_pipelines.resources.stores.qdrant import QdrantDraft
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.desk import NOW, index, write_corpus
from aiops_pipelines_tests.resources.dying import Run, dies_in
from aiops_pipelines_tests.resources.published_desk import (
    STORES,
    contents,
    publications,
    published_desk,
    publisher,
)

THEN = NOW + timedelta(days=1)
STEPS = ("first write", "second write", "finish", "verify", "log", "switch", "after the switch")
DRAFTS = {"duckdb": DuckDBDraft, "lancedb": LanceDraft, "qdrant": QdrantDraft}


def killed(folder: str, store: str, step: str) -> None:
    draft = DRAFTS.get(store, LlamaDraft)
    publishing.BATCH = 1
    dies_in(
        *{
            "first write": (draft, "write", 0),
            "second write": (draft, "write", 1),
            "finish": (draft, "finish", 0),
            "verify": (publishing, "prove", 0),
            "log": (publishing.Publisher, "_enter", 0),
            "switch": (draft, "switch", 0),
            "after the switch": (publishing.Publisher, "_keep", 0),
        }[step]
    )
    publish_in(folder, store)


def publish_in(folder: str, store: str) -> int:
    project = Project(Path(folder))
    return publisher(project, books_of(project)).publish(published_desk(project, store), THEN, "run").written


def books_of(project: Project) -> Warehouse:
    books = Warehouse(project.warehouse, known_tables(project.dbt), wait_seconds=5)
    books._ready = True  # it is a copy of one that was prepared
    return books


def copied(source: Path, target: Path) -> Project:
    shutil.copytree(source, target)
    return Project(target)


@pytest.fixture(scope="module", params=STORES, ids=lambda name: name.rpartition(".")[2])
def before(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, prepared: Path
) -> tuple[str, Path]:
    """A store with the index of a first state, and a warehouse with that of a second one."""
    project = Project(tmp_path_factory.mktemp("published") / "data")
    project.warehouse.parent.mkdir(parents=True)
    shutil.copyfile(prepared, project.warehouse)
    system, books = published_desk(project, request.param), books_of(project)
    assert system.corpus and system.corpus.folder
    write_corpus(system.corpus.folder)
    index(books, system)
    publisher(project, books).publish(system, NOW, "first")
    (system.corpus.folder / "claims.md").unlink()
    write_corpus(
        system.corpus.folder, {name: f"News of {name}, and more." for name in ("fees", "hours", "x")}
    )
    index(books, system, THEN)
    return request.param, project.data


def state(project: Project, store: str) -> tuple[list, list]:
    books = books_of(project)
    rows = publications(books).select("number", "status", "index_version").rows()
    return contents(published_desk(project, store), books), rows


@pytest.mark.parametrize(
    "steps", [STEPS[1::4], pytest.param(STEPS, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_a_killed_publication_shows_the_old_state_and_the_next_ends_like_a_clean_one(
    before: tuple[str, Path], steps: tuple[str, ...], tmp_path: Path, in_a_child: Run
) -> None:
    store, source = before
    clean = copied(source, tmp_path / "clean")  # the control: the same change, and nobody is killed
    old = state(clean, store)
    publish_in(str(clean.data), store)
    new = state(clean, store)
    assert new[0] != old[0] and len(new[1]) == 2
    for step in steps:
        project = copied(source, tmp_path / step.replace(" ", "-"))
        assert in_a_child(killed, str(project.data), store, step) == -signal.SIGKILL, step
        shown, rows = state(project, store)
        assert (shown, rows) == (new[0] if step == "after the switch" else old[0], old[1]), step
        publish_in(str(project.data), store)
        assert state(project, store) == new, step
        assert publish_in(str(project.data), store) == 0, step
    left = [
        name for folder in tmp_path.iterdir() for name in os.listdir(folder / "vectors") if ".new" in name
    ]
    assert left == []
