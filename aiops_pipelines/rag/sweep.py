"""Which way of cutting documents finds most: candidates, how each is measured, and whether to change.

The texts, vectors and token counts come from a resource. The test is `superiority`, the passages that hold an
answer are `passages`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.rag import ranking
from aiops_pipelines.rag.chunking import OVERLAPPING, SENTENCES, Chunking, chunk
from aiops_pipelines.rag.evaluation import retrieval_scores
from aiops_pipelines.rag.letters import Span
from aiops_pipelines.rag.passages import Passages, in_budget, overlap
from aiops_pipelines.rag.ranking import Vectors
from aiops_pipelines.rag.superiority import ALPHA, Gain, gains

CANDIDATES = (
    *(Chunking(size) for size in (300, 450, 600, 900, 1_200, 1_800)),
    *(Chunking(size, strategy) for strategy in (SENTENCES, OVERLAPPING) for size in (600, 1_200)),
)
MEASURES = ("answer_in_context", "ndcg_at_10", "recall_at_5")
CONTEXT_TOKENS = 1_000
FEWEST_QUERIES = 20
KEEP, CANNOT_TELL = "keep", "cannot tell"
IN_FORCE, BETTER, WORSE, UNDECIDED = "in force", "better", "worse", "undecided"


@dataclass(frozen=True)
class Cut:
    """Documents cut in one way: the distinct chunks, and every place each stands in."""

    chunking: Chunking
    texts: Mapping[str, str]
    places: Mapping[str, Sequence[tuple[str, Span]]]

    @classmethod
    def of(cls, documents: Mapping[str, str], chunking: Chunking) -> "Cut":
        """Cut documents, given as text by name."""
        texts: dict[str, str] = {}
        places: dict[str, list[tuple[str, Span]]] = {}
        for document, text in sorted(documents.items()):
            for piece in chunk(text, chunking):
                texts.setdefault(piece.chunk_id, piece.text)
                places.setdefault(piece.chunk_id, []).append((document, piece.span))
        return cls(chunking, texts, places)

    @cached_property
    def owners(self) -> tuple[list[str], list[int]]:
        """Each document with each of its distinct chunks, by the chunk's number."""
        pairs = [
            (name, at)
            for at, places in enumerate(self.places.values())
            for name in sorted({document for document, _ in places})
        ]
        return [name for name, _ in pairs], [at for _, at in pairs]


@dataclass(frozen=True)
class Asked:
    """What every candidate is asked: questions, judged documents, and the passages that hold the answers.

    `judgements` has the columns query_id, document and grade; a query without a passage is not judged by one.
    """

    query_ids: Sequence[str]
    queries: Vectors
    judgements: pl.DataFrame
    passages: Mapping[str, Passages]
    context_tokens: int = CONTEXT_TOKENS


def measured(cut: Cut, vectors: Vectors, tokens: NDArray[np.int64], asked: Asked) -> pl.DataFrame:
    """Return query_id and `MEASURES`, one row per query with a judged document in the corpus.

    answer_in_context: share of the answer's passages in the first `context_tokens` tokens found, the last
    chunk cut, so that every candidate is judged by the same amount of text. ndcg_at_10 and recall_at_5 rank
    documents by their best chunk, so k counts documents, whatever their chunks' size.

    Args:
        cut: the candidate.
        vectors: of its chunks, in their order.
        tokens: of its chunks, in their order.
        asked: the questions.
    """
    names, rows = cut.owners
    found = ranking.dense(names, vectors.rows(rows), asked.queries, 10)
    rankings = {
        query: [document for document, _ in one] for query, one in zip(asked.query_ids, found, strict=True)
    }
    scores = retrieval_scores("", cut.chunking.version, "dense", rankings, asked.judgements, set(names))
    held = _answers_in_context(cut, vectors, tokens, asked)
    schema = {"query_id": pl.String(), MEASURES[0]: pl.Float64()}
    answers = pl.DataFrame(list(held.items()), schema=schema, orient="row")
    return scores.select("query_id", *MEASURES[1:]).join(
        answers, on="query_id", how="left", maintain_order="left"
    )


