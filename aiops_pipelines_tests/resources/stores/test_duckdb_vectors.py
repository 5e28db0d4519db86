"""The vector store over a DuckDB file: what LlamaIndex's own filters say, exact neighbours, whole writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import Document, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from aiops_pipelines.resources.stores.duckdb_vectors import DuckDBVectorStore

WORDS = ["Alpha", "alpha'; drop table nodes --", 'a"b', "", "10", "9"]
KEYS = ["word", "a/b~c", 'quo"ted', "rank", "none"]


def node(name: str, document: str = "d.md", vector: Any = (1.0, 0.0), **metadata: Any) -> TextNode:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)}
    return TextNode(
        id_=name, text=f"Text of {name}", embedding=list(vector), metadata=metadata, relationships=source
    )


NODES = [
    node(str(at), f"d{at % 2}.md", (1.0, at / 8), word=WORDS[at % 6], rank=at % 4, **{k: WORDS[at % 5] for k in KEYS[1:3]})
    for at in range(12)
]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBVectorStore]:
    store = DuckDBVectorStore(file=str(tmp_path_factory.mktemp("store") / "x.duckdb"), table='no"des')
    store.add(NODES)
    yield store
    store.close()


compared = st.sampled_from([FilterOperator(o) for o in ("==", "!=", ">", ">=", "<", "<=")])
equals = st.sampled_from([FilterOperator("=="), FilterOperator("!=")])
among = st.sampled_from([FilterOperator("in"), FilterOperator("nin")])
matched = st.sampled_from([FilterOperator("text_match"), FilterOperator("text_match_insensitive")])
texts, some = st.sampled_from(WORDS), st.sampled_from(KEYS[:3])
one_filter = st.one_of(
    st.builds(MetadataFilter, key=st.just("rank"), value=st.integers(0, 4), operator=compared),
    st.builds(MetadataFilter, key=some, value=texts, operator=equals),
    st.builds(MetadataFilter, key=st.just("none"), value=texts, operator=equals),
    st.builds(MetadataFilter, key=some, value=st.lists(texts, max_size=3), operator=among),
    st.builds(MetadataFilter, key=st.just("rank"), value=st.lists(st.integers(0, 4), min_size=1), operator=among),
    st.builds(MetadataFilter, key=some, value=texts, operator=matched),
    st.builds(MetadataFilter, key=st.sampled_from(KEYS), value=st.none(), operator=st.just(FilterOperator.IS_EMPTY)),
)  # fmt: skip


@given(st.lists(one_filter, min_size=1, max_size=3), st.sampled_from(FilterCondition))
def test_filters_mean_what_they_mean_elsewhere_in_llama_index(
    store: DuckDBVectorStore, filters: list[MetadataFilter], condition: FilterCondition
) -> None:
    wanted = MetadataFilters(filters=filters, condition=condition)
    keep = build_metadata_filter_fn({n.node_id: n.metadata for n in NODES}.__getitem__, wanted)
    expected = sorted(n.node_id for n in NODES if keep(n.node_id))
    assert [n.node_id for n in store.get_nodes(filters=wanted)] == expected
    nested = MetadataFilters(filters=[wanted, MetadataFilters(filters=filters[:1])])
    first = build_metadata_filter_fn(
        {n.node_id: n.metadata for n in NODES}.__getitem__, MetadataFilters(filters=filters[:1])
    )
    assert [n.node_id for n in store.get_nodes(filters=nested)] == [n for n in expected if first(n)]


@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=2), st.integers(1, 14))
def test_neighbours_are_the_nearest_by_cosine(store: DuckDBVectorStore, asked: list[float], k: int) -> None:
    if np.linalg.norm(asked) < 0.01:
        asked = [1.0, 0.0]
    found = store.query(VectorStoreQuery(query_embedding=asked, similarity_top_k=k))
    matrix = np.array([n.embedding for n in NODES])
    cosines = matrix @ asked / np.linalg.norm(matrix, axis=1) / np.linalg.norm(asked)
    assert found.similarities == pytest.approx(sorted(cosines, reverse=True)[:k], abs=1e-5)
    assert len(set(found.ids or [])) == min(k, 12)


def test_nodes_come_back_as_they_went_in(store: DuckDBVectorStore) -> None:
    (found,) = store.get_nodes(["3"])
    assert found.model_dump() == NODES[3].model_dump()


@pytest.fixture
def small(tmp_path: Path) -> DuckDBVectorStore:
    return DuckDBVectorStore(file=str(tmp_path / "x.duckdb"), table="nodes")


def test_an_id_is_there_once_and_documents_are_deleted_whole(small: DuckDBVectorStore) -> None:
    assert small.get_nodes() == [] and small.add([]) == []
    assert small.query(VectorStoreQuery(query_embedding=[1.0, 0.0])).ids == []
    small.delete("d.md")
    small.delete_nodes(["a"])
    small.add([node("a", word="x"), node("b", "it's.md")])
    small.add([node("a", word="y")])
    assert [n.metadata["word"] for n in small.get_nodes(["a"])] == ["y"]
    small.delete("it's.md")
    assert [n.node_id for n in small.get_nodes()] == ["a"]
    small.delete_nodes()  # nothing is named, so nothing is deleted
    assert len(small.get_nodes()) == 1
    small.delete_nodes(filters=MetadataFilters(filters=[MetadataFilter(key="word", value="y")]))
    assert small.get_nodes() == []
    small.add([node("c")])
    small.clear()
    assert small.get_nodes() == []


def test_another_dimension_mode_or_list_is_refused(small: DuckDBVectorStore) -> None:
    small.add([node("a")])
    with pytest.raises(ValueError, match="holds vectors of 2 numbers, not of 3: another embedding model"):
        small.add([node("b"), node("c", vector=(1.0, 0.0, 0.0))])
    assert [n.node_id for n in small.get_nodes()] == ["a"]
    with pytest.raises(ValueError, match="not of 3: another embedding model"):
        small.query(VectorStoreQuery(query_embedding=[1.0, 0.0, 0.0]))
    with pytest.raises(ValueError, match="by a vector only, not by hybrid"):
        small.query(VectorStoreQuery(query_embedding=[1.0, 0.0], mode=VectorStoreQueryMode.HYBRID))
    listed = MetadataFilter(key="word", value=["x"], operator=FilterOperator.ANY)
    with pytest.raises(ValueError, match="Metadata here holds no lists"):
        small.get_nodes(filters=MetadataFilters(filters=[listed]))


def test_readers_keep_nobody_from_writing_and_see_what_was_written(small: DuckDBVectorStore) -> None:
    small.add([node("a")])
    small.close()
    reader = DuckDBVectorStore(file=small.file, table="nodes", read_only=True)
    assert [n.node_id for n in reader.get_nodes()] == ["a"]
    small.add([node("b")])
    small.close()
    assert [n.node_id for n in reader.get_nodes()] == ["a", "b"]


def test_llama_index_builds_asks_and_deletes_through_it(small: DuckDBVectorStore) -> None:
    index = VectorStoreIndex.from_vector_store(small, embed_model=MockEmbedding(embed_dim=4))
    index.insert(Document(text="A label costs two euros.", doc_id="fees"))
    assert index.as_retriever().retrieve("label")[0].node.get_content() == "A label costs two euros."
    index.delete_ref_doc("fees")
    assert small.get_nodes() == []
