"""The passages of a document that hold an answer, and how much of them retrieved context holds.

Passages are spans of letters (`letters`) of the documents, so the same ones judge every way of cutting.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.rag.letters import Span, letters, shared, union
from aiops_pipelines.rag.words import words

Passages = Mapping[str, Sequence[Span]]
"""Spans by document."""

LEAST_NEW = 0.1
"""Share of the answer's word pairs that a sentence has to add to be a passage of it."""
LEAST_FOUND = 0.5
"""Share of the answer's word pairs that the passages must hold together; below, nothing is marked."""

_SENTENCES = re.compile(r"(?<=[.!?])\s|(?<=[\u3002\uff01\uff1f])|\n")


@dataclass(frozen=True)
class Overlap:
    """Letters of marked passages, of retrieved text, and of both; retrieved text counts as often as it came.

    The measures are those of B. Smith and A. Troynikov, "Evaluating Chunking Strategies for Retrieval",
    Chroma Technical Report, 2024, counted in letters where they count tokens.
    """

    marked: int
    retrieved: int
    both: int

    @property
    def recall(self) -> float:
        """Share of the marked text that was retrieved."""
        return self.both / self.marked

    @property
    def precision(self) -> float:
        """Share of the retrieved text that is marked; 0 where nothing was retrieved."""
        return self.both / self.retrieved if self.retrieved else 0.0

    @property
    def iou(self) -> float:
        """Text that is both over text that is either: 30 marked, 50 retrieved, 20 both give 20 / 60."""
        return self.both / (self.marked + self.retrieved - self.both)


def overlap(marked: Passages, retrieved: Iterable[tuple[str, Span]]) -> Overlap:
    """Return how marked passages and retrieved spans of documents meet."""
    pieces: dict[str, list[Span]] = {}
    total = 0
    for document, span in retrieved:
        total += span[1] - span[0]
        if document in marked:
            pieces.setdefault(document, []).append(span)
    both = sum(shared(marked[document], spans) for document, spans in pieces.items())
    return Overlap(sum(b - a for spans in marked.values() for a, b in union(spans)), total, both)


def in_budget(ranked: Sequence[int], tokens: NDArray[np.int64], budget: int) -> list[tuple[int, float]]:
    """Return the chunks of a ranking that fit into a budget of tokens, each with the share that fits.

    The last one is cut, so that every ranking gives the reader the same amount of text: 300, 500 and 400
    tokens in a budget of 1,000 give the first two whole and half of the third.
    """
    taken: list[tuple[int, float]] = []
    left = budget
    for at in ranked:
        size = int(tokens[at])
        if left <= 0:
            break
        taken.append((at, min(1.0, left / size) if size else 1.0))
        left -= size
    return taken


class Sentences:
    """The sentences of documents, by which answers are found in them; each document is cut once."""

    def __init__(self, texts: Mapping[str, str]):
        self._texts = texts
        self._cut: dict[str, list[tuple[Span, frozenset[tuple[str, str]]]]] = {}

    def passages(self, answer: str, documents: Iterable[str]) -> dict[str, list[Span]]:
        """Return the sentences of some documents that hold an answer, or none where half of it is not there.

        Sentence by sentence, the one with most of the answer's word pairs that are not found yet, as long as
        it adds a tenth. "Refunds take five days." has the pairs refunds-take, take-five, five-days; of
        "A refund is paid. Refunds take five days." the second sentence is the passage.
        """
        wanted = _pairs(answer)
        at = [(name, *one) for name in documents if name in self._texts for one in self._sentences(name)]
        missing, found = set(wanted), dict[str, list[Span]]()
        while missing and at:
            document, span, held = max(at, key=lambda one: len(one[2] & missing))
            if len(held & missing) < max(1, LEAST_NEW * len(wanted)):
                break
            found.setdefault(document, []).append(span)
            missing -= held
        enough = wanted and 1 - len(missing) / len(wanted) >= LEAST_FOUND
        return {document: union(spans) for document, spans in found.items()} if enough else {}

    def _sentences(self, document: str) -> list[tuple[Span, frozenset[tuple[str, str]]]]:
        if document not in self._cut:
            cut, start = [], 0
            for sentence in _SENTENCES.split(self._texts[document]):
                end = start + len(letters(sentence))
                cut.append(((start, end), _pairs(sentence)))
                start = end
            self._cut[document] = cut
        return self._cut[document]


def reference_contexts(
    questions: pl.DataFrame, judgements: pl.DataFrame, corpus: pl.DataFrame
) -> dict[str, list[str]]:
    """Return by query the texts of the chunks that hold its reference answer, where there are any.

    Args:
        questions: columns query_id and reference_answer, which may be null.
        judgements: columns query_id, document and grade; only documents of a grade above 0 are looked at.
        corpus: columns document, chunk_id and text of an index.
    """
    texts = dict(corpus.select("chunk_id", "text").iter_rows())
    right = judgements.filter(pl.col("grade") > 0).join(corpus, on="document").sort("document", "chunk_id")
    held = dict(right.group_by("query_id", maintain_order=True).agg("chunk_id").iter_rows())
    sentences, found = Sentences(texts), dict[str, list[str]]()
    for query, answer in questions.select("query_id", "reference_answer").iter_rows():
        chunks = sentences.passages(answer or "", dict.fromkeys(held.get(query, ())))
        if chunks:
            found[query] = [texts[chunk] for chunk in chunks]
    return found


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    return frozenset(pairwise(words(text)))
