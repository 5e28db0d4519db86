"""What every store does for a publication, and what goes into a node.

What is to be written is decided in `rag.publication`; a store writes, says what it holds, and switches.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from aiops_pipelines.mendable import Mendable
from aiops_pipelines.rag.publication import HELD

if TYPE_CHECKING:
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores.types import BasePydanticVectorStore

BATCH = 256
"""Nodes a call; LlamaIndex's stores take lists of objects."""
FOR_MODELS = ("title", "heading", "document")
"""Metadata that a language model is shown with a node; the rest is for tracing."""


class StoreError(Mendable, ValueError):
    """A store cannot be used, or does not hold what it should; the message says what to do."""


class Draft(ABC):
    """A state that no reader sees before it is switched to, written through LlamaIndex's interface."""

    exactly: Mapping[str, Any] = MappingProxyType({})
    """What a query is given so that it is answered exactly."""

    def __init__(self, collection: str, index: "BasePydanticVectorStore"):
        self.collection, self.index = collection, index

    @abstractmethod
    def held(self) -> pl.DataFrame:
        """Return what is in it, HELD."""

    @abstractmethod
    def switch(self) -> None:
        """Show this state to readers from now on, in one step."""

    def write(self, nodes: "Sequence[TextNode]") -> None:
        """Write nodes; those of the same id are replaced."""
        self.index.add(list(nodes))

    def remove(self, node_ids: Sequence[str]) -> None:
        """Delete nodes; one that is not there is no error."""
        self.index.delete_nodes(list(node_ids))

    def nodes(self, node_ids: Sequence[str]) -> "list[TextNode]":
        """Return nodes by their ids, with vectors; those that are not there are left out."""
        return list(self.index.get_nodes(list(node_ids)))

    def finish(self) -> None:  # noqa: B027 - most stores have nothing left to do
        """Bring what was written to rest, before it is verified."""


class Store(Protocol):
    """A vector store of one system with an alias that readers ask."""

    name: str
    place: str
    alias: str

    def shown(self) -> str | None:
        """Return the full name of what readers are given, or None before the first publication."""

    def held(self) -> pl.DataFrame:
        """Return what readers are given, HELD."""

    def draft(self, family: str, wanted: pl.DataFrame) -> Draft:
        """Return a draft of a collection, the one that needs least to become what is wanted."""

    def view(self) -> Draft:
        """Return what readers are given, to ask and to verify; it is not written to."""

    def close(self) -> None:
        """Let the store go; a draft that was not switched to stays out of sight."""


def held_frame(rows: Iterable[tuple[str, str | None]]) -> pl.DataFrame:
    """Return (node_id, fingerprint) pairs as HELD; a node of somebody else's has no fingerprint."""
    return pl.DataFrame([(name, mark or "") for name, mark in rows], schema=HELD, orient="row")


def text_node(row: dict[str, Any], text: str, vector: Sequence[float], origin: dict[str, str]) -> "TextNode":
    """Return a row of `rag.publication.nodes` as a LlamaIndex node; `origin` says which run wrote it.

    Its metadata are flat and never null, which every store can take.
    """
    from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

    metadata = {name: row[name] for name in row if name != "node_id"} | origin
    hidden = [name for name in metadata if name not in FOR_MODELS]
    return TextNode(
        id_=row["node_id"],
        text=text,
        embedding=list(vector),
        metadata=metadata,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=row["document"])},
        excluded_llm_metadata_keys=hidden,
        excluded_embed_metadata_keys=list(metadata),
    )
