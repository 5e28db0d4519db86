"""Changed documents looked at before they are served: what betrays one, where it comes from, who decided.

What betrays a document is `rag.poison` and `rag.crowding`; here the new index is asked. What is held is
released in `quarantine`.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.rag import crowding, ranking
from aiops_pipelines.rag.known_queries import in_force
from aiops_pipelines.rag.legible import foreign
from aiops_pipelines.rag.poison import GONE, HELD, NOTED, Sign, judged, text_signs
from aiops_pipelines.resources.corpus_state import CorpusState
from aiops_pipelines.resources.index_build import Build
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.resources.vectors import column_of
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.writer import Writer

FINDINGS, QUESTIONS = "rag.document_findings", "rag.question_vectors"
HOLDING = "It is held for review:"
_ALL_VECTORS = "select * from rag.embeddings where embedding_version = ?"
_VECTORS = "select * from rag.embeddings semi join wanted_rows using (chunk_id) where embedding_version = ?"
_HOW_MANY = "select count(*) as vectors from rag.embeddings where embedding_version = ?"
_ASKED = (
    "select * from rag.question_vectors where embedding_version = ? and question_hash in (select unnest(?))"
)


@dataclass(frozen=True)
class Screened:
    """What was found: rows of `rag.document_findings`, those of before included where they still hold.

    `known` are all rows of before.
    """

    findings: pl.DataFrame
    known: pl.DataFrame
    embedded: int = 0

    def held(self) -> dict[str, str]:
        """Return the documents that must not be served yet, each with the reason."""
        rows = self.findings.filter(status=HELD).select("system", "document", "evidence")
        return {
            document: f"{HOLDING} {evidence} To serve it: aiops quarantine release {system} "
            f"{document!r} --by NAME --reason TEXT."
            for system, document, evidence in rows.iter_rows()
        }


def screen(build: Build, now: datetime, embedded: int) -> Screened:
    """Look at the documents that are new or edited since the state before; a first state is only noted.

    Args:
        build: the index to be built, all of it embedded.
        now: UTC-aware.
        embedded: texts embedded for it.
    """
    table = build.warehouse.tables[FINDINGS]
    known = build.warehouse.rows(FINDINGS, system=build.system)
    changed = _changed(build)
    again = known.join(changed, on=["document", "document_hash"], how="semi")
    unseen = changed.join(again, on=["document", "document_hash"], how="anti")
    look = _Look(build, now, unseen)
    rows = []
    for document, document_hash in unseen.iter_rows():
        signs = look.signs(document)
        status = judged(signs)
        if status and not build.origin:
            status = NOTED
        if status:
            rows.append(look.row(document, document_hash, signs, status))
    found = pl.DataFrame(rows, schema=table.schema, infer_schema_length=None)
    return Screened(pl.concat([again.filter(status=HELD), found]), known, embedded)


def record(
    writer: Writer,
    tables: Mapping[str, Table],
    system: str,
    state: CorpusState,
    screened: Screened | None,
    now: datetime,
) -> None:
    """Write what was found; a finding whose document moved on while it was held is gone."""
    sql = f"select * from {FINDINGS} where system = ?"
    known = screened.known if screened else writer.read(sql, [system])
    new = screened.findings if screened else tables[FINDINGS].empty()
    kept = known.join(new, on=["document", "document_hash"], how="anti")
    held = [file.document for file in state.skipped if file.reason.startswith(HOLDING)]
    moved_on = (pl.col("status") == HELD) & ~(
        pl.col("document").is_in(held) & ~pl.col("document").is_in(new["document"].to_list())
    )
    gone = kept.with_columns(
        status=pl.when(moved_on).then(pl.lit(GONE)).otherwise("status"),
        decided_at=pl.when(moved_on).then(pl.lit(now)).otherwise("decided_at"),
    )
    if new.height or not gone.equals(known):
        writer.replace(FINDINGS, pl.concat([gone, new]), system=system)


def _changed(build: Build) -> pl.DataFrame:
    names = ["document", "document_hash"]
    return build.state.documents.select(names).join(build.stood, on="document_hash", how="anti")


class _Look:
    """One new index under the eyes of its questions, which are asked when the first document needs them."""

    def __init__(self, build: Build, now: datetime, changed: pl.DataFrame):
        self._build, self._now = build, now
        pieces = build.wanted.select("document", "chunk_id").join(changed, on="document", how="semi")
        fresh = pieces.join(build.old, on=["document", "chunk_id"], how="anti", maintain_order="left")
        read = fresh.join(build.texts, on="chunk_id", maintain_order="left")
        self._fresh = dict(read.group_by("document", maintain_order=True).agg("text").iter_rows())

    def signs(self, document: str) -> list[Sign]:
        """Return what betrays a changed document; only what is new in it is read."""
        found = text_signs(self._fresh.get(document, ()))
        if self._asked:
            asked, before, after = self._asked
            told = [
                crowding.crowding(self._seen(document), self._sizes, document),
                crowding.takeover(asked, before, after, document),
            ]
            found += [sign for sign in told if sign]
        return found

    def row(
        self, document: str, document_hash: str, signs: Sequence[Sign], status: str
    ) -> Mapping[str, object]:
        """Return the finding, with where the document comes from."""
        state, old = self._build.state, self._build.old.filter(document=document)
        of = state.documents.filter(document=document).row(0, named=True)
        seen = self._seen(document) if self._asked else None
        return {
            **{"system": self._build.system, "document": document, "document_hash": document_hash},
            **{"status": status, "change": "edited" if old.height else "added"},
            **{"signs": [sign.kind for sign in signs], "evidence": " ".join(sign.evidence for sign in signs)},
            "share_before": seen and seen.before.get(document, 0.0),
            "share_after": seen and seen.after.get(document, 0.0),
            "topics": seen and seen.topics,
            "previous_hash": old["document_hash"][0] if old.height else None,
            **{"modified_at": of["modified_at"], "source_version": of["source_version"]},
            **{"author": state.author(document), "found_at": self._now, "found_by": self._build.run},
            **{"decided_by": None, "decided_at": None, "decision_reason": None},
        }

    @cached_property
    def _sizes(self) -> dict[str, int]:
        before, after = (Counter(places["document"].to_list()) for places in self._both)
        return {**before, **after}

    @property
    def _both(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The places of the index before and of the new one."""
        return self._build.old, self._build.wanted

    def _seen(self, document: str) -> crowding.Seen:
        return self._known_and_foreign[document in self._foreign]

    @cached_property
    def _known_and_foreign(self) -> tuple[crowding.Seen, crowding.Seen]:
        assert self._asked
        return crowding.seen(*self._asked, foreign=False), crowding.seen(*self._asked, foreign=True)

    @cached_property
    def _foreign(self) -> set[str]:
        """The documents in a language that the model does not know."""
        documents, known = self._build.state.documents, self._build.model.languages
        return set() if known is None else set(foreign(documents, known)["document"])

    @cached_property
    def _asked(self) -> tuple[list[crowding.Topic], list[ranking.Ranking], list[ranking.Ranking]] | None:
        """The topics, ranked by the index before and by the new one; None where there are too few."""
        build, rows = self._build, self._build.warehouse.rows
        if not build.base or build.base["embedding_version"] != build.space:
            return None
        of = {"system": build.system}
        known, truth = in_force(rows("rag.known_queries", **of), rows("rag.judgements", **of), self._now)
        titles = dict(build.stood.sort("document").select("document", "title").iter_rows())
        asked = crowding.topics(known, truth, titles)
        if len(asked) < crowding.LEAST_TOPICS:
            return None
        each = pl.concat(self._both).select("chunk_id", document="chunk_id").unique()
        chunks, vectors = ranking.chunk_matrix(each, _vectors(build, each))
        queries = question_vectors(build, [topic.question for topic in asked])
        before, after = ranking.dense_of_each(self._both, chunks, vectors, queries, crowding.DEPTH)
        return asked, before, after


