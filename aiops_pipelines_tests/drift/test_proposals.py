from datetime import UTC, date, datetime

import polars as pl
import pytest

from aiops_pipelines.drift.causes import DRIFT_CAUSES
from aiops_pipelines.drift.proposals import IMPROVEMENT_PROPOSALS, proposals
from aiops_pipelines.drift.verdict import DRIFT_VERDICTS
from aiops_pipelines.systems import Limits

MONTH = date(2026, 8, 1)
FRESHNESS = pl.Schema(
    {
        "system": pl.String(),
        "week": pl.Date(),
        "verdict": pl.String(),
        "stale_share": pl.Float64(),
        "answers": pl.Int64(),
        "stale_answers": pl.Int64(),
        "lag_days": pl.Float64(),
    }
)
RETRIEVAL = pl.Schema(
    {
        "system": pl.String(),
        "index_version": pl.String(),
        "valid_from": pl.Datetime("us", "UTC"),
        "ranker": pl.String(),
        "metric": pl.String(),
        "mean": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "queries": pl.Int64(),
    }
)


def verdict(week: date, name: str, drop: float = 0.1, **more: object) -> dict[str, object]:
    return {
        "system": "support",
        "week": week,
        "sample": "known",
        "metric": "reference_similarity",
        "verdict": name,
        "drop": drop,
        "reason": "",
        **more,
    }


def proposed(
    verdicts: list[dict[str, object]] = [],  # noqa: B006
    causes: list[dict[str, object]] = [],  # noqa: B006
    freshness: list[tuple[object, ...]] = [],  # noqa: B006
    retrieval: list[tuple[object, ...]] = [],  # noqa: B006
) -> pl.DataFrame:
    frame = proposals(
        "support",
        MONTH,
        pl.DataFrame(verdicts, schema=DRIFT_VERDICTS),
        pl.DataFrame(causes, schema=DRIFT_CAUSES),
        pl.DataFrame(freshness, schema=FRESHNESS, orient="row"),
        pl.DataFrame(retrieval, schema=RETRIEVAL, orient="row"),
        Limits(),
    )
    assert frame.schema == IMPROVEMENT_PROPOSALS
    assert frame["rank"].to_list() == list(range(1, frame.height + 1))
    return frame


def cause(week: date, name: str, strength: float, rank: int = 1) -> dict[str, object]:
    return {
        "system": "support",
        "week": week,
        "rank": rank,
        "cause": name,
        "strength": strength,
        "evidence": "Seen.",
    }


def retrieval(
    ranker: str, mean: float, half: float = 0.02, version: str = "i2", day: int = 10
) -> tuple[object, ...]:
    return (
        "support",
        version,
        datetime(2026, 8, day, tzinfo=UTC),
        ranker,
        "ndcg_at_10",
        mean,
        mean - half,
        mean + half,
        150,
    )


def test_quiet_month_proposes_nothing() -> None:
    assert proposed([verdict(date(2026, 8, 3), "OK", 0.0)]).is_empty()


def test_costliest_cause_comes_first_with_its_figures() -> None:
    weeks = [date(2026, 8, 3), date(2026, 8, 10), date(2026, 8, 17)]
    found = proposed(
        [verdict(week, "DEGRADED", drop) for week, drop in zip(weeks, (0.05, 0.12, 0.11), strict=True)],
        [
            cause(weeks[0], "model_change", 0.9),
            cause(weeks[1], "index_staleness", 0.8),
            cause(weeks[2], "index_staleness", 0.7),
        ],
    )
    assert found.height == 2
    assert found["proposal"][0].startswith("Re-index whenever the corpus changes")
    assert "Ranked 2 times as the first cause in 2 weeks" in found["evidence"][0]
    assert "in the worst, 2026-08-10, reference_similarity fell 12.0 %. Seen." in found["evidence"][0]
    assert found["proposal"][1].startswith("Pin the served model")


