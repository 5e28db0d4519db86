"""Readers that ask all the time meet one state or the other, never a part of each."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources.stores.lance import LanceDraft
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.desk import NOW, TOPICS, index, write_corpus
from aiops_pipelines_tests.resources.published_desk import contents, published_desk, publisher

if TYPE_CHECKING:
    from llama_index.core.schema import TextNode

READER = """
import json, sys
from llama_index.core.vector_stores import VectorStoreQuery
from pathlib import Path
from aiops_pipelines.project import Project
from aiops_pipelines.resources.vector_store import vector_store
from aiops_pipelines_tests.resources.published_desk import published_desk
system = published_desk(Project(Path(sys.argv[1])), sys.argv[2])
if sys.argv[3:]:  # the control: a reader that is not kept to the version that was switched to
    from aiops_pipelines.resources.stores.lance import LanceDB, _named
    newest = lambda self: self._connection.open_table(_named(self._connection, self.alias)["collection"])
    LanceDB._pinned = newest
ask = VectorStoreQuery(query_embedding=[0.05] * 384, similarity_top_k=100)
while True:
    store = vector_store("desk", system.publish)
    try:
        print(json.dumps(sorted(node.node_id for node in store.view().index.query(ask).nodes)), flush=True)
    finally:
        store.close()
"""
"""Asks for all there is, as fast as it can."""
OTHER = {f"news{number}": f"News number {number} of the desk." for number in range(6)}
ROUNDS = 6


def met(project: Project, store: str, publish: Callable[[int], None], *loose: str) -> set[str]:
    """Return what a reader in another process was answered while states were published."""
    seen: list[str] = []
    command = [sys.executable, "-W", "ignore", "-c", READER, str(project.data), store, *loose]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        assert reader.stdout and reader.stderr
        seen.append(reader.stdout.readline())  # it is up
        for number in range(ROUNDS):
            publish(number)
        reader.terminate()
        said, trouble = reader.communicate()
    assert trouble == ""
    lines = [*seen, *said.splitlines(keepends=True)]
    return {line.strip() for line in lines if line.endswith("\n")}  # the last one may be torn


pytestmark = pytest.mark.slow
Turns = Callable[..., tuple[set[str], set[str]]]


@pytest.fixture
def turns(project: Project, warehouse: Warehouse) -> Turns:
    """Return what a reader of a store met while two states took turns, and the states."""

    def of(store: str, *loose: str) -> tuple[set[str], set[str]]:
        system, publishing = published_desk(project, store), publisher(project, warehouse)
        states: set[str] = set()
        assert system.corpus and system.corpus.folder
        folder = system.corpus.folder

        def publish(number: int) -> None:
            for file in folder.glob("*.md"):
                file.unlink()
            write_corpus(folder, OTHER if number % 2 else TOPICS)
            now = NOW + timedelta(hours=number)
            index(warehouse, system, now)
            publishing.publish(system, now, "run")
            states.add(json.dumps(sorted(node_id for node_id, *_ in contents(system, warehouse))))

        folder.mkdir(parents=True)
        publish(0)
        return met(project, store, lambda number: publish(number + 1), *loose), states

    return of


@pytest.mark.filterwarnings("ignore:table_names:DeprecationWarning")
@pytest.mark.parametrize("store", ["duckdb", "lancedb"])
def test_a_reader_meets_whole_states(turns: Turns, store: str) -> None:
    seen, states = turns(store)
    assert len(states) == 2 and seen == states


@pytest.mark.filterwarnings("ignore:table_names:DeprecationWarning")
def test_a_reader_past_the_alias_meets_parts(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    write = LanceDraft.write

    def slowly(draft: LanceDraft, nodes: "Sequence[TextNode]") -> None:
        write(draft, nodes)
        time.sleep(1)  # the reader asks meanwhile

    monkeypatch.setattr(LanceDraft, "write", slowly)
    seen, states = turns("lancedb", "loose")
    assert seen - states
