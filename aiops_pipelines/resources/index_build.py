"""What one index is to be built from: the chunks wanted, those that are new, and what changed in the corpus.

The warehouse is only read here; `index_book` writes.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from aiops_pipelines.rag import reindex
from aiops_pipelines.rag.changes import corpus_changes
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.rag.reindex_report import document_counts
from aiops_pipelines.resources.corpus_state import CorpusState, reader_version
from aiops_pipelines.resources.embedder import Embedder
from aiops_pipelines.resources.pace import Pace, Tell
from aiops_pipelines.resources.warehouse import Warehouse

_STANDING = """
    select distinct chunk_id from rag.index_chunks join rag.index_versions using (system, index_version)
    semi join wanted_rows using (chunk_id) where embedding_version = ?
"""
_MISSING = """
    select chunk_id from wanted_rows
    where chunk_id not in (select chunk_id from rag.embeddings where embedding_version = ?)
"""
_TEXTS = "select chunk_id, text from rag.chunks where system = ? and chunk_id in (select unnest(?))"
_TOLD = "select chunk_id, text from rag.chunks semi join wanted_rows using (chunk_id) where system = ?"
_OLD_PLACES = """
    select document, document_hash, chunk_id, position, own_text from rag.index_chunks
    where system = $1 and document in (select unnest($3)) and index_version =
        (select max(index_version) from rag.index_versions where system = $1 and revision = $2)
"""
_STOOD = """
    select document, document_hash, chunk_id, position, own_text from rag.index_chunks
    where system = ? and document in (select unnest(?))
    qualify index_version = max(index_version) over (partition by document, document_hash)
