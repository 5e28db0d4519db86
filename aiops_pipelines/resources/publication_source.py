"""What is to be published of a system: the nodes of its index in force, with their texts and vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from aiops_pipelines.rag import publication
from aiops_pipelines.rag.ranking import Vectors, chunk_matrix
from aiops_pipelines.resources.index_proof import deleted_documents
from aiops_pipelines.resources.stores.base import StoreError, text_node
from aiops_pipelines.resources.warehouse import Warehouse

if TYPE_CHECKING:
    from llama_index.core.schema import TextNode

_KNOWN = """
    select distinct document, chunk_id
    from rag.index_chunks join rag.index_versions using (system, index_version)
    where system = ? and embedding_version = ? and chunker_version = ?
"""
_TEXTS = """
    select chunk_id, md5(text) as text_hash from rag.chunks where system = $1 and chunk_id in
        (select chunk_id from rag.index_chunks where system = $1 and index_version = $2)
"""
_VECTORS = "select * from rag.embeddings where embedding_version = ? and chunk_id in (select unnest(?))"


@dataclass(frozen=True)
class Source:
    """One index version; `row` is its row of `rag.index_versions`."""

    warehouse: Warehouse
    row: dict[str, Any]

    @property
    def family(self) -> str:
        """Name of the collection it belongs into."""
        row = self.row
        return publication.collection(row["system"], row["embedding_version"], row["chunker_version"])

    @cached_property
    def nodes(self) -> pl.DataFrame:
        """The nodes a store is to hold, by id."""
        system, version = self.row["system"], self.row["index_version"]
        rows = self.warehouse.rows
        return publication.nodes(
            rows("rag.index_chunks", system=system, index_version=version),
            rows("rag.documents", system=system, revision=self.row["revision"]),
            self.warehouse.read(_TEXTS, [system, version]),
        )

    def known(self) -> list[str]:
        """Return the ids of all nodes that an index of this recipe ever had."""
        keys = [self.row["system"], self.row["embedding_version"], self.row["chunker_version"]]
        return sorted(publication.node_id(*pair) for pair in self.warehouse.read(_KNOWN, keys).iter_rows())

    def texts(self, chunk_ids: Sequence[str]) -> dict[str, str]:
        """Return the texts of chunks."""
        rows = self.warehouse.rows("rag.chunks", system=self.row["system"], chunk_id=list(chunk_ids))
        found = dict(rows.select("chunk_id", "text").iter_rows())
        if lost := sorted(set(chunk_ids) - found.keys()):
            system = self.row["system"]
            raise StoreError(
                f"The index lost the text of {lost[0]}; aiops reindex {system} --anew restores it."
            )
        return found

    def vectors(self, chunk_ids: Sequence[str]) -> Vectors:
        """Return the vectors of chunks in the order they are given."""
        stored = self.warehouse.read(_VECTORS, [self.row["embedding_version"], list(set(chunk_ids))])
        names, found = chunk_matrix(pl.DataFrame({"document": chunk_ids, "chunk_id": chunk_ids}), stored)
        place = {name: at for at, name in enumerate(names)}
        return found.rows([place[name] for name in chunk_ids])

    def text_nodes(self, node_ids: Sequence[str]) -> "list[TextNode]":
        """Return nodes as they are written."""
        rows = self.nodes.filter(pl.col("node_id").is_in(list(node_ids)))
        chunk_ids = rows["chunk_id"].to_list()
        texts, matrix = self.texts(chunk_ids), self.vectors(chunk_ids).matrix.astype(np.float64)
        origin = {name: self.row[name] for name in ("system", "index_version", "embedding_version")}
        origin["run"] = self.row["built_by"] or ""
        return [
            text_node(row, row.pop("own_text") or texts[row["chunk_id"]], vector.tolist(), origin)
            for row, vector in zip(rows.to_dicts(), matrix, strict=True)
        ]

    @property
    def dimension(self) -> int:
        """Length of its vectors."""
        return int(self.vectors(self.nodes["chunk_id"].to_list()[:1]).matrix.shape[1])

    def deleted(self) -> pl.DataFrame:
        """Return (document, passage, own) of the documents that its revision deleted."""
        return deleted_documents(self.warehouse, self.row)
