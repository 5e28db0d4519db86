"""Rankings and judgements in TREC's two text formats, measured as trec_eval measures them.

So a ranking from anywhere can be scored. The measures themselves are `evaluation`'s; the files are opened by
the command line.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aiops_pipelines.rag.evaluation import hit, interval, ndcg, precision, recall, reciprocal_rank

CUTS = (5, 10)
CUT_MEASURES = {"precision": precision, "recall": recall, "hit": hit, "ndcg": ndcg}
QRELS_LINE = "query 0 document grade"
RUN_LINE = "query Q0 document rank score tag"


class TrecFileError(ValueError):
    """A line of a file breaks its format; the message names file, line and reason."""


@dataclass(frozen=True)
class Measured:
    """Scores by measure and query id, over the queries that are both judged and ranked.

    `unranked` are judged queries without a ranking, `unjudged` the other way round; neither is scored.
    """

    scores: dict[str, dict[str, float]]
    unranked: tuple[str, ...]
    unjudged: tuple[str, ...]

    def means(self) -> dict[str, tuple[float, float, float]]:
        """Return (mean, low, high) by measure, with the 95 % interval; empty without a scored query."""
        found = {name: np.array(list(by_query.values())) for name, by_query in self.scores.items()}
        return {name: (float(v.mean()), *interval(v)) for name, v in found.items() if len(v)}


def qrels(name: str, lines: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return grades by document by query from lines `query 0 document grade`.

    Raises:
        TrecFileError: a line has another form, or judges a document a second time.
    """
    judged: dict[str, dict[str, int]] = {}
    for number, (query, _, document, grade) in _fields(name, lines, QRELS_LINE):
        if document in judged.setdefault(query, {}):
            raise TrecFileError(f"{name}, line {number}: {document} is judged twice for query {query}.")
        try:
            judged[query][document] = int(grade)
        except ValueError as error:
            raise TrecFileError(f"{name}, line {number}: the grade {grade} is no whole number.") from error
    return judged


def run(name: str, lines: Iterable[str]) -> dict[str, list[str]]:
    """Return documents by query, best first, from lines `query Q0 document rank score tag`.

    As in trec_eval the score decides and the written rank does not; equal scores, at single precision, go by
    document, the last in byte order first.

    Raises:
        TrecFileError: a line has another form, a score is no number, or a document stands twice.
    """
    scored: dict[str, dict[str, float]] = {}
    for number, (query, _, document, _, score, _) in _fields(name, lines, RUN_LINE):
        if document in scored.setdefault(query, {}):
            raise TrecFileError(f"{name}, line {number}: {document} is ranked twice for query {query}.")
        scored[query][document] = _score(name, number, score)
    return {query: ranked(documents) for query, documents in scored.items()}


def ranked(scores: Mapping[str, float]) -> list[str]:
    """Return documents in trec_eval's order: `ranked({"a": 1.0, "b": 1.0, "c": 2.0})` is c, b, a."""
    return sorted(
        scores, key=lambda document: (np.float32(scores[document]), document.encode()), reverse=True
    )


def measured(
    judged: Mapping[str, Mapping[str, int]],
    rankings: Mapping[str, Sequence[str]],
    cuts: Sequence[int] = CUTS,
    complete: bool = False,
) -> Measured:
    """Score rankings: precision, recall, hit rate and nDCG at each cut, and the reciprocal rank over all.

    Args:
        judged: grades by document by query; 1 and more is relevant.
        rankings: documents by query, best first.
        cuts: lengths of the ranking to look at.
        complete: count a judged query without a ranking as 0, as `trec_eval -c` does.
    """
    unranked = tuple(sorted(judged.keys() - rankings.keys()))
    asked = sorted(judged if complete else judged.keys() & rankings.keys())
    scores: dict[str, dict[str, float]] = {
        f"{name}@{k}": {q: measure(rankings.get(q, ()), judged[q], k) for q in asked}
        for name, measure in CUT_MEASURES.items()
        for k in cuts
    }
    scores["mrr"] = {q: reciprocal_rank(r := rankings.get(q, ()), judged[q], len(r)) for q in asked}
    return Measured(scores, () if complete else unranked, tuple(sorted(rankings.keys() - judged.keys())))


def _fields(name: str, lines: Iterable[str], form: str) -> Iterator[tuple[int, list[str]]]:
    wanted = len(form.split())
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if fields and len(fields) != wanted:
            raise TrecFileError(f"{name}, line {number}: {len(fields)} fields; write `{form}`.")
        if fields:
            yield number, fields


def _score(name: str, number: int, text: str) -> float:
    try:
        score = float(text)
    except ValueError as error:
        raise TrecFileError(f"{name}, line {number}: the score {text} is no number.") from error
    if math.isnan(score):
        raise TrecFileError(f"{name}, line {number}: the score is not a number, so it has no place.")
    return score
