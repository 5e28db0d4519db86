"""kill -9 at every step of a re-indexing: the old index stands, and a second start ends like a clean build."""

import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aiops_pipelines.resources import corpus_state, index_build, vectors
from aiops_pipelines.resources.documents import Snapshot
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.index_proof import prove
from aiops_pipelines.resources.sources.folder import Folder
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.writer import Writer
from aiops_pipelines_tests.resources.dying import Run, dies_in
from aiops_pipelines_tests.resources.hashed_words import HashedWords

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
OF_THE_RUN = {"built_at", "registered_at"}


def killed(step: str, file: str, folder: str) -> None:
    vectors.FIRST_BATCH = vectors.LARGEST_BATCH = 2
    dies_in(
        *{
            "read": (corpus_state.corpora, "document", 3),
            "chunk": (index_build.reindex, "wanted_chunks", 0),
            "embed": (HashedWords, "embed", 3),
            "write": (Writer, "append", 7),  # after five batches of vectors
            "commit": (Writer, "replace", 5),
        }[step]
    )
    bring_up(file, folder)


def bring_up(file: str, folder: str, now: str = LATER.isoformat()) -> HashedWords:
    from aiops_pipelines.project import Project
    from aiops_pipelines.resources.tables import declared_tables

    model = HashedWords()
    warehouse = Warehouse(Path(file), declared_tables(Project(Path()).dbt), wait_seconds=5)
    IndexBook(warehouse).update(
        "desk", Snapshot("folder", None, Folder(Path(folder))), datetime.fromisoformat(now), model
    )
    return model


def contents(warehouse: Warehouse) -> dict[str, list[tuple]]:
    found = {}
    with warehouse.held():
        for path, table in warehouse.tables.items():
            columns = ", ".join(f'"{c.name}"' for c in table.columns if c.name not in OF_THE_RUN)
            if path.startswith("rag."):
                found[path] = warehouse.read(f"select {columns} from {path} order by all").rows()
    return found


def write(folder: Path, texts: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        os.utime(folder / name, (9, 9 + len(text)))
    return folder


FIRST = {f"{n}.md": f"# Page {n}\n\nText of page {n}.\n\n## More\n\nMore of {n}.\n" for n in range(4)}
THEN = {f"{n}.md": f"# Page {n}\n\nNew text of page {n}.\n\n## More\n\nMore of {n}.\n" for n in range(1, 7)}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Table], prepared: Path) -> Path:
    """A warehouse with an index of the first state, and a folder in the second one."""
    place = tmp_path_factory.mktemp("killed")
    shutil.copyfile(prepared, place / "before.duckdb")
    bring_up(str(place / "before.duckdb"), str(write(place / "corpus", FIRST)), NOW.isoformat())
    (place / "corpus" / "0.md").unlink()
    write(place / "corpus", THEN)
    shutil.copyfile(place / "before.duckdb", place / "clean.duckdb")
    bring_up(str(place / "clean.duckdb"), str(place / "corpus"))
    return place


@pytest.mark.parametrize(
    ("step", "kept"), [("read", 0), ("chunk", 0), ("embed", 6), ("write", 9), ("commit", 9)]
)
def test_a_killed_run_leaves_the_old_index_and_the_next_ends_like_a_clean_one(
    step: str, kept: int, before: Path, tmp_path: Path, tables: dict[str, Table], in_a_child: Run
) -> None:
    file = tmp_path / "aiops.duckdb"
    shutil.copyfile(before / "before.duckdb", file)
    old, warehouse = contents(Warehouse(before / "before.duckdb", tables)), Warehouse(file, tables)
    assert in_a_child(killed, step, str(file), str(before / "corpus")) == -signal.SIGKILL
    left = contents(warehouse)
    changed = {name for name in old if left[name] != old[name]}
    assert changed <= {"rag.embeddings"}
    assert len(left["rag.embeddings"]) == len(old["rag.embeddings"]) + kept
    model = bring_up(str(file), str(before / "corpus"))
    assert len(model.embedded) == 9 - kept
    assert contents(warehouse) == contents(Warehouse(before / "clean.duckdb", tables))
    assert prove(warehouse, "desk").findings == ()
    assert pl.Series(model.embedded).n_unique() == len(model.embedded)
