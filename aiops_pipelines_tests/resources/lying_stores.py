"""Vector stores that do not do what they are told; each is a real one with one fault."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryResult

from aiops_pipelines.resources.stores.duckdb_vectors import DuckDBVectorStore


class LosesAWrite(DuckDBVectorStore):
    """Says that it wrote a batch and leaves the last node out."""

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        super().add(list(nodes)[:-1], **kwargs)
        return [node.node_id for node in nodes]


class KeepsDeleted(DuckDBVectorStore):
    """Deletes nothing."""

    def delete_nodes(self, node_ids: list[str] | None = None, filters: Any = None, **kwargs: Any) -> None:
        return None


class RoundsVectors(DuckDBVectorStore):
    """Keeps vectors to one decimal."""

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        for node in nodes:
            node.embedding = [round(number, 1) for number in node.embedding or ()]
        return super().add(nodes, **kwargs)


class CutsTexts(DuckDBVectorStore):
    """Keeps ten characters of a text."""

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        for node in nodes:
            node.set_content(node.get_content()[:10])
        return super().add(nodes, **kwargs)


class FindsTheFarthest(DuckDBVectorStore):
    """Holds everything and finds the wrong nodes."""

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        query.query_embedding = [-number for number in query.query_embedding or ()]
        return super().query(query, **kwargs)


class HasNoListing(DuckDBVectorStore):
    """Like the classes of LlamaIndex that lack `get_nodes`."""

    def get_nodes(self, node_ids: list[str] | None = None, filters: Any = None) -> list[BaseNode]:
        raise NotImplementedError("get_nodes not implemented")


class TellsItsAddress(DuckDBVectorStore):
    """Cannot be reached, and says with which address and password."""

    def __init__(self, file: str, table: str):
        raise ConnectionError(f"{file} does not answer for {table}")
