from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from aiops_pipelines.monitoring.baseline import BASELINE_SCORES, BASELINES
from aiops_pipelines.monitoring.quality import (
    JUDGED,
    QUALITY_SCORES,
    answer_bigram_support,
    judge_fingerprint,
    quality_scores,
)
from aiops_pipelines.monitoring.signals import USER_SIGNALS
from aiops_pipelines_tests.shared_data import shared

ROOT = Path(__file__).parents[2]
WEEK = date(2026, 6, 1)
WORDS = st.lists(
    st.sampled_from(["the", "fee", "is", "ten", "euros", "for", "adults", "and", "five"]),
    min_size=2,
    max_size=12,
).map(" ".join)


@pytest.mark.parametrize(
    ("table", "schema"),
    [
        ("quality_scores", QUALITY_SCORES),
        ("baselines", BASELINES),
        ("baseline_scores", BASELINE_SCORES),
        ("user_signals", USER_SIGNALS),
    ],
)
def test_columns_are_the_declared_ones(table: str, schema: pl.Schema) -> None:
    declared = yaml.safe_load((ROOT / "dbt_project/models/monitoring/tables.yml").read_text())["sources"][0][
        "tables"
    ]
    assert list(schema) == [
        column["name"] for entry in declared if entry["name"] == table for column in entry["columns"]
    ]


def test_support_by_hand() -> None:
    assert answer_bigram_support("the fee is ten euros", ["The fee is twenty euros."], "ok") == (0.5, None)
    assert answer_bigram_support("Ten euros, ten euros.", ["It costs ten euros."], "ok")[0] == pytest.approx(
        2 / 3
    )
    assert answer_bigram_support("fee is", ["The fee", "is ten"], "ok") == (0.0, None)


@pytest.mark.parametrize(
    ("answer", "contexts", "status", "reason"),
    [
        ("Yes.", ["Yes of course."], "ok", "fewer than two words"),
        (None, ["Some text."], "ok", "no answer was logged"),
        ("It is open.", [], "ok", "no retrieved context"),
        ("It is open.", None, "ok", "no retrieved context"),
        ("It is open.", ["", " "], "ok", "no retrieved context"),
        ("I cannot help with that.", ["Some text."], "refused", "ended as refused"),
    ],
)
def test_unmeasured_support_has_a_reason(
    answer: str | None, contexts: list[str] | None, status: str, reason: str
) -> None:
    value, why = answer_bigram_support(answer, contexts, status)
    assert value is None and reason in str(why)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=3), WORDS)
def test_support_is_a_share_that_more_context_never_lowers(
    answer: str, contexts: list[str], more: str
) -> None:
    less = answer_bigram_support(answer, contexts, "ok")[0]
    after = answer_bigram_support(answer, [*contexts, more], "ok")[0]
    assert less is not None and after is not None and 0 <= less <= after <= 1
    assert answer_bigram_support(answer, [*contexts, answer.upper()], "ok")[0] == 1


def test_fingerprint_changes_with_settings_and_library_only() -> None:
    one = judge_fingerprint("support", "1", {"n": "2", "case": "folded"}, "lib 1")
    assert one == judge_fingerprint("support", "1", {"case": "folded", "n": "2"}, "lib 1")
    assert one.startswith("support/1/") and len(one) == len("support/1/") + 8
    others = {
        judge_fingerprint("support", "1", {"n": "3", "case": "folded"}, "lib 1"),
        judge_fingerprint("support", "1", {"n": "2", "case": "folded"}, "lib 2"),
    }
    assert one not in others and len(others) == 2


def judged(*values: float | None) -> pl.DataFrame:
    rows = [
        (f"e{i}", "support", value, None if value is not None else "no context", "j")
        for i, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=JUDGED, orient="row")


CALLS = pl.DataFrame(
    {
        "system": "support",
        "event_id": ["e0", "e1", "e2", "e3"],
        "known_query_id": ["q7", None, None, None],
        "user_id": ["probe", "u1", None, None],
        "session_id": ["s0", "s1", "s2", None],
    }
)


def test_rows_carry_sample_query_and_cluster() -> None:
    rows = quality_scores(judged(0.5, 1.0, None, 0.0), CALLS, WEEK)
    assert rows.schema == QUALITY_SCORES
    assert rows["sample"].to_list() == ["known", "production", "production", "production"]
    assert rows["cluster"].to_list() == ["q7", "u1", "s2", "e3"]
    assert rows["query_id"].to_list() == ["q7", None, None, None]
    assert rows["value"].to_list() == [0.5, 1.0, None, 0.0]


@pytest.mark.parametrize("value", [float("nan"), 1.5, -0.1])
def test_scores_outside_0_to_1_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        quality_scores(judged(value), CALLS, WEEK)


def test_scores_of_unknown_calls_are_refused() -> None:
    with pytest.raises(ValueError, match="belong to no call, first e4"):
        quality_scores(judged(*[0.5] * 5), CALLS, WEEK)


def test_support_separates_hallucinated_from_supported_answers() -> None:
    rows = pl.read_parquet(shared("rag_answers/rag_answers.parquet")).filter(dataset="begin_wow")
    values = [answer_bigram_support(a, [c], "ok")[0] for a, c in rows.select("answer", "context").iter_rows()]
    measured = rows.with_columns(support=pl.Series(values, dtype=pl.Float64)).filter(
        pl.col("support").is_not_null()
    )
    supported, not_supported = (
        measured.filter(hallucinated=flag)["support"].to_numpy() for flag in (False, True)
    )
    auroc = mannwhitneyu(supported, not_supported).statistic / (len(supported) * len(not_supported))
    assert np.isclose(auroc, 0.912, atol=0.005)
