from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from aiops_pipelines.drift.verdict import DRIFT_VERDICTS, verdicts
from aiops_pipelines.monitoring.quality import RETIRED
from aiops_pipelines.systems import Limits
from aiops_pipelines_tests.shared_data import shared

FIRST = date(2026, 6, 1)
NOW = FIRST + timedelta(weeks=5)
ROOT = Path(__file__).parents[2]
Scores = Callable[..., pl.DataFrame]
Baseline = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]


def judged(
    week: pl.DataFrame, baseline: tuple[pl.DataFrame, pl.DataFrame], limits: Limits | None = None
) -> pl.DataFrame:
    return verdicts(week, *baseline, limits or Limits(), NOW)


def only(frame: pl.DataFrame) -> dict[str, object]:
    assert frame.height == 1
    assert frame.schema == DRIFT_VERDICTS
    return frame.row(0, named=True)


def known_week(
    rng: np.random.Generator, n: int, lost: float = 0.0, noise: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    before = rng.uniform(0.6, 0.9, n)
    return before, before * (1 - lost) + rng.normal(0, noise, n)


def test_columns_are_the_declared_ones() -> None:
    declared = yaml.safe_load((ROOT / "dbt_project/models/drift/tables.yml").read_text())["sources"][0][
        "tables"
    ]
    columns = next(t["columns"] for t in declared if t["name"] == "drift_verdicts")
    assert list(DRIFT_VERDICTS) == [column["name"] for column in columns]


def test_stable_week_is_ok(scores: Scores, baseline: Baseline, rng: np.random.Generator) -> None:
    before, after = known_week(rng, 150)
    row = only(judged(scores(5, after), baseline(scores(0, before))))
    assert row["verdict"] == "OK"
    assert row["drop_low"] < row["drop"] < row["drop_high"] < 0.05  # type: ignore[operator]
    assert (row["n"], row["clusters"], row["judge"]) == (150, 150, "j/1")
    assert row["p_adjusted"] == row["p_value"]


def test_drop_is_degraded_and_says_how_large_it_is(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    before, after = known_week(rng, 150, lost=0.1)
    row = only(judged(scores(5, after), baseline(scores(0, before))))
    assert row["verdict"] == "DEGRADED"
    assert row["drop"] == pytest.approx(1 - after.mean() / before.mean())
    assert f"Scores fell {100 * row['drop']:.1f} % (95 % interval " in str(row["reason"])  # type: ignore[operator]
    assert "more than the tolerated 2.0 %" in str(row["reason"])


def test_drop_within_the_margin_is_tolerated(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    before, _ = known_week(rng, 150)
    week, frozen = scores(5, before * 0.985), baseline(scores(0, before))
    assert only(judged(week, frozen))["verdict"] == "OK"
    assert only(judged(week, frozen, Limits(margin=0.0)))["verdict"] == "DEGRADED"


def test_noise_that_hides_a_drop_cannot_tell(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    before, after = known_week(rng, 30, noise=0.3)
    row = only(judged(scores(5, after), baseline(scores(0, before))))
    assert row["verdict"] == "CANNOT TELL"
    assert row["smallest_detectable_drop"] > 0.05  # type: ignore[operator]
    assert "neither shown nor excluded" in str(row["reason"])


def test_no_drop_exceeds_all_of_the_score(scores: Scores, baseline: Baseline) -> None:
    before = [1.0 if i % 5 == 0 else 0.0 for i in range(50)]
    row = only(judged(scores(5, [1.0, *[0.0] * 49]), baseline(scores(0, before))))
    assert row["verdict"] == "DEGRADED" and row["drop_high"] == 1
    assert "to 100.0 %)" in str(row["reason"])
    few = only(judged(scores(5, [*before[1:20], 0.0]), baseline(scores(0, before[:20]))))
    assert few["smallest_detectable_drop"] > 1  # type: ignore[operator]
    assert str(few["reason"]).endswith("no drop is found with 80 % power, not even one to 0.")


def test_metrics_share_one_alpha(scores: Scores, baseline: Baseline, rng: np.random.Generator) -> None:
    frames, weeks = [], []
    for index in range(8):
        before, after = known_week(rng, 60, lost=0.034 if index == 0 else 0.0)
        frames.append(scores(0, before, metric=f"m{index}"))
        weeks.append(scores(5, after, metric=f"m{index}"))
    alone = only(judged(weeks[0], baseline(frames[0])))
    among = judged(pl.concat(weeks), baseline(*frames)).filter(metric="m0").row(0, named=True)
    assert among["p_value"] == alone["p_value"]
    assert among["p_adjusted"] == pytest.approx(min(1, 8 * alone["p_value"]))  # type: ignore[operator]
    assert among["smallest_detectable_drop"] > alone["smallest_detectable_drop"]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ([0.9], [0.1], "Known queries scored in both the baseline and the week: 1;"),
        ([0.9] * 9, [0.1] * 9, "Known queries scored in both the baseline and the week: 9;"),
        ([1.0] * 200, [1.0] * 200, "never moves"),
        ([0.0] * 200, [0.0] * 200, "baseline mean is 0"),
        ([0.9] * 200, [None] * 200, "None of the 200 scores could be measured"),
        ([0.9] * 200, [], "Nothing was scored"),
    ],
)
def test_too_little_to_tell(
    scores: Scores, baseline: Baseline, before: list[float], after: list[float | None], sentence: str
) -> None:
    row = only(judged(scores(5, after), baseline(scores(0, before))))
    assert row["verdict"] == "CANNOT TELL"
    assert sentence in str(row["reason"])
    assert row["p_value"] is None and row["drop"] is None


def test_no_rows_at_all_give_no_verdict(scores: Scores, baseline: Baseline) -> None:
    empty = scores(5, [])
    frozen = baseline(scores(0, [0.5, 0.6]))
    assert verdicts(empty, frozen[0].clear(), frozen[1].clear(), Limits(), NOW).schema == DRIFT_VERDICTS


def test_unapplicable_metric_has_no_verdict_but_an_unfrozen_one_has(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    before, after = known_week(rng, 100)
    week = pl.concat([scores(5, after), scores(5, [None] * 50, "production"), scores(5, after, metric="new")])
    found = judged(week, baseline(scores(0, before)))
    assert found["metric"].to_list() == ["new", "support"]
    assert "No baseline is frozen" in found["reason"][0]


def test_other_judge_cannot_tell(scores: Scores, baseline: Baseline, rng: np.random.Generator) -> None:
    before, after = known_week(rng, 100, lost=0.3)
    row = only(judged(scores(5, after, judge="j/2"), baseline(scores(0, before))))
    assert row["verdict"] == "CANNOT TELL"
    assert "The judge changed from j/1 to j/2; re-score the baseline." in str(row["reason"])
    mixed = scores(5, after).with_columns(judge=pl.Series(["j/1", "j/2"] * 50))
    assert "Several judges" in str(only(judged(mixed, baseline(scores(0, before))))["reason"])


def test_edited_baseline_cannot_tell(scores: Scores, baseline: Baseline, rng: np.random.Generator) -> None:
    before, after = known_week(rng, 100)
    rows, observations = baseline(scores(0, before))
    edited = observations.with_columns(value=pl.col("value") * 0.9)
    assert "do not match their fingerprint" in str(only(judged(scores(5, after), (rows, edited)))["reason"])


def test_unchanged_queries_bound_what_could_be_lost(scores: Scores, baseline: Baseline) -> None:
    values = [1.0, 0.5] * 150
    row = only(judged(scores(5, values), baseline(scores(0, values))))
    assert row["verdict"] == "OK" and row["drop"] == 0
    assert row["smallest_detectable_drop"] == pytest.approx((1 - 0.05 ** (1 / 300)) / 0.75)
    few = only(judged(scores(5, values[:30]), baseline(scores(0, values[:30]))))
    assert few["verdict"] == "CANNOT TELL"


def test_queries_that_were_retired_on_purpose_lack_no_score(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    before, after = known_week(rng, 200)
    frozen, gone = baseline(scores(0, before)), [f"q{i}" for i in range(30)]
    week = scores(5, after).filter(~pl.col("query_id").is_in(gone))
    row = only(verdicts(week, *frozen, Limits(), NOW, gone))
    assert row["verdict"] == "OK" and row["clusters"] == 170
    assert "against the baseline, without 30 of its known queries, retired since" in str(row["reason"])
    assert row["baseline_mean"] == pytest.approx(before[30:].mean())
    fewer = week.filter(pl.col("query_id") != "q30").filter(
        ~pl.col("query_id").is_in([f"q{i}" for i in range(31, 60)])
    )
    assert "30 of the 170 known queries" in str(only(verdicts(fewer, *frozen, Limits(), NOW, gone))["reason"])


def test_a_baseline_of_retired_queries_alone_can_tell_nothing(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    before, _ = known_week(rng, 20)
    row = only(
        verdicts(scores(5, []), *baseline(scores(0, before)), Limits(), NOW, [f"q{i}" for i in range(20)])
    )
    assert row["verdict"] == "CANNOT TELL" and str(row["reason"]).startswith(RETIRED)


def test_scores_that_vanish_are_not_health(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    before, after = known_week(rng, 200)
    week = scores(5, [v if i >= 30 else None for i, v in enumerate(after)])
    row = only(judged(week, baseline(scores(0, before))))
    assert row["verdict"] == "CANNOT TELL"
    assert "but 30 of the 200 known queries of the baseline have no score now" in str(row["reason"])
    calls = scores(5, [v if i >= 30 else None for i, v in enumerate(after)], "production")
    row = only(judged(calls, baseline(scores(0, before, "production"))))
    assert row["verdict"] == "CANNOT TELL"
    assert "could not be measured rose by 15.0 points" in str(row["reason"])


def test_production_counts_users_not_calls(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    users = [f"u{i % 60}" for i in range(600)]
    before, after = rng.normal(0.8, 0.1, 600), rng.normal(0.7, 0.1, 600)
    row = only(
        judged(
            scores(5, after, "production", users=users),
            baseline(scores(0, before, "production", users=users)),
        )
    )
    assert (row["verdict"], row["n"], row["clusters"]) == ("DEGRADED", 600, 60)
    lonely = ["u0"] * 500 + users[:100]
    row = only(
        judged(
            scores(5, after, "production", users=lonely),
            baseline(scores(0, before, "production", users=users)),
        )
    )
    assert row["verdict"] == "CANNOT TELL"
    assert "independent users" in str(row["reason"])


def production(
    scores: Scores, rng: np.random.Generator, week: int, lost: float = 0.0, **calls: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Scores of so many calls of each endpoint, and where each call went; `hard` scores 0.5 and others 0.8."""
    names = [name for name, n in calls.items() for _ in range(n)]
    values = np.array([0.5 if name == "hard" else 0.8 for name in names]) - lost
    scored = scores(week, values + rng.normal(0, 0.05, len(names)), "production")
    return scored, pl.DataFrame({"event_id": scored["event_id"], "endpoint": names})


def on_its_mix(
    before: tuple[pl.DataFrame, pl.DataFrame], after: tuple[pl.DataFrame, pl.DataFrame], baseline: Baseline
) -> dict[str, object]:
    places = pl.concat([before[1], after[1]])
    return only(verdicts(after[0], *baseline(before[0]), Limits(), NOW, endpoints=places))


def test_users_who_turn_to_a_hard_endpoint_make_no_answer_worse(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    before, after = (
        production(scores, rng, 0, ask=160, hard=40),
        production(scores, rng, 5, ask=80, hard=120),
    )
    row = on_its_mix(before, after, baseline)
    assert row["verdict"] == "OK" and abs(float(row["drop"])) < 0.03
    assert row["mix_drop"] == pytest.approx(1 - 0.62 / 0.74, abs=0.02)
    assert row["mix_p_adjusted"] < 0.001
    assert "against the baseline on the week's own mix of endpoints" in str(row["reason"])
    assert "40.0 % of the calls moved to other endpoints than in the baseline" in str(row["reason"])
    # without a word about endpoints, the same scores fell
    fallen = only(judged(after[0], baseline(before[0])))
    assert (fallen["verdict"], fallen["mix_drop"]) == ("DEGRADED", None)


def test_a_drop_within_endpoints_is_seen_behind_an_easier_mix(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    before = production(scores, rng, 0, ask=100, hard=100)
    after = production(scores, rng, 5, 0.08, ask=160, hard=40)
    row = on_its_mix(before, after, baseline)
    assert row["verdict"] == "DEGRADED"
    assert row["drop"] == pytest.approx(0.08 / 0.74, abs=0.02)
    assert row["mix_drop"] < 0 and "moved" not in str(row["reason"])
    assert only(judged(after[0], baseline(before[0])))["verdict"] == "OK"  # the means are alike


@pytest.mark.parametrize(
    ("new", "verdict", "reason"),
    [
        (0, "OK", "is excluded"),
        (20, "OK", "is excluded"),
        (
            40,
            "CANNOT TELL",
            "40 of the 240 scored calls are of endpoints that the baseline does not have (new)",
        ),
        (2_000, "CANNOT TELL", "2,000 of the 2,200 scored calls"),
    ],
)
def test_endpoints_without_a_baseline_are_not_judged(
    scores: Scores, baseline: Baseline, rng: np.random.Generator, new: int, verdict: str, reason: str
) -> None:
    before = production(scores, rng, 0, ask=160, other=40)
    row = on_its_mix(before, production(scores, rng, 5, ask=160, other=40, new=new), baseline)
    assert (row["verdict"], row["n"]) == (verdict, 200 + new)
    assert reason in str(row["reason"])


def test_of_many_new_endpoints_a_few_are_named(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    before = production(scores, rng, 0, ask=200)
    paths = {f"path{n}": 2 + (n == 7) for n in range(30)}
    row = on_its_mix(before, production(scores, rng, 5, ask=100, **paths), baseline)
    assert row["verdict"] == "CANNOT TELL"
    assert "does not have (path7, path0, path1 and 27 more);" in str(row["reason"])


def test_a_week_of_new_endpoints_alone_has_no_baseline(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    before = production(scores, rng, 0, ask=200)
    row = on_its_mix(before, production(scores, rng, 5, renamed=200), baseline)
    assert (row["verdict"], row["drop"]) == ("CANNOT TELL", None)
    assert "does not have (renamed); replace it by weeks with them." in str(row["reason"])


def test_a_mix_that_one_user_knew_cannot_be_judged(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    users = [*(f"u{i}" for i in range(200)), *["heavy"] * 60, *(f"v{i}" for i in range(9))]
    names = ["ask"] * 200 + ["rare"] * 69
    before = scores(0, 0.8 + rng.normal(0, 0.05, 269), "production", users=users)
    places = pl.DataFrame({"event_id": before["event_id"], "endpoint": names})
    same, moved = production(scores, rng, 5, ask=190, rare=10), production(scores, rng, 5, ask=80, rare=120)
    assert on_its_mix((before, places), same, baseline)["verdict"] == "OK"
    row = on_its_mix((before, places), moved, baseline)
    assert row["verdict"] == "CANNOT TELL" and "independent users" in str(row["reason"])


def test_a_metric_that_never_moves_within_its_endpoints_tells_nothing(
    scores: Scores, baseline: Baseline
) -> None:
    sides = []
    for week, share in ((0, 4), (5, 2)):
        values = [0.0 if i % share == 0 else 1.0 for i in range(200)]
        scored = scores(week, values, "production")
        names = ["ask" if value else "never" for value in values]
        sides.append((scored, pl.DataFrame({"event_id": scored["event_id"], "endpoint": names})))
    row = on_its_mix(sides[0], sides[1], baseline)
    assert row["verdict"] == "CANNOT TELL"
    assert str(row["reason"]).startswith("Every score is that of its endpoint, in the baseline and in the")


def test_nan_and_mixed_systems_are_refused(scores: Scores, baseline: Baseline) -> None:
    frozen = baseline(scores(0, [0.5, 0.6]))
    with pytest.raises(ValueError, match="NaN"):
        judged(scores(5, [float("nan"), 0.4]), frozen)
    with pytest.raises(ValueError, match="one system at a time"):
        judged(scores(5, [0.3, 0.4]).with_columns(system=pl.lit("other")), frozen)


def snapshots(family: str) -> tuple[np.ndarray, np.ndarray]:
    wide = (
        pl.read_parquet(shared("model_drift/prime.parquet"))
        .filter(model_family=family)
        .pivot("snapshot", index="query_id", values="score")
        .sort("query_id")
    )
    return wide["2023-03"].to_numpy().astype(float), wide["2023-06"].to_numpy().astype(float)


def test_real_model_change_is_degraded_and_halves_of_one_snapshot_are_not(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    march, june = snapshots("gpt-4")
    row = only(judged(scores(5, june), baseline(scores(0, march))))
    assert row["verdict"] == "DEGRADED"
    assert row["drop"] == pytest.approx(1 - 0.511 / 0.84, abs=0.002)
    march_35, june_35 = snapshots("gpt-3.5-turbo")
    assert only(judged(scores(5, june_35), baseline(scores(0, march_35))))["verdict"] == "OK"
    alarms = 0
    for _ in range(60):
        order = rng.permutation(1000)
        one, two = march[order[:500]], march[order[500:]]
        row = only(judged(scores(5, two, "production"), baseline(scores(0, one, "production"))))
        alarms += row["verdict"] == "DEGRADED"
    assert alarms <= 4  # margin 2 %: far below the 5 % of alpha


@pytest.mark.slow
def test_whole_verdicts_over_stable_weeks(
    scores: Scores, baseline: Baseline, rng: np.random.Generator
) -> None:
    alarms = 0
    for _ in range(500):
        quality, effects = rng.beta(8, 2, 150), rng.normal(0, 0.1, 120)
        users = rng.integers(0, 120, 400)

        def week(
            number: int,
            quality: np.ndarray = quality,
            effects: np.ndarray = effects,
            users: np.ndarray = users,
        ) -> list[pl.DataFrame]:
            known = rng.binomial(1, quality).astype(float)
            production = np.clip(0.75 + effects[users] + rng.normal(0, 0.1, 400), 0, 1)
            return [
                scores(number, known),
                scores(number, production, "production", users=[f"u{u}" for u in users]),
            ]

        frozen = baseline(*[frame for number in range(4) for frame in week(number)], weeks=4)
        alarms += "DEGRADED" in judged(pl.concat(week(5)), frozen)["verdict"]
    assert alarms / 500 <= 0.05