def _answers_in_context(
    cut: Cut, vectors: Vectors, tokens: NDArray[np.int64], asked: Asked
) -> dict[str, float]:
    places = list(cut.places.values())
    held: dict[str, float] = {}
    for block in ranking.blocks(len(asked.query_ids), len(places)):
        scores = ranking.similarities(vectors, asked.queries.rows(block)).astype(np.float64).round(6)
        for row, at in enumerate(block):
            passages = asked.passages.get(asked.query_ids[at])
            if not passages:
                continue
            best = np.argsort(-scores[row], kind="stable").tolist()
            taken = in_budget(best, tokens, asked.context_tokens)
            held[asked.query_ids[at]] = overlap(passages, spans(places, taken)).recall
    return held


def spans(
    places: Sequence[Sequence[tuple[str, Span]]], taken: Iterable[tuple[int, float]]
) -> Iterable[tuple[str, Span]]:
    """Yield the places of chunks, given with the share of each that is taken."""
    for at, share in taken:
        for document, (start, end) in places[at]:
            yield document, (start, start + round(share * (end - start)))


@dataclass(frozen=True)
class Compared:
    """One measure of one candidate beside the chunking in force."""

    candidate: str
    measure: str
    mean: float
    gain: Gain | None
    standing: str


@dataclass(frozen=True)
class Judged:
    """What a sweep found: every comparison, the verdict and its reason."""

    rows: tuple[Compared, ...]
    verdict: str
    reason: str


def judged(current: Chunking, scores: Mapping[Chunking, pl.DataFrame], margin: float) -> Judged:
    """Compare every candidate with the chunking in force and say whether to change.

    A candidate is better in a measure where its gain is beyond chance, over all candidates and measures
    together (`superiority`), and is at least `margin` of the mean in force. Change to a candidate that is
    better in one measure and worse in none; to the one that gains most where there are several. So without
    any real difference "keep" is wrong in at most 5 % of sweeps.

    Args:
        current: the chunking in force, one of `scores`.
        scores: rows of `measured` by candidate, of the same queries.
        margin: smallest relative gain worth a change.
    """
    base = scores[current].sort("query_id")
    measures = [name for name in MEASURES if base[name].count() >= FEWEST_QUERIES]
    others = [candidate for candidate in scores if candidate != current]
    keys = [(candidate, name) for candidate in others for name in measures]
    aligned = {
        candidate: base.select("query_id").join(
            scores[candidate], on="query_id", how="left", maintain_order="left"
        )
        for candidate in others
    }
    found = gains([_floats(aligned[candidate][name]) - _floats(base[name]) for candidate, name in keys])
    rows = [Compared(current.version, name, _mean(base[name]), None, IN_FORCE) for name in measures]
    for (candidate, name), gain in zip(keys, found, strict=True):
        least = margin * _mean(base[name])
        standing = _standing(gain, least)
        mean = _mean(aligned[candidate][name])
        rows.append(Compared(candidate.version, name, mean, gain, standing))
    if not measures:
        why = f"Nothing can be told from {base.height} known queries; {FEWEST_QUERIES} are needed."
        return Judged((), CANNOT_TELL, why)
    return Judged(tuple(rows), *_decided(rows))


def _standing(gain: Gain, least: float) -> str:
    if gain.p_value >= ALPHA or gain.low <= 0 <= gain.high:
        return UNDECIDED
    if gain.mean < 0:
        return WORSE
    return BETTER if gain.mean >= least else UNDECIDED


def _decided(rows: Sequence[Compared]) -> tuple[str, str]:
    worse = {row.candidate for row in rows if row.standing == WORSE}
    better = [row for row in rows if row.standing == BETTER and row.candidate not in worse]
    for measure in MEASURES:
        leading = [row for row in better if row.measure == measure]
        if leading:
            best = max(leading, key=lambda row: row.mean)
            return f"change to {best.candidate}", f"It is better than what is in force: {_said(best)}."
    tried = [row for row in rows if row.gain]
    if not tried:
        return KEEP, "No other candidate was tried."
    lead = max((row for row in tried if row.measure == tried[0].measure), key=lambda row: row.mean)
    return KEEP, f"No candidate is shown to be better. The best one tried is {lead.candidate}: {_said(lead)}."


def _said(row: Compared) -> str:
    assert row.gain
    g = row.gain
    interval = f"95 % interval {g.low:+.3f} to {g.high:+.3f} over all candidates together"
    return f"{row.measure} {g.mean:+.3f} ({interval}) on {g.queries} known queries"


def _floats(values: pl.Series) -> NDArray[np.float64]:
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _mean(values: pl.Series) -> float:
    mean = values.mean()
    assert isinstance(mean, float)
    return mean
