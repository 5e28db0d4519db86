"""The index of each system in the warehouse, brought up to date with its corpus.

What is wanted, new or different is decided in `rag`; here it is read, embedded and written, an index as a
whole or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from aiops_pipelines.periods import EPOCH, midnight
from aiops_pipelines.rag import reindex
from aiops_pipelines.rag.changes import corpus_changes
from aiops_pipelines.rag.chunking import BY_STRUCTURE, Chunking
from aiops_pipelines.rag.versions import index_version_id, revision_id
from aiops_pipelines.resources import documents as corpora
from aiops_pipelines.resources.embedder import Embedder
from aiops_pipelines.resources.warehouse import Warehouse

FIRST_SIGHT = midnight(EPOCH)
"""A plain folder has no history: its first state is taken to have stood since before the logs began."""


@dataclass(frozen=True)
class Update:
    """What an update did: the new row of `rag.index_versions`, if any, and the files set aside."""

    index: pl.DataFrame
    skipped: tuple[corpora.Skipped, ...]


class IndexBook:
    """The indexes of one installation."""

    def __init__(self, warehouse: Warehouse):
        self._warehouse = warehouse
        self._tables = warehouse.tables

    def update(
        self,
        system: str,
        snapshot: corpora.Snapshot,
        now: datetime,
        model: Embedder,
        chunking: Chunking = BY_STRUCTURE,
    ) -> Update:
        """Bring the index up to date with one state of the corpus; nothing is read when no file moved.

        It is built in the space of `model` from chunks cut by `chunking`; an index of the same state in
        another space or by other rules does not count as built.

        Raises:
            CorpusError: no document can be read; the index stays as it is.
            EmbedderError: the model cannot be used.
        """
        listing = corpora.fingerprint(snapshot.folder)
        nothing = self._tables["rag.index_versions"].empty()
        history = self._warehouse.rows("rag.corpus_revisions", system=system).sort("valid_from")
        seen = history.filter(label=snapshot.label).tail(1)
        built = seen.height and self._built(system, seen["revision"][0], model, chunking)
        if built and seen["listing"][0] == listing:
            return Update(nothing, self._set_aside(system, seen["revision"][0]))
        read, skipped = corpora.read(snapshot.folder)
        if not read:
            raise corpora.CorpusError(
                f"No document of {snapshot.label} can be read; the index stays as it is."
            )
        documents = self._documents(read)
        revision = revision_id(documents)
        if built and seen["revision"][0] == revision:  # touched, not changed
            touched = seen.with_columns(listing=pl.lit(listing))
            keys = {"system": system, "revision": revision, "label": snapshot.label}
            self._warehouse.replace("rag.corpus_revisions", touched, **keys)
            return Update(nothing, tuple(skipped))
        valid_from = snapshot.valid_from or (now if history.height else FIRST_SIGHT)
        if seen.height and seen["revision"][0] == revision:  # the same state, built anew otherwise
            valid_from = seen["valid_from"][0]
        state = (system, revision, snapshot.label, valid_from, documents.height, len(skipped), listing)
        before = history.filter(pl.col("valid_from") < valid_from)
        index = self._write(state, before, documents, read, skipped, now, model, chunking)
        return Update(index, tuple(skipped))

    def _built(self, system: str, revision: str, model: Embedder, chunking: Chunking) -> bool:
        keys = {"chunker_version": chunking.version, "embedding_version": model.space.version}
        return self._warehouse.rows("rag.index_versions", system=system, revision=revision, **keys).height > 0

    def _write(
        self,
        state: tuple[str, str, str, datetime, int, int, str],
        before: pl.DataFrame,
        documents: pl.DataFrame,
        read: Sequence[corpora.Document],
        skipped: Sequence[corpora.Skipped],
        now: datetime,
        model: Embedder,
        chunking: Chunking,
    ) -> pl.DataFrame:
        system, revision, label, valid_from, *_ = state
        wanted = reindex.wanted_chunks(((d.document, d.document_hash, d.text) for d in read), chunking)
        space = model.space
        sql = "select chunk_id from rag.embeddings where embedding_version = ?"
        missing = reindex.plan(wanted, self._warehouse.read(sql, [space.version])["chunk_id"])
        embed = model.as_llama_index().get_text_embedding_batch
        vectors = pl.Series(
            embed(missing["text"].to_list()) if missing.height else [], dtype=pl.List(pl.Float32)
        )
        embedded = missing.select("chunk_id").with_columns(
            embedding_version=pl.lit(space.version), vector=vectors
        )
        version = index_version_id(wanted, chunking.version, space.version)
        sizes = (documents.height, wanted["chunk_id"].n_unique(), missing.height)
        index = self._row(
            "rag.index_versions",
            (system, version, revision, valid_from, chunking.version, space.version, *sizes, now),
        )
        registered = (space.version, space.provider, space.model, space.weights_hash, space.dimension)
        changes = self._changes(system, before, documents, read)
        of = {"system": pl.lit(system), "revision": pl.lit(revision)}
        aside = [(system, revision, file.document, file.reason) for file in skipped]
        with self._warehouse.writing() as writer:
            writer.delete("rag.corpus_revisions", system=system, revision=revision, valid_from=valid_from)
            if label != corpora.PLAIN:  # a dated snapshot that was edited in place has one state, the latest
                writer.delete("rag.corpus_revisions", system=system, label=label)
            writer.append("rag.corpus_revisions", self._row("rag.corpus_revisions", state))
            keys = {"system": system, "revision": revision}
            writer.replace("rag.documents", documents.with_columns(**of), **keys)
            writer.replace("rag.skipped_documents", self._row("rag.skipped_documents", *aside), **keys)
            dated = changes.with_columns(**of, valid_from=pl.lit(valid_from))
            writer.replace("rag.corpus_changes", dated, **keys)
            writer.append_new("rag.chunks", reindex.chunks(system, wanted, chunking), ["system", "chunk_id"])
            writer.append_new("rag.embeddings", embedded, ["chunk_id", "embedding_version"])
            known_space = self._row(
                "rag.embedding_versions", (*registered, space.normalised, space.prefix, now)
            )
            writer.append_new("rag.embedding_versions", known_space, ["embedding_version"])
            places = reindex.index_chunks(system, version, wanted)
            writer.replace("rag.index_chunks", places, system=system, index_version=version)
            writer.replace("rag.index_versions", index, **keys, index_version=version)
        return index

    def _changes(
        self, system: str, before: pl.DataFrame, documents: pl.DataFrame, read: Sequence[corpora.Document]
    ) -> pl.DataFrame:
        current = documents.select("document", "document_hash").with_columns(
            text=pl.Series([document.text for document in read], dtype=pl.String)
        )
        if before.is_empty():
            return corpus_changes(current, current)  # a first revision has nothing to differ from
        keys = {"system": system, "revision": before["revision"][-1]}
        version = self._warehouse.rows("rag.index_versions", **keys)["index_version"][-1]
        places = self._warehouse.rows("rag.index_chunks", system=system, index_version=version)
        texts = self._warehouse.rows("rag.chunks", system=system)
        return corpus_changes(reindex.document_texts(places, texts), current)

    def _set_aside(self, system: str, revision: str) -> tuple[corpora.Skipped, ...]:
        rows = self._warehouse.rows("rag.skipped_documents", system=system, revision=revision)
        return tuple(corpora.Skipped(*row) for row in rows.select("document", "reason").iter_rows())

    def _documents(self, read: Sequence[corpora.Document]) -> pl.DataFrame:
        rows = [(d.document, d.document_hash, d.title, d.format, len(d.text)) for d in read]
        columns = ["document", "document_hash", "title", "format", "characters"]
        return pl.DataFrame(rows, schema=columns, orient="row")

    def _row(self, table: str, *rows: tuple[object, ...]) -> pl.DataFrame:
        return pl.DataFrame(list(rows), schema=self._tables[table].schema, orient="row")
