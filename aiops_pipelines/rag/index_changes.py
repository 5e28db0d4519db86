"""Whether an index finds more or less than the one before it, paired over the known queries both were asked.

Which way of ranking is better on one index is `comparisons`' question; the tests are the same.
"""

from collections.abc import Collection

import numpy as np
import polars as pl

from aiops_pipelines.drift.comparison import holm
from aiops_pipelines.rag.comparisons import ALPHA, METRIC, NAMES, difference, two_sided_p

FEWEST = 2
CHANGES = pl.Schema(
    {
        **dict.fromkeys(("system", "index_version"), pl.String()),
        "valid_from": pl.Datetime("us", "UTC"),
        **dict.fromkeys(("previous_version", "ranker", "metric"), pl.String()),
        **dict.fromkeys(("before", "after", "difference", "low", "high", "p_value"), pl.Float64()),
        **dict.fromkeys(("queries", "moved"), pl.Int64()),
        **dict.fromkeys(("verdict", "reason"), pl.String()),
    }
)


def retrieval_changes(
    before: pl.DataFrame, after: pl.DataFrame, same: Collection[str], valid_from: object
) -> pl.DataFrame:
    """Return one row per ranker that both indexes were asked with: the difference in nDCG@10, by query.

    p values are Holm's over the rankers, so that a verdict of better or worse is false in at most 5 % of the
    changes of an index; each interval is a 95 % interval of its own.

    Args:
        before: rows of `evaluation.SCORES` of the index before.
        after: those of the index.
        same: queries whose words and judgements were the same for both.
        valid_from: when the index's corpus revision took effect.
    """
    both = after.filter(pl.col("query_id").is_in(list(same))).join(
        before, on=["system", "ranker", "query_id"], suffix="_before"
    )
    by_ranker = {
        str(ranker): rows.sort("query_id")
        for (ranker,), rows in both.sort("ranker").group_by("ranker", maintain_order=True)
        if rows.height >= FEWEST
    }
    values = {
        name: tuple(rows[c].to_numpy() for c in (METRIC, f"{METRIC}_before"))
        for name, rows in by_ranker.items()
    }
    p_values = holm([two_sided_p(ours, theirs) for ours, theirs in values.values()])
    found = []
    for (ranker, (ours, theirs)), p in zip(values.items(), p_values, strict=True):
        mean, low, high = difference(ours, theirs)
        row = {
            **by_ranker[ranker]
            .select("system", "index_version", previous_version="index_version_before")
            .row(0, named=True),
            "valid_from": valid_from,
            "ranker": ranker,
            "metric": METRIC,
            "before": float(theirs.mean()),
            "after": float(ours.mean()),
            "difference": mean,
            "low": low,
            "high": high,
            "p_value": p,
            "queries": len(ours),
            "moved": int(np.count_nonzero(ours != theirs)),
            "verdict": "undecided" if p >= ALPHA else "better" if mean > 0 else "worse",
        }
        found.append(row | {"reason": _sentence(row)})
    return pl.DataFrame(found, schema=CHANGES)


def asked_the_same(
    questions: pl.DataFrame, truth: pl.DataFrame, earlier: pl.DataFrame, earlier_truth: pl.DataFrame
) -> set[str]:
    """Return the queries whose words and judgements are the same in two sets of known queries."""
    kept = set(questions.join(earlier, on=["query_id", "query"], how="semi", nulls_equal=True)["query_id"])
    judged = ["query_id", "document", "grade"]
    now, then = truth.select(judged), earlier_truth.select(judged)
    for one, other in ((now, then), (then, now)):
        kept -= set(one.join(other, on=judged, how="anti", nulls_equal=True)["query_id"])
    return kept


def _sentence(row: dict[str, object]) -> str:
    name = NAMES[str(row["ranker"])]
    found = {
        "better": "find more than on the index before",
        "worse": "find less than on the index before",
        "undecided": "show no proven difference from the index before",
    }[str(row["verdict"])]
    return (
        f"{name[0].upper()}{name[1:]} {found}: nDCG@10 {row['before']:.3f} became {row['after']:.3f}, "
        f"{row['difference']:+.3f} (95 % interval {row['low']:+.3f} to {row['high']:+.3f}); "
        f"{row['moved']} of {row['queries']} known queries changed."
    )
