"""Publishing into any LlamaIndex vector store class: two collections a recipe, and a file for the alias.

The interface knows no aliases and no listing. What a collection holds is asked by id, so the class needs
`get_nodes` and `delete_nodes`; nodes under ids that no index had stay unseen.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from aiops_pipelines.rag.store_settings import COLLECTION
from aiops_pipelines.resources.dotted import DottedNameError, named
from aiops_pipelines.resources.first_file import write_whole
from aiops_pipelines.resources.stores.base import BATCH, Draft, StoreError, held_frame
from aiops_pipelines.resources.stores.slots import free_slot

if TYPE_CHECKING:
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores.types import BasePydanticVectorStore


class LlamaDraft(Draft):
    """One collection, seen through the interface alone."""

    def __init__(self, collection: str, store: "LlamaStore"):
        super().__init__(collection, store.opened(collection))
        self._store = store

    def held(self) -> pl.DataFrame:
        """Return which of the known ids are there."""
        known = self._store.known
        found = [node for at in range(0, len(known), BATCH) for node in self.nodes(known[at : at + BATCH])]
        return held_frame((node.node_id, node.metadata.get("fingerprint")) for node in found)

    def nodes(self, node_ids: Sequence[str]) -> "list[TextNode]":
        """Return nodes by their ids."""
        with _complete(self._store.name):
            return super().nodes(node_ids)

    def write(self, nodes: "Sequence[TextNode]") -> None:
        """Replace nodes; many classes add a second one of the same id otherwise."""
        self.remove([node.node_id for node in nodes])
        super().write(nodes)

    def remove(self, node_ids: Sequence[str]) -> None:
        """Delete nodes."""
        with _complete(self._store.name):
            super().remove(node_ids)

    def switch(self) -> None:
        """Name the collection in the file."""
        self._store.point(self.collection)


class LlamaStore:
    """A vector store class by its dotted name.

    `known` are the ids a collection may hold, `pointer` the file that stands for the alias.
    """

    def __init__(
        self, alias: str, name: str, arguments: Mapping[str, Any], pointer: Path, known: Sequence[str]
    ):
        self.name, self.alias, self.place, self.known = name, alias, str(pointer), known
        self._arguments, self._pointer = arguments, pointer
        self._opened: list[BasePydanticVectorStore] = []

    def opened(self, collection: str) -> "BasePydanticVectorStore":
        """Return the class with its arguments, those that say so holding the collection's name.

        Raises:
            StoreError: there is no such class, or it cannot be made of these arguments.
        """
        filled = {
            key: value.replace(COLLECTION, collection) if isinstance(value, str) else value
            for key, value in self._arguments.items()
        }
        try:
            self._opened.append(named(self.name)(**filled))
        except DottedNameError as error:
            raise StoreError(str(error)) from error
        except Exception as error:
            raise StoreError(f"{self.name} cannot be made with publish.arguments: {error}") from error
        return self._opened[-1]

    def point(self, collection: str) -> None:
        """Write the file anew, in one step."""
        write_whole(self._pointer, json.dumps({"alias": self.alias, "collection": collection}).encode())

    def shown(self) -> str | None:
        """Return the collection that the file names."""
        if not self._pointer.exists():
            return None
        return str(json.loads(self._pointer.read_text(encoding="utf-8"))["collection"])

    def held(self) -> pl.DataFrame:
        """Return what readers are given."""
        shown = self.shown()
        return LlamaDraft(shown, self).held() if shown else held_frame([])

    def draft(self, family: str, wanted: pl.DataFrame) -> LlamaDraft:
        """Return the collection of the two that the file does not name."""
        return free_slot(family, self.shown(), lambda name: LlamaDraft(name, self), wanted)

    def view(self) -> LlamaDraft:
        """Return the collection that is published now."""
        return LlamaDraft(self.shown() or "", self)

    def close(self) -> None:
        """Close what can be closed; the interface does not say how."""
        for store in self._opened:
            if callable(close := getattr(store, "close", None)):
                close()


@contextmanager
def _complete(name: str) -> Iterator[None]:
    try:
        yield
    except NotImplementedError as error:
        raise StoreError(
            f"{name} has no get_nodes or no delete_nodes, so what it holds could not be verified; "
            "publish to another class."
        ) from error
