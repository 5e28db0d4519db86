"""Publishing into LanceDB: a table for each collection, of which readers are given one version.

LanceDB has no aliases. Every write makes a new version of its table and leaves the older ones as they are, so
a row of the table `aliases` that names table and version is one.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from aiops_pipelines.resources.stores.base import Draft, StoreError, held_frame

if TYPE_CHECKING:
    from llama_index.core.schema import TextNode

ALIASES = "aliases"
KEPT = timedelta(days=14)
"""How long versions are kept that came before the one that readers are given."""
_IDS = 1000


class LanceDraft(Draft):
    """The newest version of a table; readers have an earlier one, or another table."""

    def __init__(self, collection: str, connection: Any, alias: str, pinned: Any = None):
        from llama_index.vector_stores.lancedb import LanceDBVectorStore

        which = {"table_name": collection, "table": pinned, "mode": "create"}
        super().__init__(collection, LanceDBVectorStore(uri=None, connection=connection, **which))
        self._connection, self._alias = connection, alias

    @property
    def _table(self) -> Any:
        """The table, or None before the first node."""
        return self.index._table

    def held(self) -> pl.DataFrame:
        """Return what is in the newest version."""
        return _held(self._table)

    def write(self, nodes: "Sequence[TextNode]") -> None:
        """Replace nodes; LanceDB's own `add` would keep the old ones too."""
        self.remove([node.node_id for node in nodes])
        self.index.add(list(nodes))

    def remove(self, node_ids: Sequence[str]) -> None:
        """Delete nodes; LlamaIndex's `delete_nodes` quotes ids in a way this LanceDB does not read."""
        for condition in _among(node_ids) if self._table is not None else ():
            self._table.delete(condition)

    def nodes(self, node_ids: Sequence[str]) -> "list[TextNode]":
        """Return nodes by their ids."""
        return [node for condition in _among(node_ids) for node in self.index.get_nodes(where=condition)]

    def finish(self) -> None:
        """Join the small files that many batches leave, and drop what no reader may have open any more.

        LanceDB counts from when a version was made, which for the one that readers are given may be months.
        """
        row = _named(self._connection, self._alias)
        made = {one["version"]: one["timestamp"] for one in self._table.list_versions()}
        shown = made.get(row["version"]) if row and row["collection"] == self.collection else None
        age = max(made.values()) - shown if shown else timedelta()
        self._table.optimize(cleanup_older_than=age + KEPT)

    def switch(self) -> None:
        """Name the newest version in the row of the alias."""
        import pyarrow as pa

        row = {"alias": [self._alias], "collection": [self.collection], "version": [self._table.version]}
        table = pa.table(row)
        if ALIASES not in _tables(self._connection):
            with suppress(ValueError):  # somebody made it at this moment
                self._connection.create_table(ALIASES, schema=table.schema)
        changed = self._connection.open_table(ALIASES).merge_insert("alias")
        changed.when_matched_update_all().when_not_matched_insert_all().execute(table)


class LanceDB:
    """A LanceDB database, a folder or an object store."""

    name = "lancedb"

    def __init__(self, alias: str, uri: str, **arguments: Any):
        if uri.startswith("db://"):
            raise StoreError(
                "LanceDB Cloud cannot say what it holds; publish to a folder or an object store."
            )
        self.place, self.alias = uri, alias
        self._arguments = arguments

    @cached_property
    def _connection(self) -> Any:
        import lancedb

        try:
            return lancedb.connect(self.place, **self._arguments)
        except Exception as error:
            raise StoreError(f"LanceDB at {self.place} cannot be opened: {error}") from error

    def _pinned(self) -> Any:
        """The table in the version that readers are given, or None where there is none or it is gone."""
        row = _named(self._connection, self.alias)
        if row is None or row["collection"] not in _tables(self._connection):
            return None
        table = self._connection.open_table(row["collection"])
        if row["version"] not in {one["version"] for one in table.list_versions()}:
            return None
        table.checkout(row["version"])
        return table

    def shown(self) -> str | None:
        """Return table and version of the alias."""
        row = _named(self._connection, self.alias)
        return f"{row['collection']}@{row['version']}" if row else None

    def held(self) -> pl.DataFrame:
        """Return what readers are given."""
        return _held(self._pinned())

    def draft(self, family: str, wanted: pl.DataFrame) -> LanceDraft:
        """Return the newest version of a table, which a killed run may have left half-written."""
        return LanceDraft(family, self._connection, self.alias)

    def view(self) -> LanceDraft:
        """Return the version that is published now; after a later publication another is to be asked for."""
        return LanceDraft(self.shown() or "", self._connection, self.alias, self._pinned())

    def close(self) -> None:
        """Nothing is held open."""


def _named(connection: Any, alias: str) -> dict[str, Any] | None:
    if ALIASES not in _tables(connection):
        return None
    rows = connection.open_table(ALIASES).to_arrow().to_pylist()
    return next((row for row in rows if row["alias"] == alias), None)


def _held(table: Any) -> pl.DataFrame:
    if table is None:
        return held_frame([])
    found = table.search().select({"node_id": "id", "fingerprint": "metadata.fingerprint"}).to_arrow()
    return held_frame(zip(found["node_id"].to_pylist(), found["fingerprint"].to_pylist(), strict=True))


def _among(node_ids: Sequence[str]) -> Iterator[str]:
    """Yield conditions on runs of ids; they are UUIDs, so there is nothing to escape."""
    for start in range(0, len(node_ids), _IDS):
        yield f"id in ({', '.join(f'{chr(39)}{name}{chr(39)}' for name in node_ids[start : start + _IDS])})"


def _tables(connection: Any) -> set[str]:
    page = connection.list_tables()
    found = set(page.tables)
    while page.page_token:
        page = connection.list_tables(page_token=page.page_token)
        found |= set(page.tables)
    return found
