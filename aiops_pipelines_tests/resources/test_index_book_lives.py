"""A corpus that lives: whatever is added, edited, renamed and deleted, the index is that of a clean build."""

import os
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aiops_pipelines.project import Project
from aiops_pipelines.rag.chunking import chunk
from aiops_pipelines.rag.reindex_report import Report
from aiops_pipelines.resources.documents import Snapshot
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.index_proof import prove
from aiops_pipelines.resources.sources.folder import Folder
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.hashed_words import HashedWords

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAMES = st.sampled_from(["a.md", "b.md", "c/d.md", "c/e.txt"])
PARTS = st.lists(
    st.sampled_from(["# One\n\nAlpha.", "# Two\n\nBeta beta.", "# Three\n\nGamma."]), min_size=1, max_size=4
)

RAG = {k: t for k, t in declared_tables(Project(Path()).dbt).items() if t.pillar == "rag"}


class Life(RuleBasedStateMachine):
    """Random changes to a folder, an update after each, and a clean build beside it."""

    @initialize(parts=PARTS)
    def begin(self, parts: list[str]) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="aiops-life-"))
        self.folder, self.days, self.ticks = self.place / "corpus", 0, 0
        self.model, self.seen = HashedWords(), set()
        self.warehouse, self.clean = (
            Warehouse(self.place / f"{name}.duckdb", RAG, wait_seconds=5) for name in ("lives", "clean")
        )
        self.book, self.again = IndexBook(self.warehouse), IndexBook(self.clean)
        self.texts: dict[str, str] = {}
        self.write("a.md", parts)
        self.update()

    def write(self, name: str, parts: list[str]) -> None:
        self.texts[name] = "\n\n".join(parts) + "\n"
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(self.texts[name], encoding="utf-8")
        self.ticks += 1
        os.utime(self.folder / name, (self.ticks, self.ticks))

    def update(self) -> Report:
        self.days += 1
        self.embedded = len(self.model.embedded)
        snapshot = Snapshot("folder", None, Folder(self.folder))
        return self.book.update("desk", snapshot, NOW + timedelta(days=self.days), self.model).report

    @rule(name=NAMES, parts=PARTS)
    def put(self, name: str, parts: list[str]) -> None:
        before = self.texts.get(name)
        self.write(name, parts)
        report = self.update()
        kind = "added" if before is None else "edited" if before != self.texts[name] else "unchanged"
        assert report.documents[kind] >= 1
        assert sum(report.documents.values()) == len(self.texts)

    @rule(name=NAMES, to=NAMES)
    def rename(self, name: str, to: str) -> None:
        if name in self.texts and to not in self.texts and name.rpartition(".")[2] == to.rpartition(".")[2]:
            (self.folder / to).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).rename(self.folder / to)
            self.texts[to] = self.texts.pop(name)
            report = self.update()
            assert (report.documents["renamed"], report.chunks["embedded"]) == (1, 0)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.texts and len(self.texts) > 1:
            (self.folder / name).unlink()
            del self.texts[name]
            report = self.update()
            assert (report.documents["deleted"], report.chunks["embedded"]) == (1, 0)

    @rule()
    def nothing(self) -> None:
        assert self.update().documents == {"unchanged": len(self.texts)}

    @invariant()
    def every_text_was_embedded_once(self) -> None:
        if hasattr(self, "model"):
            wanted = {piece.chunk_id for text in self.texts.values() for piece in chunk(text)}
            assert len(self.model.embedded) - self.embedded == len(wanted - self.seen)
            self.seen |= wanted
            self.embedded = len(self.model.embedded)

    @invariant()
    def it_equals_a_clean_build(self) -> None:
        if not hasattr(self, "model"):
            return
        fresh = f"clean{self.days}"  # a system without a past
        self.again.update(fresh, Snapshot("folder", None, Folder(self.folder)), NOW, HashedWords())
        (index,) = self.clean.rows("rag.index_versions", system=fresh).iter_rows(named=True)
        newest = self.warehouse.read(
            "select index_version, revision from rag.index_versions order by built_at desc limit 1"
        )
        assert newest.row(0) == (index["index_version"], index["revision"])
        for table, key in (("rag.index_chunks", "index_version"), ("rag.documents", "revision")):
            query = f"select * exclude (system) from {table} where system = ? and {key} = ? order by all"
            lived = self.warehouse.read(query, ["desk", index[key]])
            assert lived.equals(self.clean.read(query, [fresh, index[key]]))
        assert prove(self.warehouse, "desk").findings == ()

    def teardown(self) -> None:
        if hasattr(self, "place"):
            shutil.rmtree(self.place, ignore_errors=True)


def test_a_file_that_was_only_touched_has_the_time_its_source_says() -> None:
    life = Life()
    life.begin(["# One\n\nAlpha."])
    life.put("a.md", ["# One\n\nAlpha."])
    life.it_equals_a_clean_build()
    life.teardown()


Life.TestCase.settings = settings(max_examples=5, stateful_step_count=6, deadline=None)
TestLife = Life.TestCase


@pytest.mark.slow
class TestLongLife(Life.TestCase):
    settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