"""


@dataclass(frozen=True)
class Build:
    """One index to build: for whom, from what and how.

    `origin` is the revision the system had before, `base` the row of `rag.index_versions` that was cut from
    it by the same rules; both may be missing. With `anew` it is counted from, and its places
    are not used. `before` is what was cut for this state before some documents were held.
    """

    warehouse: Warehouse
    system: str
    state: CorpusState
    model: Embedder
    chunking: Chunking
    tell: Tell
    origin: str | None
    base: dict[str, Any] | None
    run: str | None = None
    anew: bool = False
    before: pl.DataFrame | None = None

    @property
    def space(self) -> str:
        """The embedding space to build in."""
        return self.model.space.version

    @cached_property
    def old(self) -> pl.DataFrame:
        """The places of the base."""
        version = self.base["index_version"] if self.base else ""
        places = self.warehouse.rows("rag.index_chunks", system=self.system, index_version=version)
        return places.select(reindex.MEMBERS)

    @cached_property
    def stood(self) -> pl.DataFrame:
        """The `rag.documents` rows of the origin."""
        return self.warehouse.rows("rag.documents", system=self.system, revision=self.origin or "")

    def wanted(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return every place of the index, and (chunk_id, text) of the chunks that were cut to know them."""
        told = self.warehouse.read(_TOLD, [self.system], wanted=self.cut.select("chunk_id").unique())
        fresh = reindex.with_own_texts(self.cut, told)
        places = pl.concat([self._known, fresh.select(reindex.MEMBERS)]).sort("document", "position")
        return places, fresh.select("chunk_id", "text").unique("chunk_id", keep="first")

    @cached_property
    def _known(self) -> pl.DataFrame:
        same_reader = self.base is not None and self.base["reader_version"] == reader_version()
        usable = same_reader and not self.anew
        return reindex.known_places(self.state.documents, self.old if usable else self.old.clear())

    @cached_property
    def cut(self) -> pl.DataFrame:
        """The places of the documents that the base does not know."""
        to_cut = self.state.documents.join(self._known, on="document", how="anti")
        before = reindex.PLACES.to_frame() if self.before is None else self.before
        done = before.join(to_cut, on=["document", "document_hash"], how="semi")
        rest = to_cut.join(done, on="document", how="anti")
        return pl.concat([done, reindex.wanted_chunks(self._texts(rest), self.chunking)])

    def new(self, wanted: pl.Series, texts: pl.DataFrame) -> tuple[int, pl.DataFrame]:
        """Return how many chunks no index of this space held before, and (chunk_id, text) of those to embed.

        A chunk that a killed run embedded is new and has its vector already.
        """
        distinct = candidates = pl.DataFrame({"chunk_id": wanted.unique()})
        if self.base and self.base["embedding_version"] == self.space:
            candidates = distinct.join(self.old, on="chunk_id", how="anti")
        standing = self.warehouse.read(_STANDING, [self.space], wanted=candidates)
        missing = self.warehouse.read(_MISSING, [self.space], wanted=distinct)
        cut = missing.join(texts, on="chunk_id")
        others = missing.join(cut, on="chunk_id", how="anti")["chunk_id"].to_list()
        stored = self.warehouse.read(_TEXTS, [self.system, others]) if others else texts.clear()
        return candidates.height - standing.height, pl.concat([cut, stored])

    def dropped(self, wanted: pl.DataFrame) -> int:
        """Return how many chunks of the index before are not wanted any more."""
        return self.old.join(wanted, on="chunk_id", how="anti")["chunk_id"].n_unique()

    def changes(self, revision: str | None) -> pl.DataFrame:
        """Return what changed since a revision; a first state has nothing to differ from."""
        names = ["document", "document_hash"]
        current = self.state.documents.select(names)
        previous = self._documents(revision).select(names) if revision else current
        gone = previous.join(current, on="document", how="anti").join(current, on="document_hash", how="anti")
        came = current.join(previous, on="document", how="anti")["document"].to_list() if gone.height else []
        old = self._old_texts(revision, gone["document"].to_list()) if came else {}
        new = self._new_texts(came) if came else {}  # put together from chunks, as those of the others are
        text = pl.col("document").replace_strict
        return corpus_changes(
            previous.with_columns(text=text(old, default=None, return_dtype=pl.String)),
            current.with_columns(text=text(new, default=None, return_dtype=pl.String)),
        )

    def _documents(self, revision: str) -> pl.DataFrame:
        if revision == self.origin:
            return self.stood
        return self.warehouse.rows("rag.documents", system=self.system, revision=revision)

    def _new_texts(self, documents: list[str]) -> dict[str, str]:
        cut = self.cut.filter(pl.col("document").is_in(documents))
        known = set(cut["document"])
        rest = [(document, "", self.state.text(document)) for document in documents if document not in known]
        if rest:
            cut = pl.concat([cut, reindex.wanted_chunks(rest, self.chunking)])
        texts = cut.group_by("document", maintain_order=True).agg(pl.col("text").str.join("\n\n"))
        return dict.fromkeys(documents, "") | dict(texts.iter_rows())

    def counts(self, changes: pl.DataFrame) -> tuple[Counter[str], int]:
        """Return the documents by kind of change since the origin, and how many renamed ones were edited."""
        documents = self.state.documents.height
        return document_counts(changes, documents) if self.origin else (Counter(added=documents), 0)

    def _texts(self, documents: pl.DataFrame) -> Iterator[tuple[str, str, str]]:
        pace = Pace("cut", "documents", documents.height, float(documents["characters"].sum()), self.tell)
        rows = documents.select("document", "document_hash", "characters").iter_rows()
        older = documents.filter(pl.col("document").is_in(list(self.state.standing)))
        texts = self._standing_texts(older) if older.height else {}
        for document, document_hash, characters in rows:  # what stands is not what the file says now
            yield document, document_hash, texts.get(document) or self.state.text(document)
            pace.step(1, characters)

    def _standing_texts(self, documents: pl.DataFrame) -> dict[str, str]:
        """Return the texts of versions that stand, from any index that holds them."""
        places = self.warehouse.read(_STOOD, [self.system, documents["document"].to_list()])
        return self._put_together(places.join(documents, on=["document", "document_hash"], how="semi"))

    def _old_texts(self, revision: str | None, documents: list[str]) -> dict[str, str]:
        return self._put_together(self.warehouse.read(_OLD_PLACES, [self.system, revision, documents]))

    def _put_together(self, places: pl.DataFrame) -> dict[str, str]:
        texts = self.warehouse.read(_TEXTS, [self.system, places["chunk_id"].unique().to_list()])
        whole = reindex.document_texts(places, texts)
        return dict(whole.select("document", "text").iter_rows())
