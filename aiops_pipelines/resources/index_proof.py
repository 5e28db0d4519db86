"""The proof, from the stored tables alone, that an index holds its source and nothing else.

What counts as a difference is decided in `rag.reindex`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from aiops_pipelines.rag import ranking, reindex
from aiops_pipelines.resources.warehouse import Warehouse

PROBE_DEPTH = 10
_NEWEST = """
    select * from rag.index_versions where system = ?
    qualify built_at = max(built_at) over () or valid_from = max(valid_from) over ()
    order by valid_from, built_at
"""
_UNEMBEDDED = """
    select distinct chunk_id from rag.index_chunks where system = $1 and index_version = $2
    and chunk_id not in (select chunk_id from rag.embeddings where embedding_version = $3)
"""
_TEXTLESS = """
    select distinct chunk_id from rag.index_chunks where system = $1 and index_version = $2
    and chunk_id not in (select chunk_id from rag.chunks where system = $1)
"""
_DELETED = """
    select document, min(chunk_id) as passage, list(distinct chunk_id) as own
    from rag.index_chunks where system = $1
    and document in
        (select document from rag.corpus_changes where system = $1 and revision = $2 and change = 'deleted')
    and chunk_id not in
        (select chunk_id from rag.index_chunks where system = $1 and index_version = $3)
    and chunk_id in (select chunk_id from rag.embeddings where embedding_version = $4)
    group by document order by document
"""
_VECTORS = """
    select * from rag.embeddings where embedding_version = ? and chunk_id in (select unnest(?))
"""


@dataclass(frozen=True)
class Proof:
    """What was looked at and the differences that were found, each a sentence."""

    index_versions: int = 0
    probes: int = 0
    findings: tuple[str, ...] = ()


def prove(warehouse: Warehouse, system: str) -> Proof:
    """Compare the indexes built last, and the newest state's, with their source, and probe the deleted.

    A probe asks the index for a passage of a document that was deleted; what only that document held must
    not come back.
    """
    findings: list[str] = []
    probes = 0
    with warehouse.held():
        versions = list(warehouse.read(_NEWEST, [system]).iter_rows(named=True))
        for index in versions:
            places = warehouse.rows("rag.index_chunks", system=system, index_version=index["index_version"])
            source = warehouse.rows("rag.documents", system=system, revision=index["revision"])
            bare = warehouse.read(_UNEMBEDDED, [system, index["index_version"], index["embedding_version"]])
            textless = warehouse.read(_TEXTLESS, [system, index["index_version"]])
            embedded, told = (set(places["chunk_id"]) - set(lost["chunk_id"]) for lost in (bare, textless))
            found = reindex.reconciliation(places, source, embedded, told)
            deleted = deleted_documents(warehouse, index)
            if deleted.height and not bare.height:
                found += _probed(warehouse, index["embedding_version"], places, deleted)
                probes += deleted.height
            findings += [f"{system} {index['index_version']}: {sentence}" for sentence in found]
    return Proof(len(versions), probes, tuple(findings))


def deleted_documents(warehouse: Warehouse, index: Mapping[str, Any]) -> pl.DataFrame:
    """Return (document, passage, own) of what the revision of an index version deleted.

    `own` are chunks that this index holds nowhere any more, `passage` is one of them with a vector.
    """
    keys = [index[name] for name in ("system", "revision", "index_version", "embedding_version")]
    return warehouse.read(_DELETED, keys)


def _probed(warehouse: Warehouse, space: str, places: pl.DataFrame, deleted: pl.DataFrame) -> list[str]:
    by_chunk = places.select("chunk_id", document="chunk_id").unique()
    stored = warehouse.read(_VECTORS, [space, by_chunk["chunk_id"].to_list()])
    chunks, matrix = ranking.chunk_matrix(by_chunk, stored)
    asked = deleted.select(document="passage", chunk_id="passage")
    vectors = warehouse.read(_VECTORS, [space, asked["chunk_id"].to_list()])
    passages, queries = ranking.chunk_matrix(asked, vectors)
    rankings = dict(zip(passages, ranking.dense(chunks, matrix, queries, PROBE_DEPTH), strict=True))
    standing = dict(places.group_by("chunk_id").agg("document").iter_rows())
    return reindex.survivors(
        (
            (document, own, {chunk: standing[chunk] for chunk, _ in rankings[passage]})
            for document, passage, own in deleted.iter_rows()
        )
    )
