"""Rankings and judgements in TREC's two text formats, measured as trec_eval measures them.

So a ranking from anywhere can be scored. The measures themselves are `metrics`; the files are opened by the
command line.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from aiops_pipelines.mendable import Mendable
from aiops_pipelines.rag.evaluation import interval
from aiops_pipelines.rag.metrics import QRELS, RUN, judged, measures

CUTS = (5, 10)
QRELS_LINE = "query 0 document grade"
RUN_LINE = "query Q0 document rank score tag"
LARGEST_GRADE = 2**31 - 1


class TrecFileError(Mendable, ValueError):
    """A line of a file breaks its format; the message names file, line and reason."""


@dataclass(frozen=True)
class Measured:
    """One row per scored query: query_id, precision@k, recall@k, hit@k and ndcg@k at each cut, and mrr.

    `unranked` are judged queries without a ranking, `unjudged` the other way round; neither is scored.
    """

    scores: pl.DataFrame
    unranked: tuple[str, ...]
    unjudged: tuple[str, ...]

    def means(self) -> dict[str, tuple[float, float, float]]:
        """Return (mean, low, high) by measure, with the 95 % interval; empty without a scored query."""
        found = {} if self.scores.is_empty() else self.scores.drop("query_id").to_dict()
        return {name: (float(v.to_numpy().mean()), *interval(v.to_numpy())) for name, v in found.items()}


def qrels(name: str, lines: Iterable[str]) -> pl.DataFrame:
    """Return judgements (`metrics.QRELS`) from lines `query 0 document grade`.

    Raises:
        TrecFileError: a line has another form, or judges a document a second time.
    """
    truth: dict[str, dict[str, int]] = {}
    for number, (query, _, document, grade) in _fields(name, lines, QRELS_LINE):
        grades = truth.setdefault(query, {})
        if document in grades:
            raise TrecFileError(f"{name}, line {number}: {document} is judged twice for query {query}.")
        grades[document] = _grade(name, number, grade)
    return _frame(truth, QRELS)


def run(name: str, lines: Iterable[str]) -> pl.DataFrame:
    """Return a run (`metrics.RUN`) from lines `query Q0 document rank score tag`.

    As in trec_eval the score decides and the written rank is not read.

    Raises:
        TrecFileError: a line has another form, a score is no number, or a document stands twice.
    """
    ranked: dict[str, dict[str, float]] = {}
    for number, (query, _, document, _, score, _) in _fields(name, lines, RUN_LINE):
        scores = ranked.setdefault(query, {})
        if document in scores:
            raise TrecFileError(f"{name}, line {number}: {document} is ranked twice for query {query}.")
        scores[document] = _score(name, number, score)
    return _frame(ranked, RUN)


def measured(
    truth: pl.DataFrame, ranking: pl.DataFrame, cuts: Sequence[int] = CUTS, complete: bool = False
) -> Measured:
    """Score rankings: precision, recall, hit rate and nDCG at each cut, and the reciprocal rank over all.

    Args:
        truth: columns as `metrics.QRELS`; a grade of 1 and more is relevant.
        ranking: columns as `metrics.RUN`.
        cuts: lengths of the ranking to look at.
        complete: count a judged query without a ranking as 0, as `trec_eval -c` does.
    """
    asked, known = set(ranking["query_id"]), set(truth["query_id"])
    unranked = tuple(sorted(known - asked))
    scores = measures(judged(ranking, truth), cuts)
    if complete:
        missing = pl.DataFrame({"query_id": unranked}, schema={"query_id": pl.String})
        scores = pl.concat([scores, missing], how="diagonal").fill_null(0.0).sort("query_id")
    named = scores.rename(lambda column: column.replace("_at_", "@").replace("reciprocal_rank", "mrr"))
    return Measured(named, () if complete else unranked, tuple(sorted(asked - known)))


def _fields(name: str, lines: Iterable[str], form: str) -> Iterator[tuple[int, list[str]]]:
    wanted = len(form.split())
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if fields and len(fields) != wanted:
            raise TrecFileError(f"{name}, line {number}: {len(fields)} fields; write `{form}`.")
        if fields:
            yield number, fields


def _frame(rows: Mapping[str, Mapping[str, float]], schema: pl.Schema) -> pl.DataFrame:
    queries = [query for query, row in rows.items() for _ in row]
    names = [name for row in rows.values() for name in row]
    values = [value for row in rows.values() for value in row.values()]
    return pl.DataFrame(dict(zip(schema, (queries, names, values), strict=True)), schema=schema)


def _grade(name: str, number: int, text: str) -> int:
    try:
        grade = int(text)
    except ValueError as error:
        raise TrecFileError(f"{name}, line {number}: the grade {text} is no whole number.") from error
    if abs(grade) > LARGEST_GRADE:
        raise TrecFileError(f"{name}, line {number}: the grade {text} is beyond {LARGEST_GRADE}.")
    return grade


def _score(name: str, number: int, text: str) -> float:
    try:
        score = float(text)
    except ValueError as error:
        raise TrecFileError(f"{name}, line {number}: the score {text} is no number.") from error
    if math.isnan(score):
        raise TrecFileError(f"{name}, line {number}: the score is not a number, so it has no place.")
    return score
