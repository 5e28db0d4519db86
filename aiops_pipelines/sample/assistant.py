"""A stand-in for a language model: it answers with sentences of what was really retrieved.

A careless model (`care` below 1) now and then answers from a passage nobody gave it, with figures changed,
which is what a hallucination looks like to a metric.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOP_K = 4
REFUSAL = "I could not find this in the documentation."
REFUSE_BELOW = 0.22
"""Cosine of the best chunk below which the assistant says it found nothing."""

SHORT = 60
"""Characters up to which one sentence is too little for an answer."""
WAVERS = 0.03
"""Chance to answer the same question otherwise, as real models do."""


@dataclass(frozen=True)
class ServedIndex:
    """An index as the application serves it: chunk i is `texts[i]` with unit vector `vectors[i]`."""

    version: str
    chunk_ids: Sequence[str]
    documents: Sequence[str]
    texts: Sequence[str]
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class Retrieved:
    """One retrieved chunk."""

    chunk_id: str
    document: str
    score: float
    text: str


@dataclass(frozen=True)
class Answer:
    """What the assistant says, with what it was given."""

    text: str
    status: str
    retrieved: tuple[Retrieved, ...]
    careful: bool


def sentences(text: str) -> list[str]:
    """Split a chunk into sentences of at least four words, without Markdown marks."""
    plain = re.sub(r"[#*`>|]+", " ", text)
    parts = re.split(r"(?<=[.!?])\s+|\n{2,}|\n[-+]\s+", plain)
    return [clean for part in parts if len((clean := " ".join(part.split())).split()) >= 4]


def search(index: ServedIndex, query: NDArray[np.float32], k: int = TOP_K) -> tuple[Retrieved, ...]:
    """Return the k chunks nearest to a unit query vector by cosine, best first."""
    scores = index.vectors @ query
    best = np.lexsort((np.array(index.chunk_ids), -scores))[:k]
    return tuple(
        Retrieved(index.chunk_ids[i], index.documents[i], round(float(scores[i]), 4), index.texts[i])
        for i in best
    )


class Assistant:
    """Answers questions from one served index."""

    def __init__(self, index: ServedIndex, vectors: Mapping[str, NDArray[np.float32]]):
        self.index = index
        self._vectors = vectors

    def answer(self, question: str, care: float, random: np.random.Generator) -> Answer:
        """Answer a question whose vector, like every sentence's, is in the given mapping."""
        query = self._vectors[question]
        retrieved = search(self.index, query)
        careful = bool(random.random() < care)
        if retrieved[0].score < REFUSE_BELOW:
            return Answer(REFUSAL, "refused", retrieved, careful)
        if not careful:
            return Answer(self._careless(random), "ok", retrieved, careful)
        ranked = self._ranked([line for chunk in retrieved for line in sentences(chunk.text)], query)
        take = 1 if len(ranked[0]) > SHORT else 2
        if random.random() < WAVERS and len(ranked) > take:
            ranked = ranked[1:]
        return Answer(" ".join(ranked[:take]), "ok", retrieved, careful)

    def _ranked(self, lines: Sequence[str], query: NDArray[np.float32]) -> list[str]:
        distinct = list(dict.fromkeys(lines))
        scores = np.stack([self._vectors[line] for line in distinct]) @ query
        return [distinct[i] for i in np.argsort(-scores, kind="stable")]

    def _careless(self, random: np.random.Generator) -> str:
        lines: list[str] = []
        while not lines:
            lines = sentences(self.index.texts[int(random.integers(len(self.index.texts)))])
        line = lines[int(random.integers(len(lines)))]
        return re.sub(r"\d+", lambda digits: str(int(digits[0]) + int(random.integers(1, 9))), line)
