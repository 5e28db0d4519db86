"""Publishing into Qdrant, a server or a folder: two collections a recipe, and Qdrant's own alias."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import polars as pl

from aiops_pipelines.resources.stores.base import Draft, StoreError, held_frame
from aiops_pipelines.resources.stores.slots import free_slot

_PAGE = 1000


class QdrantDraft(Draft):
    """One collection."""

    def __init__(self, collection: str, client: Any, alias: str, local: bool):
        from llama_index.vector_stores.qdrant import QdrantVectorStore

        super().__init__(collection, QdrantVectorStore(collection, client=client, index_doc_id=not local))
        self._client, self._alias = client, alias
        if not local:  # a folder is searched exactly in any case, and warns when that is asked for
            self.exactly = {"search_params": {"exact": True}}

    def held(self) -> pl.DataFrame:
        """Return what is in the collection."""
        return _held(self._client, self.collection)

    def remove(self, node_ids: Sequence[str]) -> None:
        """Delete nodes, if there is a collection yet."""
        if self._client.collection_exists(self.collection):
            super().remove(node_ids)

    def switch(self) -> None:
        """Move the alias in one request."""
        from qdrant_client import models

        made = models.CreateAlias(collection_name=self.collection, alias_name=self._alias)
        operations: list[Any] = [models.CreateAliasOperation(create_alias=made)]
        if _shown(self._client, self._alias):
            gone = models.DeleteAlias(alias_name=self._alias)
            operations.insert(0, models.DeleteAliasOperation(delete_alias=gone))
        self._client.update_collection_aliases(change_aliases_operations=operations)


class Qdrant:
    """A Qdrant server (url) or a folder (path)."""

    name = "qdrant"

    def __init__(self, alias: str, **arguments: Any):
        self.place, self.alias = (
            str(arguments.get("url") or arguments.get("host") or arguments.get("path")),
            alias,
        )
        self._arguments, self._local = arguments, "path" in arguments

    @cached_property
    def _client(self) -> Any:
        from qdrant_client import QdrantClient

        try:
            return QdrantClient(**self._arguments)
        except Exception as error:
            raise StoreError(f"Qdrant at {self.place} cannot be opened: {error}") from error

    def shown(self) -> str | None:
        """Return the collection of the alias."""
        return _shown(self._client, self.alias)

    def held(self) -> pl.DataFrame:
        """Return what readers are given."""
        return _held(self._client, self.shown())

    def draft(self, family: str, wanted: pl.DataFrame) -> QdrantDraft:
        """Return the collection of the two that the alias does not name."""

        def opened(name: str) -> QdrantDraft:
            return QdrantDraft(name, self._client, self.alias, self._local)

        return free_slot(family, self.shown(), opened, wanted)

    def view(self) -> QdrantDraft:
        """Return the alias, which follows later publications."""
        return QdrantDraft(self.alias, self._client, self.alias, self._local)

    def close(self) -> None:
        """Let a folder go, which one process may have at a time."""
        if "_client" in self.__dict__:
            self._client.close()


def _shown(client: Any, alias: str) -> str | None:
    found = [one.collection_name for one in client.get_aliases().aliases if one.alias_name == alias]
    return found[0] if found else None


def _held(client: Any, collection: str | None) -> pl.DataFrame:
    if collection is None or not client.collection_exists(collection):
        return held_frame([])
    rows: list[tuple[str, str | None]] = []
    after = None
    while True:
        page, after = client.scroll(
            collection, limit=_PAGE, offset=after, with_payload=["fingerprint"], with_vectors=False
        )
        rows += [(str(point.id), (point.payload or {}).get("fingerprint")) for point in page]
        if after is None:
            return held_frame(rows)
