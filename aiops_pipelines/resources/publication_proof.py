"""The proof that a store holds an index: its ids, some of its vectors and texts, and what it finds.

What counts as a difference is decided in `rag.publication`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.rag import publication, reindex
from aiops_pipelines.rag.ranking import similarities
from aiops_pipelines.resources.publication_source import Source
from aiops_pipelines.resources.stores.base import Draft

SAMPLE, PROBES, DEPTH = 64, 8, 10


@dataclass(frozen=True)
class StoreProof:
    """What was looked at, and the differences that were found, each a sentence."""

    nodes: int = 0
    vectors: int = 0
    probes: int = 0
    deleted_probes: int = 0
    findings: tuple[str, ...] = ()


def prove(source: Source, draft: Draft, written: Sequence[str], overlap: float) -> StoreProof:
    """Ask a store everything that can be known from the index, before anybody else asks it.

    Args:
        source: the index.
        draft: the state of the store.
        written: ids written just now, which make half of the sample.
        overlap: share of our nearest nodes that a probe must find.
    """
    findings = publication.differences(source.nodes, draft.held())
    chosen = publication.sample(source.nodes["node_id"].to_list(), written, SAMPLE)
    findings += _looked_at(source, draft, chosen)
    findings += _asked(source, draft, chosen[:: max(1, len(chosen) // PROBES)][:PROBES], overlap)
    deleted = source.deleted()
    if deleted.height:
        vectors = source.vectors(deleted["passage"].to_list()).matrix
        found = (
            {node.metadata["chunk_id"]: [node.metadata["document"]] for node in _found(draft, vector).nodes}
            for vector in vectors
        )
        findings += reindex.survivors(
            (document, own, standing)
            for (document, _, own), standing in zip(deleted.iter_rows(), found, strict=True)
        )
    counts = (source.nodes.height, len(chosen), min(len(chosen), PROBES), deleted.height)
    return StoreProof(*counts, tuple(findings))


def _looked_at(source: Source, draft: Draft, chosen: Sequence[str]) -> list[str]:
    """Compare vectors and texts of some nodes, as the store gives them back."""
    ours = {node.node_id: node for node in source.text_nodes(chosen)}
    theirs = {node.node_id: node for node in draft.nodes(chosen)}
    matrix = np.array([ours[name].embedding for name in chosen], dtype=np.float32)
    given = [theirs[name].embedding if name in theirs else None for name in chosen]
    texts = [name for name in theirs if theirs[name].get_content() != ours[name].get_content()]
    said = [f"{len(texts)} nodes with another text than in the index: {texts[0]}."] if texts else []
    return publication.moved_vectors(chosen, matrix, given) + said


def _asked(source: Source, draft: Draft, chosen: Sequence[str], least: float) -> list[str]:
    """Ask for the neighbours of some nodes and compare them with our own ranking of all of them."""
    place = {name: at for at, name in enumerate(source.nodes["node_id"])}
    vectors = source.vectors(source.nodes["chunk_id"].to_list())
    scores = similarities(vectors, vectors.rows([place[name] for name in chosen]))
    missed = []
    for row, name in zip(scores, chosen, strict=True):
        found = [place.get(one) for one in _found(draft, vectors.matrix[place[name]]).ids or []]
        if publication.overlap(row, found, DEPTH) < least:
            missed.append(name)
    which = f"{len(missed)} of {len(chosen)} probes find other nodes than the index does"
    return [f"{which}, such as that of {missed[0]}."] if missed else []


def _found(draft: Draft, vector: NDArray[np.float32]) -> Any:
    from llama_index.core.vector_stores.types import VectorStoreQuery

    query = VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=DEPTH)
    return draft.index.query(query, **draft.exactly)
