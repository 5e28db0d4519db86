"""What to improve after a month: few proposals, the costliest trouble first, each with its figures.

They come from the month's verdicts, causes, index freshness and retrieval quality; nothing is measured here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import polars as pl

from aiops_pipelines.monitoring.quality import JUDGE_CHANGED
from aiops_pipelines.periods import midnight, next_month
from aiops_pipelines.systems import Limits

IMPROVEMENT_PROPOSALS = pl.Schema(
    {
        "system": pl.String(),
        "month": pl.Date(),
        "rank": pl.Int64(),
        "proposal": pl.String(),
        "evidence": pl.String(),
    }
)

AT_MOST = 5
"""More than five proposals a month are a list nobody works through."""

REMEDIES = {
    "model_change": "Pin the served model to the baseline's version, or take a new baseline with it.",
    "prompt_change": "Roll the system prompt back, and test the new one on the known queries first.",
    "index_staleness": "Re-index whenever the corpus changes, and alert when it has not happened in a day.",
    "query_mix": "Add known queries for what users ask more often now, and review how it is answered.",
    "judge_change": "Pin the judge's version and re-score the baseline with the judge in use.",
}


@dataclass(frozen=True)
class Proposal:
    """A proposal with its evidence; weight is the drop it addresses, summed over weeks, and ranks it."""

    weight: float
    proposal: str
    evidence: str


def proposals(
    system: str,
    month: date,
    verdicts: pl.DataFrame,
    causes: pl.DataFrame,
    freshness: pl.DataFrame,
    retrieval_quality: pl.DataFrame,
    limits: Limits,
) -> pl.DataFrame:
    """Return drift.improvement_proposals of a month, at most five; empty after a month without trouble.

    A week belongs to the month it ends in: when a month is over, no other week of it is judged.

    Args:
        system: name of the system, whose rows are used.
        month: first day of the month.
        verdicts: drift.drift_verdicts.
        causes: drift.drift_causes.
        freshness: rag.index_freshness.
        retrieval_quality: rag.retrieval_quality.
        limits: stale_share, margin and drop_that_matters, from the system's file.
    """
    ended = pl.col("week").dt.offset_by("6d").is_between(month, next_month(month), closed="left")
    judged, blamed, served = (
        frame.filter(pl.col("system") == system, ended) for frame in (verdicts, causes, freshness)
    )
    indexed = retrieval_quality.filter(
        pl.col("system") == system, pl.col("valid_from") < midnight(next_month(month))
    )
    found = [
        *_remedies(judged, blamed),
        *_stale_index(blamed, served, limits),
        *_ranker(indexed),
        *_more_queries(judged, limits),
        *_judge(judged, blamed),
    ]
    found.sort(key=lambda p: (-p.weight, p.proposal))
    rows = [(system, month, rank, p.proposal, p.evidence) for rank, p in enumerate(found[:AT_MOST], start=1)]
    return pl.DataFrame(rows, schema=IMPROVEMENT_PROPOSALS, orient="row")


def _remedies(judged: pl.DataFrame, blamed: pl.DataFrame) -> Iterator[Proposal]:
    """Propose the remedy of every cause, weighted by the drop it explains in its weeks."""
    degraded = judged.filter(pl.col("verdict") == "DEGRADED")
    worst = degraded.sort("drop", descending=True).unique("week", keep="first", maintain_order=True)
    explained = blamed.join(worst.select("week", "metric", "drop"), on="week").filter(
        pl.col("cause") != "judge_change"
    )
    for (cause,), rows in explained.group_by("cause"):
        first = rows.sort(pl.col("drop") * pl.col("strength"), descending=True).row(0, named=True)
        evidence = (
            f"Ranked {_times(rows.filter(pl.col('rank') == 1).height)} as the first cause in "
            f"{_weeks(rows.height)} of degraded answers; in the worst, {first['week']}, {first['metric']} "
            f"fell {100 * first['drop']:.1f} %. {first['evidence']}"
        )
        yield Proposal(float((rows["drop"] * rows["strength"]).sum()), REMEDIES[str(cause)], evidence)
    silent = worst.join(blamed, on="week", how="anti")
    if silent.height:
        drop = float(silent["drop"].sum())
        weeks = ", ".join(str(week) for week in sorted(silent["week"]))
        yield Proposal(
            drop,
            "Read a sample of the lowest-scored answers: no known cause explains the drop.",
            f"{_weeks(silent.height)} degraded without a cause found ({weeks}), on average by "
            f"{100 * drop / silent.height:.1f} %.",
        )


def _stale_index(blamed: pl.DataFrame, served: pl.DataFrame, limits: Limits) -> Iterator[Proposal]:
    """Propose re-indexing for stale weeks that did not degrade the scores enough to be blamed already."""
    stale = served.filter((pl.col("verdict") == "stale") & (pl.col("stale_share") > limits.stale_share))
    if stale.is_empty() or "index_staleness" in blamed["cause"]:
        return
    answers, lag = int(stale["stale_answers"].sum()), max(stale["lag_days"].drop_nulls(), default=0.0)
    share = answers / int(stale["answers"].sum())
    yield Proposal(
        share * limits.drop_that_matters,
        REMEDIES["index_staleness"],
        f"In {_weeks(stale.height)} {answers} answers ({100 * share:.1f} %) were given from chunks no longer "
        f"in the corpus; the index was up to {lag:.0f} days behind.",
    )


def _ranker(indexed: pl.DataFrame) -> Iterator[Proposal]:
    """Propose lexical ranking where BM25's interval lies above the embedding model's on the newest index."""
    newest = indexed.filter(
        pl.col("valid_from") == pl.col("valid_from").max(), pl.col("metric") == "ndcg_at_10"
    )
    dense = newest.filter(pl.col("ranker") == "dense").sort("index_version")
    floor = newest.filter(pl.col("ranker") == "bm25")
    both = dense.join(floor, on="index_version", suffix="_bm25").filter(pl.col("low_bm25") > pl.col("high"))
    for row in both.tail(1).iter_rows(named=True):
        gain = row["mean_bm25"] - row["mean"]
        yield Proposal(
            gain,
            "Rank with BM25 beside the embedding model: plain word matching finds more.",
            f"nDCG@10 on {row['queries']} known queries is {row['mean_bm25']:.3f} ({row['low_bm25']:.3f} to "
            f"{row['high_bm25']:.3f}) with BM25 and {row['mean']:.3f} ({row['low']:.3f} to "
            f"{row['high']:.3f}) with the embedding model.",
        )


def _more_queries(judged: pl.DataFrame, limits: Limits) -> Iterator[Proposal]:
    """Propose more known queries where the verdicts were too often blind, with the number that would do.

    Noise shrinks with the root of n, so n must grow by ((detectable - margin) / (wanted - margin))^2: with
    100 queries, 7 % detectable, 5 % wanted and a margin of 2 %, 100 * (5 / 3)^2 = 278.
    A blind week weighs a tenth of the drop it may hide.
    """
    blind = judged.filter(
        pl.col("sample") == "known",
        pl.col("verdict") == "CANNOT TELL",
        pl.col("smallest_detectable_drop") > limits.drop_that_matters,
    )
    if blind.is_empty() or limits.drop_that_matters <= limits.margin:
        return
    wanted = limits.drop_that_matters - limits.margin
    needed = pl.col("clusters") * ((pl.col("smallest_detectable_drop") - limits.margin) / wanted) ** 2
    row = blind.with_columns(needed=needed.ceil().cast(pl.Int64)).sort("needed").row(-1, named=True)
    weeks = blind["week"].n_unique()
    yield Proposal(
        limits.drop_that_matters * weeks / 10,
        f"Raise the number of known queries from {row['clusters']} to about {row['needed']}.",
        f"In {_weeks(weeks)} a drop of {100 * limits.drop_that_matters:.0f} % could neither be shown nor "
        f"excluded; in the noisiest, {row['week']}, the smallest drop that {row['metric']} shows is "
        f"{100 * row['smallest_detectable_drop']:.1f} %.",
    )


def _judge(judged: pl.DataFrame, blamed: pl.DataFrame) -> Iterator[Proposal]:
    changed = judged.filter(
        pl.col("verdict") == "CANNOT TELL", pl.col("reason").str.starts_with(JUDGE_CHANGED)
    )
    if changed.height or "judge_change" in blamed["cause"]:
        names = ", ".join(sorted(changed["metric"].unique())) or "one metric"
        yield Proposal(
            0.0,
            REMEDIES["judge_change"],
            f"{names} could not be compared in {_weeks(changed['week'].n_unique())}.",
        )


def _weeks(count: int) -> str:
    return f"{count} week" if count == 1 else f"{count} weeks"


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")
