"""Identities of corpus revisions, embedding spaces and index versions: each is a hash of what it names.

Equal content has the same identity on every machine and at every time; the tables that keep them live
elsewhere.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

import polars as pl


@dataclass(frozen=True)
class EmbeddingSpace:
    """What must be equal for two vectors to be comparable.

    `weights_hash` is the SHA-256 of the weights, or the provider's dated name where the weights are not ours.
    """

    provider: str
    model: str
    weights_hash: str
    dimension: int
    normalised: bool = True
    prefix: str = ""
    query_prefix: str = ""
    """Text put before a question; where there is none it is no part of the identity."""

    @property
    def version(self) -> str:
        """The space's identity, `ev-` and 12 hex digits."""
        parts = asdict(self)
        if not self.query_prefix:
            del parts["query_prefix"]
        return _identity("ev", parts)


def revision_id(documents: pl.DataFrame) -> str:
    """Return the identity of a corpus state, `rv-` and 12 hex digits, from (document, document_hash) rows."""
    return _identity("rv", _rows(documents, "document", "document_hash"))


def index_version_id(places: pl.DataFrame, chunker_version: str, embedding_version: str) -> str:
    """Return the identity of an index's content, `ix-` and 12 hex digits.

    Args:
        places: rows of (document, document_hash, chunk_id); order and repetition do not matter.
        chunker_version: rules the chunks were cut by.
        embedding_version: space the chunks are embedded in.
    """
    rows = _rows(places, "document", "document_hash", "chunk_id")
    return _identity("ix", [rows, chunker_version, embedding_version])


def _rows(frame: pl.DataFrame, *columns: str) -> list[tuple[str, ...]]:
    return frame.select(columns).unique().sort(columns).rows()


def _identity(kind: str, content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
