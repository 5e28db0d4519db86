"""The measures of ranked retrieval exactly as trec_eval defines them, for many queries at once.

Rankings and judgements come in as frames, one value a query and measure goes out; intervals and the rows of
an index version are `evaluation`. Definitions: C. Buckley, trec_eval (P, recall, success, recip_rank and
ndcg_cut); gain and discount after K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR
techniques", ACM TOIS 20(4), 2002.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RUN = pl.Schema({"query_id": pl.String(), "document": pl.String(), "score": pl.Float64()})
QRELS = pl.Schema({"query_id": pl.String(), "document": pl.String(), "grade": pl.Int64()})


@dataclass(frozen=True)
class Places:
    """Relevant documents of a list of queries: whose they are, their places from 0 and their grades."""

    query: NDArray[np.int64]
    place: NDArray[np.int64]
    grade: NDArray[np.int64]

    def sums(self, queries: int, k: int | None, weights: Floats | None = None) -> Floats:
        """Return per query the number, or the sum of weights, of what stands in the first k places."""
        within = slice(None) if k is None else self.place < k
        weighed = None if weights is None else weights[within]
        sums: Floats = np.bincount(self.query[within], weighed, queries).astype(np.float64)
        return sums

    def gains(self) -> Floats:
        """Return grade / log2(place + 2): the gain is linear, as in trec_eval."""
        gains: Floats = self.grade / np.log2(self.place + 2.0)
        return gains


@dataclass(frozen=True)
class Judged:
    """Queries that are both ranked and judged; what was found of their relevant documents, and the ideal.

    A grade of 1 or more is relevant. A negative grade counts like a document nobody judged: not at all.
    """

    queries: list[str]
    found: Places
    ideal: Places

    def precision(self, k: int) -> Floats:
        """Return the share of the first k places held by relevant documents; an empty place is irrelevant."""
        return self.found.sums(len(self.queries), k) / k

    def recall(self, k: int) -> Floats:
        """Return the share of the relevant documents in the first k places; 0 where there are none."""
        return self._of_ideal(self.found.sums(len(self.queries), k), None)

    def hit(self, k: int) -> Floats:
        """Return 1 where a relevant document stands in the first k places, else 0."""
        return (self.found.sums(len(self.queries), k) > 0).astype(np.float64)

    def reciprocal_rank(self) -> Floats:
        """Return 1 / rank of the first relevant document: third place gives 1/3, none gives 0."""
        best = np.zeros(len(self.queries))
        np.maximum.at(best, self.found.query, 1 / (self.found.place + 1))
        return best

    def ndcg(self, k: int) -> Floats:
        """Return the discounted cumulative gain of the first k over that of the ideal order.

        Grades a=2, b=1 ranked b, x, a: (1/1 + 2/2) / (2/1 + 1/log2(3)) = 2 / 2.6309 = 0.7602.
        """
        gained = self.found.sums(len(self.queries), k, self.found.gains())
        return self._of_ideal(gained, k, self.ideal.gains())

    def _of_ideal(self, values: Floats, k: int | None, weights: Floats | None = None) -> Floats:
        best = self.ideal.sums(len(self.queries), k, weights)
        return np.divide(values, best, out=np.zeros_like(values), where=best > 0)


def judged(run: pl.DataFrame, qrels: pl.DataFrame) -> Judged:
    """Put a run beside its judgements, in trec_eval's order: by score, then by document from z to a.

    Scores are compared as trec_eval stores them, in single precision. Queries that are ranked and not judged,
    or judged and not ranked, are left out, as trec_eval does without -c.

    Args:
        run: columns as `RUN`, each document once a query, no score NaN.
        qrels: columns as `QRELS`, each document once a query.
    """
    queries = qrels.select("query_id").unique().join(run.select("query_id").unique(), on="query_id")
    queries = queries.sort("query_id").with_row_index("query")
    relevant = qrels.filter(pl.col("grade") > 0).join(queries, on="query_id")
    rows = run.join(queries, on="query_id").select("query", "document", "score")
    placed = rows.with_columns(place=_run_places(rows))
    found = placed.join(relevant.select("query", "document", "grade"), on=["query", "document"])
    best = relevant.sort("query", "grade", descending=[False, True])
    ideal = best.with_columns(place=_numbered(best["query"].to_numpy()))
    return Judged(queries["query_id"].to_list(), _as_arrays(found.sort("query", "place")), _as_arrays(ideal))


def ranked(rankings: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Return rankings, best document first, as a run whose scores keep their order."""
    rows = [(query, name, -float(n)) for query, names in rankings.items() for n, name in enumerate(names)]
    return pl.DataFrame(rows, schema=RUN, orient="row")


def measures(found: Judged, cuts: Iterable[int] = (5, 10)) -> pl.DataFrame:
    """Return one row per query: precision, recall, hit and nDCG at each cut, and the reciprocal rank."""
    columns: dict[str, list[str] | Floats] = {"query_id": found.queries}
    for name in ("precision", "recall", "hit", "ndcg"):
        columns |= {f"{name}_at_{k}": getattr(found, name)(k) for k in cuts}
    columns["reciprocal_rank"] = found.reciprocal_rank()
    return pl.DataFrame(columns, schema_overrides={"query_id": pl.String})


def _run_places(run: pl.DataFrame) -> NDArray[np.int64]:
    """Return the place of each row within its query: by score, then by name from z to a.

    Query and score make one number, and names are compared only where scores tie: both save time.
    """
    key = _sort_key(run["query"].to_numpy(), run["score"].to_numpy())
    order = np.argsort(key)
    ordered = key[order]
    same = ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if len(tied):
        names = pl.DataFrame(
            {"key": ordered[tied], "document": run["document"][order[tied]], "row": order[tied]}
        )
        order[tied] = names.sort("key", "document", descending=[False, True])["row"].to_numpy()
    places = np.empty(len(order), dtype=np.int64)
    places[order] = _numbered(ordered >> np.uint64(32))
    return places


def _sort_key(query: NDArray[np.uint32], score: Floats) -> NDArray[np.uint64]:
    """Return numbers that grow with the query and, within one, as the score falls in single precision."""
    with np.errstate(over="ignore"):  # beyond single precision is infinite
        single = score.astype(np.float32) + np.float32(0)  # -0 + 0 is 0
    bits = single.view(np.int32).astype(np.int64)
    rising = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return (query.astype(np.uint64) << np.uint64(32)) + (0x7FFFFFFF - rising).astype(np.uint64)


def _numbered(groups: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number sorted groups, 0 for the first row of each: [4, 4, 7] gives [0, 1, 0]."""
    _, first, counts = np.unique(groups, return_index=True, return_counts=True)
    return np.arange(len(groups), dtype=np.int64) - np.repeat(first, counts)


def _as_arrays(rows: pl.DataFrame) -> Places:
    return Places(*(rows[name].cast(pl.Int64).to_numpy() for name in ("query", "place", "grade")))
