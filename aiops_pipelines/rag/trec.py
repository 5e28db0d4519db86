"""Rankings and judgements in TREC's two text formats, measured as trec_eval measures them.

So a ranking from anywhere can be scored. The measures themselves are `metrics`; the files are opened by the
command line.
"""

import codecs
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from aiops_pipelines.mendable import Mendable
from aiops_pipelines.rag.evaluation import interval
from aiops_pipelines.rag.metrics import QRELS, RUN, judged, measures

CUTS = (5, 10)
QRELS_LINE = "query 0 document grade"
RUN_LINE = "query Q0 document rank score tag"
LARGEST_GRADE = 2**31 - 1
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII
)
"""What C reads as a number; Python would also take 1_0 and the digits of other scripts."""


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


def qrels(name: str, data: bytes) -> pl.DataFrame:
    """Return judgements (`metrics.QRELS`) from a file's lines `query 0 document grade`.

    Raises:
        TrecFileError: a line has another form, is not UTF-8, or judges a document a second time.
    """
    truth: dict[str, dict[str, int]] = {}
    for number, (query, _, document, grade) in _fields(name, data, QRELS_LINE):
        grades = truth.setdefault(query, {})
        if document in grades:
            raise TrecFileError(f"{name}, line {number}: {document} is judged twice for query {query}.")
        grades[document] = _grade(name, number, grade)
    return _frame(truth, QRELS)


def run(name: str, data: bytes) -> pl.DataFrame:
    """Return a run (`metrics.RUN`) from a file's lines `query Q0 document rank score tag`.

    As in trec_eval the score decides and the written rank is not read.

    Raises:
        TrecFileError: a line has another form or is not UTF-8, a score is no number, or a document
            stands twice.
    """
    ranked: dict[str, dict[str, float]] = {}
    for number, (query, _, document, _, score, _) in _fields(name, data, RUN_LINE):
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


def _fields(name: str, data: bytes, form: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each line's number and fields, which ASCII white space alone parts, as in trec_eval.

    An id may hold any other space. Nothing is replaced, or two ids could become one.
    """
    if data.startswith(b"\x1f\x8b"):
        raise TrecFileError(f"{name} is compressed; unpack it first: gunzip {name}")
    wanted = len(form.split())
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).splitlines(), start=1):
        try:
            fields = [field.decode() for field in line.split()]
        except UnicodeDecodeError as error:
            raise _not_utf_8(name, number) from error
        if b"\0" in line:  # ASCII text in UTF-16
            raise _not_utf_8(name, number)
        if fields and len(fields) != wanted:
            raise TrecFileError(f"{name}, line {number}: {len(fields)} fields; write `{form}`.")
        if fields:
            yield number, fields


def _not_utf_8(name: str, number: int) -> TrecFileError:
    return TrecFileError(f"{name}, line {number}: the text is not UTF-8; convert the file to UTF-8.")


def _frame(rows: Mapping[str, Mapping[str, float]], schema: pl.Schema) -> pl.DataFrame:
    queries = [query for query, row in rows.items() for _ in row]
    names = [name for row in rows.values() for name in row]
    values = [value for row in rows.values() for value in row.values()]
    return pl.DataFrame(dict(zip(schema, (queries, names, values), strict=True)), schema=schema)


def _grade(name: str, number: int, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise TrecFileError(f"{name}, line {number}: the grade {text} is no whole number.")
    grade = float(text)  # int() refuses some thousand digits
    if abs(grade) > LARGEST_GRADE:
        raise TrecFileError(f"{name}, line {number}: the grade {text} is beyond {LARGEST_GRADE}.")
    return int(grade)


def _score(name: str, number: int, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise TrecFileError(f"{name}, line {number}: the score {text} is no number.")
    score = float(text)
    if math.isnan(score):
        raise TrecFileError(f"{name}, line {number}: the score is not a number, so it has no place.")
    return score
