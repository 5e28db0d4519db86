"""An index as nodes of a vector store: their names, what is to be written, and what a proof finds.

Stores are met in `resources`; here they are frames of what they hold.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

HELD = pl.Schema({"node_id": pl.String, "fingerprint": pl.String})
"""What a store says it holds: a row per node, with the fingerprint it was written with."""

_NODES = uuid.uuid5(uuid.NAMESPACE_URL, "aiops_pipelines/nodes")
_FORM = "node-2"
"""Version of what is written with a node; a new one writes every node again."""
_SCORE_TOLERANCE = 1e-4
_VECTOR_TOLERANCE = 1e-5
"""Stores keep single precision, and some normalise a vector again."""


def node_id(document: str, chunk_id: str) -> str:
    """Return the name of a chunk in a document: a UUID, since that is what every store takes."""
    return str(uuid.uuid5(_NODES, json.dumps([document, chunk_id])))


def nodes(index_chunks: pl.DataFrame, titles: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Return a row per chunk and document, by node id: what a store is to hold of an index version.

    A chunk that stands twice in one document is one node, at its first place; in two documents it is two, so
    that deleting one of them keeps the other.

    Args:
        index_chunks: the rows of one index version.
        titles: (document, title) rows.
        texts: (chunk_id, text_hash) rows; a place with a text of its own, which differs in white space, has
            that one's hash instead.
    """
    first = index_chunks.sort("position").unique(["document", "chunk_id"], keep="first", maintain_order=True)
    filled = pl.col("heading", "title").fill_null("")
    placed = first.join(titles.select("document", "title"), on="document", how="left").with_columns(filled)
    kept = placed.select("chunk_id", "document", "document_hash", "position", "heading", "title")
    told = kept.join(texts.select("chunk_id", "text_hash"), on="chunk_id", how="left", maintain_order="left")
    own = placed["own_text"].map_elements(_text_hash, return_dtype=pl.String)
    told = told.with_columns(text_hash=pl.coalesce(own, "text_hash"))
    kept = kept.with_columns(placed["own_text"])
    named = [(node_id(row["document"], row["chunk_id"]), _fingerprint(row)) for row in told.to_dicts()]
    return pl.concat([pl.DataFrame(named, schema=HELD, orient="row"), kept], how="horizontal").sort("node_id")


def collection(system: str, embedding_version: str, chunker_version: str) -> str:
    """Return the name that nodes of one recipe are kept under: two spaces never share a collection."""
    return f"{system}_{embedding_version}_{chunker_version}"


def belongs(name: str | None, family: str) -> bool:
    """Say whether the full name that a store gives is a slot or a version of a collection."""
    return name is not None and re.fullmatch(re.escape(family) + r"(@\d+|_[ab])?", name) is not None


@dataclass(frozen=True)
class Plan:
    """What makes a draft equal to an index, and what that changes for readers.

    `write` and `remove` are node ids. A store that keeps what is published and the draft apart, or a run that
    was killed, makes them differ from `upserts` and `deletes`, the nodes that change for readers.
    """

    write: tuple[str, ...]
    remove: tuple[str, ...]
    upserts: int
    deletes: int


def plan(wanted: pl.DataFrame, draft: pl.DataFrame, published: pl.DataFrame) -> Plan:
    """Return the difference between what is wanted and what a draft holds.

    Worked example: wanted a, b, c; published a, b, d; a draft that has only a. b and c are written,
    nothing is removed; for readers c is an upsert and d a delete.

    Args:
        wanted: rows of `nodes`.
        draft: what the collection to be written holds, HELD.
        published: what readers are given so far of this recipe, HELD; the draft where that is nothing.
    """
    same = ["node_id", "fingerprint"]
    return Plan(
        tuple(wanted.join(draft, on=same, how="anti")["node_id"].sort()),
        tuple(draft.join(wanted, on="node_id", how="anti")["node_id"].sort()),
        wanted.join(published, on=same, how="anti").height,
        published.join(wanted, on="node_id", how="anti").height,
    )


def differences(wanted: pl.DataFrame, held: pl.DataFrame) -> list[str]:
    """Return a sentence per way in which what a store holds is not what was wanted."""
    counted = [
        ("not in the store", wanted.join(held, on="node_id", how="anti")),
        ("in the store and not in the index", held.join(wanted, on="node_id", how="anti")),
        (
            "in the store in another version",
            held.join(wanted, on="node_id", how="semi").join(
                wanted, on=["node_id", "fingerprint"], how="anti"
            ),
        ),
        ("in the store more than once", held.filter(pl.col("node_id").is_duplicated()).unique("node_id")),
    ]
    return [
        f"{_nodes(rows.height)} {what}: {_some(sorted(rows['node_id']))}."
        for what, rows in counted
        if rows.height
    ]


def sample(node_ids: Sequence[str], fresh: Sequence[str], size: int) -> list[str]:
    """Return up to `size` ids to look at closely, half of them fresh; the same on every machine."""
    new = sorted(fresh)[: size // 2 if len(node_ids) > len(fresh) else size]
    others = [one for one in sorted(node_ids, key=_shuffled) if one not in set(new)]
    return sorted([*new, *others[: size - len(new)]])


def moved_vectors(
    names: Sequence[str], ours: NDArray[np.float32], theirs: Sequence[Sequence[float] | None]
) -> list[str]:
    """Return a sentence if vectors in the store are others than ours, row i of both being node `names[i]`.

    Args:
        names: node ids.
        ours: shape (nodes, dimension).
        theirs: a vector per node, or None where the store gave none back.
    """
    moved = [
        name
        for name, own, other in zip(names, ours, theirs, strict=True)
        if other is None or len(other) != len(own) or np.abs(own - np.array(other)).max() > _VECTOR_TOLERANCE
    ]
    return [f"{_nodes(len(moved))} with another vector than in the index: {_some(moved)}."] if moved else []


def overlap(scores: NDArray[np.float32], found: Sequence[int | None], k: int) -> float:
    """Return the share of the best k that a store found: those that score no worse than our k-th best.

    Nodes of equal score may stand for each other; a node found twice counts once, an unknown one (None) not.

    Args:
        scores: of every node of the index for one query, shape (nodes,).
        found: what the store found for it, as places in `scores`.
        k: how many were asked for.
    """
    wanted = min(k, len(scores))
    if not wanted:
        return 1.0
    bound = np.partition(scores, -wanted)[-wanted] - _SCORE_TOLERANCE
    good = {at for at in found[:k] if at is not None and scores[at] >= bound}
    return len(good) / wanted


def _text_hash(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _fingerprint(row: dict[str, object]) -> str:
    text = json.dumps([_FORM, *row.values()], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _shuffled(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _nodes(count: int) -> str:
    return f"{count} node{'s' if count != 1 else ''}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
