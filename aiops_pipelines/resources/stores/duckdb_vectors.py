"""A LlamaIndex vector store over a table of a DuckDB file: exact search, filters, writes as transactions.

LlamaIndex has one of its own, for older versions of DuckDB. This module imports LlamaIndex, so it is
imported late.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import polars as pl
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from aiops_pipelines.resources.stores.duckdb_filters import quoted, where

_FIELDS = "node_id, text, metadata, vector"


class DuckDBVectorStore(BasePydanticVectorStore):  # type: ignore[misc]
    """Nodes in a table (node_id, document, text, metadata as JSON, vector), or a view of one to read.

    A reader (`read_only`) opens the file for each call, which takes milliseconds: so it follows a publication
    without being started again, and never keeps anybody from writing. A writer keeps it open until `close`.
    """

    stores_text: bool = True
    flat_metadata: bool = True
    file: str
    table: str
    read_only: bool = False

    _connection: Any = PrivateAttr(default=None)

    @property
    def client(self) -> Any:
        """The connection of a writer; a reader keeps none."""
        if self._connection is None and not self.read_only:
            self._connection = duckdb.connect(self.file)
        return self._connection

    def close(self) -> None:
        """Let the file go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def dimension(self) -> int | None:
        """Length of the vectors, or None while there is no table."""
        sql = "select data_type from duckdb_columns() where table_name = ? and column_name = 'vector'"
        with self._open() as connection:
            found = connection.execute(sql, [self.table]).fetchall()
        return int(found[0][0].partition("[")[2].rstrip("]")) if found else None

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Write nodes; those of the same id are replaced, and all become visible at once."""
        if not nodes:
            return []
        rows = [self._row(node) for node in nodes]
        size = len(rows[0]["vector"])
        if self.dimension is None:
            columns = (
                f"node_id varchar, document varchar, text varchar, metadata varchar, vector float[{size}]"
            )
            self.rows(f"create table {quoted(self.table)} ({columns})")
        self._refuse_other_lengths([len(row["vector"]) for row in rows])
        schema = {"node_id": pl.String, "document": pl.String, "text": pl.String, "metadata": pl.String}
        frame = pl.DataFrame(rows, schema=schema | {"vector": pl.List(pl.Float32)})
        with self._transaction() as connection:
            self._delete("node_id in (select unnest(?))", [frame["node_id"].to_list()])
            connection.register("incoming_nodes", frame)
            connection.execute(f"insert into {quoted(self.table)} by name select * from incoming_nodes")
            connection.unregister("incoming_nodes")
        return frame["node_id"].to_list()

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete the nodes of a document."""
        self._delete("document = ?", [ref_doc_id])

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **kwargs: Any
    ) -> None:
        """Delete nodes by id or by metadata; with both, those that fit both."""
        condition, values = where(filters, node_ids)
        if node_ids is not None or filters is not None:
            self._delete(condition, values)

    def clear(self) -> None:
        """Delete every node."""
        self._delete("true", [])

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Return nodes with their vectors, by id or by metadata, in the order of their ids."""
        condition, values = where(filters, node_ids)
        if self.dimension is None:
            return []
        sql = f"select {_FIELDS} from {quoted(self.table)} where {condition} order by node_id"
        return [_node(*row) for row in self.rows(sql, values)]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Return the nearest nodes by cosine, exactly; equal ones by id. Empty lists of ids restrict nothing.

        Raises:
            ValueError: another mode than the default one is asked for, or the vector is of another space.
        """
        if query.mode != VectorStoreQueryMode.DEFAULT or query.query_embedding is None:
            raise ValueError(f"This store searches by a vector only, not by {query.mode.value}.")
        if self.dimension is None:
            return VectorStoreQueryResult(nodes=[], similarities=[], ids=[])
        self._refuse_other_lengths([len(query.query_embedding)])
        condition, values = where(query.filters, query.node_ids or None, query.doc_ids or None)
        size = len(query.query_embedding)
        sql = (
            f"select {_FIELDS}, array_cosine_similarity(vector, ?::float[{size}]) as similarity "
            f"from {quoted(self.table)} where {condition} order by similarity desc, node_id limit ?"
        )
        rows = self.rows(sql, [query.query_embedding, *values, query.similarity_top_k])
        found = [_node(*row[:-1]) for row in rows]
        return VectorStoreQueryResult(
            nodes=found, similarities=[row[-1] for row in rows], ids=[node.node_id for node in found]
        )

    def _row(self, node: BaseNode) -> dict[str, Any]:
        metadata = node_to_metadata_dict(node, remove_text=True, flat_metadata=self.flat_metadata)
        return {
            "node_id": node.node_id,
            "document": node.ref_doc_id,
            "text": node.get_content(),
            "metadata": json.dumps(metadata, ensure_ascii=False),
            "vector": node.get_embedding(),
        }

    def _delete(self, condition: str, values: list[Any]) -> None:
        if self.dimension is not None:
            self.rows(f"delete from {quoted(self.table)} where {condition}", values)

    def _refuse_other_lengths(self, lengths: Sequence[int]) -> None:
        if wrong := sorted({length for length in lengths if length != self.dimension}):
            raise ValueError(
                f"{self.table} holds vectors of {self.dimension} numbers, not of {wrong[0]}: another "
                "embedding model."
            )

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._open() as connection:
            return connection.execute(sql, list(values)).fetchall()

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self.read_only:
            yield self.client
            return
        with duckdb.connect(self.file, read_only=True) as connection:
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self.client
        connection.execute("begin")
        try:
            yield connection
            connection.execute("commit")
        except BaseException:
            connection.execute("rollback")
            raise


def _node(node_id: str, text: str, metadata: str, vector: Sequence[float]) -> BaseNode:
    node = metadata_dict_to_node(json.loads(metadata), text=text)
    node.embedding = list(vector)
    return node