def test_a_week_is_of_the_month_it_ends_in() -> None:
    """The week of 31 August is judged on 7 September, when the proposals of August were made already."""
    assert proposed([verdict(date(2026, 7, 27), "DEGRADED")]).height == 1
    assert proposed([verdict(date(2026, 8, 31), "DEGRADED")]).is_empty()


def test_other_months_and_systems_are_left_aside() -> None:
    july = date(2026, 7, 20)
    other = verdict(date(2026, 8, 3), "DEGRADED") | {"system": "handbook"}
    assert proposed([verdict(july, "DEGRADED"), other], [cause(july, "model_change", 1.0)]).is_empty()


def test_degraded_week_without_a_cause_asks_for_reading() -> None:
    found = proposed([verdict(date(2026, 8, 3), "DEGRADED", 0.08)])
    assert found["proposal"][0].startswith("Read a sample")
    assert "1 week degraded without a cause found (2026-08-03), on average by 8.0 %" in found["evidence"][0]


def test_stale_answers_count_even_when_no_score_fell() -> None:
    week = date(2026, 8, 10)
    found = proposed(freshness=[("support", week, "stale", 0.2, 500, 100, 7.0)])
    assert "In 1 week 100 answers (20.0 %)" in found["evidence"][0]
    assert proposed(freshness=[("support", week, "stale", 0.01, 500, 5, 7.0)]).is_empty()


def test_bm25_is_proposed_only_clear_of_both_intervals_on_the_newest_index() -> None:
    found = proposed(retrieval=[retrieval("dense", 0.70), retrieval("bm25", 0.80)])
    assert (
        "nDCG@10 on 150 known queries is 0.800 (0.780 to 0.820) with BM25 and 0.700" in found["evidence"][0]
    )
    assert proposed(retrieval=[retrieval("dense", 0.70), retrieval("bm25", 0.73)]).is_empty()
    older = [retrieval("dense", 0.5, version="i1", day=1), retrieval("bm25", 0.9, version="i1", day=1)]
    assert proposed(retrieval=[*older, retrieval("dense", 0.8), retrieval("bm25", 0.7)]).is_empty()


def test_blind_weeks_ask_for_the_number_of_queries_that_would_do() -> None:
    blind = verdict(date(2026, 8, 3), "CANNOT TELL", 0.0, smallest_detectable_drop=0.07, clusters=100)
    found = proposed([blind])
    assert found["proposal"][0] == "Raise the number of known queries from 100 to about 278."


def test_changed_judge_is_proposed_last_and_never_more_than_five() -> None:
    week = date(2026, 8, 3)
    rejudged = verdict(week, "CANNOT TELL", metric="context_recall_id") | {
        "reason": "The judge changed from a to b; re-score the baseline."
    }
    found = proposed(
        [rejudged, verdict(week, "DEGRADED")],
        [cause(week, "model_change", 0.9), cause(week, "judge_change", 0.1, 2)],
    )
    assert found["proposal"][-1].startswith("Pin the judge")
    assert "context_recall_id" in found["evidence"][-1]
    many = [
        cause(week, name, 0.5) for name in ("model_change", "prompt_change", "index_staleness", "query_mix")
    ]
    crowded = proposed(
        [rejudged, verdict(week, "DEGRADED")],
        many,
        retrieval=[retrieval("dense", 0.6), retrieval("bm25", 0.8)],
    )
    assert crowded.height == 5


@pytest.mark.parametrize("month", [date(2026, 12, 1)])
def test_december_ends_with_the_year(month: date) -> None:
    weeks = (date(2026, 12, 21), date(2026, 12, 28))
    rows = pl.DataFrame([verdict(week, "DEGRADED") for week in weeks], schema=DRIFT_VERDICTS)
    frame = proposals(
        "support",
        month,
        rows,
        pl.DataFrame(schema=DRIFT_CAUSES),
        pl.DataFrame(schema=FRESHNESS),
        pl.DataFrame(schema=RETRIEVAL),
        Limits(),
    )
    assert frame.height == 1 and "(2026-12-21)" in frame["evidence"][0]
