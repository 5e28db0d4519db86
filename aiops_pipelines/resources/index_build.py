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
    anti join (select chunk_id from rag.embeddings where embedding_version = ?) using (chunk_id)
"""
_TEXTS = "select chunk_id, text from rag.chunks where system = ? and chunk_id in (select unnest(?))"
_TOLD = "select chunk_id, text from rag.chunks semi join wanted_rows using (chunk_id) where system = ?"
_PLACES = f"select {', '.join(reindex.MEMBERS)} from rag.index_chunks where system = ? and index_version = ?"
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
    are not used. `whole` is the build of this state before some documents were held, all texts of which are
    embedded.
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
    whole: "Build | None" = None

    @property
    def space(self) -> str:
        """The embedding space to build in."""
        return self.model.space.version

    @cached_property
    def old(self) -> pl.DataFrame:
        """The places of the base."""
        if self.whole and self.whole.base == self.base:
            return self.whole.old
        return self.warehouse.read(_PLACES, [self.system, self.base["index_version"] if self.base else ""])

    @cached_property
    def stood(self) -> pl.DataFrame:
        """The `rag.documents` rows of the origin."""
        if self.whole and self.whole.origin == self.origin:
            return self.whole.stood
        return self.warehouse.rows("rag.documents", system=self.system, revision=self.origin or "")

    @cached_property
    def wanted(self) -> pl.DataFrame:
        """Every place of the index."""
        return pl.concat([self._known, self._fresh.select(reindex.MEMBERS)]).sort("document", "position")

    @cached_property
    def texts(self) -> pl.DataFrame:
        """(chunk_id, text) of the chunks that were cut to know what is wanted."""
        return self._fresh.select("chunk_id", "text").unique("chunk_id", keep="first")

    @property
    def untold(self) -> pl.DataFrame:
        """Those of them that are not stored yet."""
        return self.texts.join(self._told, on="chunk_id", how="anti")

    @cached_property
    def _fresh(self) -> pl.DataFrame:
        return reindex.with_own_texts(self.cut, self._told)

    @cached_property
    def _told(self) -> pl.DataFrame:
        """(chunk_id, text) of those of them that are stored, of more where these are known already."""
        if self.whole and self.cut.join(self.whole.cut, on="chunk_id", how="anti").is_empty():
            return self.whole._told
        return self.warehouse.read(_TOLD, [self.system], wanted=self.cut.select("chunk_id").unique())

    @cached_property
    def _known(self) -> pl.DataFrame:
        same_reader = self.base is not None and self.base["reader_version"] == reader_version()
        usable = same_reader and not self.anew
        return reindex.known_places(self.state.documents, self.old if usable else self.old.clear())

    @cached_property
    def cut(self) -> pl.DataFrame:
        """The places of the documents that the base does not know."""
        to_cut = self.state.documents.join(self._known, on="document", how="anti")
        before = self.whole.cut if self.whole else reindex.PLACES.to_frame()
        done = before.join(to_cut, on=["document", "document_hash"], how="semi")
        rest = to_cut.join(done, on="document", how="anti")
        return pl.concat([done, reindex.wanted_chunks(self._texts(rest), self.chunking)])

    @cached_property
    def chunks(self) -> pl.DataFrame:
        """(chunk_id) of the wanted chunks, each once."""
        return self.wanted.select("chunk_id").unique()

    def missing(self) -> pl.DataFrame:
        """Return (chunk_id, text) of the chunks to embed."""
        unsure = self.chunks
        if self.whole:
            unsure = self._unknown(unsure.join(self.whole.chunks, on="chunk_id", how="anti"))
        if unsure.is_empty():
            return self.texts.clear()
        missing = self.warehouse.read(_MISSING, [self.space], wanted=unsure)
        cut = missing.join(self.texts, on="chunk_id")
        others = missing.join(cut, on="chunk_id", how="anti")["chunk_id"].to_list()
        stored = self.warehouse.read(_TEXTS, [self.system, others]) if others else self.texts.clear()
        return pl.concat([cut, stored])

    def new(self) -> int:
        """Return how many chunks no index of this space held before.

        A chunk that a killed run embedded is new and has its vector already.
        """
        candidates = self._unknown(self.chunks)
        if candidates.is_empty():
            return 0
        standing = self.warehouse.read(_STANDING, [self.space], wanted=candidates)
        return candidates.height - standing.height

    def _unknown(self, chunks: pl.DataFrame) -> pl.DataFrame:
        """Return those of some chunks that the base does not hold with a vector of this space."""
        same_space = self.base and self.base["embedding_version"] == self.space
        return chunks.join(self.old, on="chunk_id", how="anti") if same_space else chunks

    def dropped(self) -> int:
        """Return how many chunks of the index before are not wanted any more."""
        return self.old.join(self.chunks, on="chunk_id", how="anti")["chunk_id"].n_unique()

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
        if self.base and revision == self.origin:
            return self._put_together(self.old.filter(pl.col("document").is_in(documents)))
        return self._put_together(self.warehouse.read(_OLD_PLACES, [self.system, revision, documents]))

    def _put_together(self, places: pl.DataFrame) -> dict[str, str]:
        texts = self.warehouse.read(_TEXTS, [self.system, places["chunk_id"].unique().to_list()])
        whole = reindex.document_texts(places, texts)
        return dict(whole.select("document", "text").iter_rows())
