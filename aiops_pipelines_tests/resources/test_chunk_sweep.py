"""A sweep over a small real corpus with a real model: nothing is embedded twice, and what it finds is kept."""

import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.resources.chunk_sweep import ChunkSweep, SweepRefused
from aiops_pipelines.resources.embedders.minilm import MiniLM
from aiops_pipelines.resources.shadow import estimate
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.desk import NOW, TOPICS, ask, desk, index, migrations, write_corpus

pytestmark = pytest.mark.usefixtures("kept_open")

CANDIDATES = (Chunking(100), Chunking(300), Chunking(300, "sentences"))
LONG = "Ask the desk about the parcel that was lost. It opens at nine. " * 4


@pytest.fixture
def system(project: Project, warehouse: Warehouse):
    system = desk(project)
    write_corpus(system.corpus.folder, TOPICS | {"desk": LONG})
    index(warehouse, system)
    return system


def test_a_sweep_embeds_only_texts_that_are_new(project: Project, warehouse: Warehouse, system) -> None:
    ask(warehouse, 24)
    before = warehouse.rows("rag.embeddings").height
    swept = ChunkSweep(warehouse).run(system, NOW, CANDIDATES)
    costs = swept.costs
    assert list(costs) == ["structure-2", "structure-2-100", "structure-2-300", "sentences-1-300"]
    assert costs["structure-2"].texts_embedded == 0 and costs["structure-2"].cpu_s is None
    # Six short documents are cut alike by all rules; only the long one gives other texts at 100 characters.
    assert costs["structure-2-100"].texts_embedded == costs["structure-2-100"].chunks - 6 > 0
    assert costs["structure-2-100"].cpu_s is not None
    assert costs["structure-2-300"].texts_embedded == 0 and costs["structure-2-300"].chunks == 7
    assert costs["structure-2"].index_bytes == sum(
        len(f"# {name.title()}\n\n{text}".encode().strip()) + 384 * 4
        for name, text in (TOPICS | {"desk": LONG}).items()
    )
    stored = warehouse.rows("rag.embeddings").height
    assert stored == before + sum(cost.chunks for cost in costs.values()) - costs["structure-2"].chunks

    again = ChunkSweep(warehouse).run(system, NOW, CANDIDATES)
    assert {cost.texts_embedded for cost in again.costs.values()} == {0}
    assert warehouse.rows("rag.embeddings").height == stored
    assert (
        estimate(warehouse, system, MiniLM(), Chunking(300, "sentences"), NOW).texts == 0
    )  # nor a migration


def test_what_it_finds_is_kept_and_nothing_served_changes(warehouse: Warehouse, system) -> None:
    ask(warehouse, 24)
    versions = warehouse.rows("rag.index_versions")
    swept = ChunkSweep(warehouse).run(system, NOW, CANDIDATES)
    rows = warehouse.rows("rag.chunk_sweeps", system="desk")
    assert swept.judged.verdict == "keep" and set(rows["verdict"]) == {"keep"}
    assert rows.height == 4 * 2  # nobody wrote an answer down, so no passage is known
    assert rows.filter(candidate="structure-2")["standing"].unique().to_list() == ["in force"]
    assert rows["queries"].unique().to_list() == [24] and rows["mean"].min() == 1.0
    assert warehouse.rows("rag.index_versions").equals(versions)


def test_without_known_queries_it_says_how_to_get_some(warehouse: Warehouse, system) -> None:
    with pytest.raises(SweepRefused, match="aiops rag draft-queries desk"):
        ChunkSweep(warehouse).run(system, NOW, CANDIDATES)
    ask(warehouse, 24, right="gone")
    with pytest.raises(SweepRefused, match="no known query that a document of its corpus answers"):
        ChunkSweep(warehouse).run(system, NOW, CANDIDATES)


def test_paid_texts_take_consent(warehouse: Warehouse, system, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(warehouse, 24)
    monkeypatch.setattr(MiniLM, "paid", True)
    with pytest.raises(SweepRefused, match=r"up to \d+ texts of \d+ tokens together\. --pay makes it"):
        ChunkSweep(warehouse).run(system, NOW, CANDIDATES)
    assert ChunkSweep(warehouse).run(system, NOW, CANDIDATES, pay=True).queries == 24


def test_a_sweep_follows_what_is_in_force(project: Project, warehouse: Warehouse, system) -> None:
    ask(warehouse, 24)
    moves = migrations(project, warehouse)
    moves.start(system, moves.target(system, None, 300), NOW)
    moves.promote(system, "Ada", "test", True, NOW)
    assert ChunkSweep(warehouse).run(system, NOW, CANDIDATES).in_force == "structure-2-300"