def _vectors(build: Build, chunks: pl.DataFrame) -> pl.DataFrame:
    """Return the vectors of some chunks, and others where few are: looking for each takes as long again."""
    read, space = build.warehouse.read, [build.space]
    if 2 * chunks.height >= read(_HOW_MANY, space)["vectors"][0]:
        return read(_ALL_VECTORS, space)
    return read(_VECTORS, space, wanted=chunks)


def question_vectors(build: Build, questions: Sequence[str]) -> ranking.Vectors:
    """Return the vectors of the questions an index is watched with; each is embedded once in each space."""
    hashes = [hashlib.sha256(question.encode()).hexdigest()[:20] for question in questions]
    kept = build.warehouse.read(_ASKED, [build.space, hashes])
    vectors = dict(zip(kept["question_hash"], ranking.matrix_of(kept["vector"]), strict=True))
    new = {h: question for h, question in zip(hashes, questions, strict=True) if h not in vectors}
    if new:
        made = build.model.embed_queries(list(new.values())).matrix
        _keep(build.warehouse, build.space, list(new), made)
        vectors |= zip(new, made, strict=True)
    return ranking.Vectors(build.space, np.array([vectors[h] for h in hashes], dtype=np.float32))


def _keep(warehouse: Warehouse, space: str, hashes: Sequence[str], made: NDArray[np.float32]) -> None:
    rows = {"question_hash": hashes, "vector": column_of(made)}
    frame = pl.DataFrame(rows).with_columns(embedding_version=pl.lit(space))
    with warehouse.writing() as writer:
        writer.append_new(QUESTIONS, frame, ["embedding_version", "question_hash"])
