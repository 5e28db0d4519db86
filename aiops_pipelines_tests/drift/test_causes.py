from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.drift.causes import DRIFT_CAUSES, causes, ridge_effects
from aiops_pipelines.drift.verdict import verdicts
from aiops_pipelines.systems import Limits

FIRST = date(2026, 6, 1)
LAST = 5
NOW = FIRST + timedelta(weeks=LAST)
STALE = pl.DataFrame(schema={"event_id": pl.String})
FRESHNESS = pl.DataFrame({"week": [NOW], "lag_days": [14.0]})
Scores = Callable[..., pl.DataFrame]
Baseline = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]


class Story:
    """Six weeks of 120 known queries or production calls; `serve` says what happens to a call, and how it scores."""

    def __init__(self, scores: Scores, baseline: Baseline, rng: np.random.Generator) -> None:
        self.scores, self.freeze, self.rng = scores, baseline, rng

    def told(
        self,
        serve: Callable[[int, int], dict[str, object]],
        sample: str = "known",
        topic: Callable[[int, int], int] | None = None,
    ) -> pl.DataFrame:
        """Return the causes; `serve(week, call)` gives model, prompt, endpoint, stale and loss.

        `topic(week, call)` gives the axis that the vector of the question lies near, one of four.
        """
        weeks, calls, quality = [], [], self.rng.uniform(0.6, 0.9, 120)
        for week in range(LAST + 1):
            acts = [
                {"model": "m1", "prompt": "p1", "endpoint": "ask", "loss": 0.0, "stale": False}
                | serve(week, i)
                for i in range(120)
            ]
            base = quality if sample == "known" else np.full(120, 0.75)
            values = base - np.array([a["loss"] for a in acts]) + self.rng.normal(0, 0.04, 120)
            weeks.append(self.scores(week, values, sample))
            calls.append(
                pl.DataFrame(
                    {
                        "event_id": weeks[-1]["event_id"],
                        "endpoint": [a["endpoint"] for a in acts],
                        "model_served": [a["model"] for a in acts],
                        "prompt_version": [a["prompt"] for a in acts],
                        "stale": [a["stale"] for a in acts],
                    }
                )
            )
        baselines, observations = self.freeze(*weeks[:4], weeks=4)
        served = pl.concat(calls)
        self.verdict = verdicts(
            weeks[-1], baselines, observations, Limits(), NOW, endpoints=served.select("event_id", "endpoint")
        )
        stale = served.filter("stale")
        vectors = topic and self.questions(weeks, topic)
        return causes(self.verdict, pl.concat(weeks), served, stale, FRESHNESS, baselines, vectors)

    def questions(self, weeks: list[pl.DataFrame], topic: Callable[[int, int], int]) -> pl.DataFrame:
        near = np.array([np.eye(4)[topic(week, call)] for week in range(LAST + 1) for call in range(120)])
        near += self.rng.normal(0, 0.05, near.shape)
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        return pl.DataFrame({"event_id": pl.concat(weeks)["event_id"], "vector": near.tolist()})


@pytest.fixture
def story(scores: Scores, baseline: Baseline, rng: np.random.Generator) -> Story:
    return Story(scores, baseline, rng)


def test_healthy_week_has_no_causes(story: Story) -> None:
    found = story.told(lambda week, call: {"prompt": "p2" if week == 5 else "p1"})
    assert found.is_empty() and found.schema == DRIFT_CAUSES


def test_new_model_is_found_although_a_harmless_prompt_came_a_week_before(story: Story) -> None:
    found = story.told(
        lambda week, call: {
            "prompt": "p2" if week >= 4 else "p1",
            "model": "m2" if week == 5 else "m1",
            "loss": 0.1 if week == 5 else 0.0,
        }
    )
    assert found["cause"].to_list() == ["model_change"]
    assert (
        "100 % of the scored calls were answered by models that are not in the baseline (m2)"
        in found["evidence"][0]
    )


def test_new_model_on_half_of_the_calls_beats_a_prompt_that_came_with_it(story: Story) -> None:
    found = story.told(
        lambda week, call: {
            "prompt": "p2" if week == 5 else "p1",
            "model": "m2" if week == 5 and call % 2 else "m1",
            "loss": 0.2 if week == 5 and call % 2 else 0.0,
        }
    )
    first = found.row(0, named=True)
    assert (first["rank"], first["cause"]) == (1, "model_change")
    assert first["strength"] > 0.8
    assert (
        "50 % of the scored calls" in first["evidence"]
        and "that of the other 60 calls of the week" in first["evidence"]
    )


def test_changes_that_came_together_share_the_drop(story: Story) -> None:
    found = story.told(lambda week, call: {"prompt": "p2", "model": "m2", "loss": 0.1} if week == 5 else {})
    assert found["cause"].to_list() == ["model_change", "prompt_change"]
    assert found["strength"][0] == pytest.approx(found["strength"][1])
    assert found["strength"][0] < 0.5


def test_stale_chunks_are_found_beside_a_new_prompt(story: Story) -> None:
    found = story.told(
        lambda week, call: {
            "prompt": "p2" if week >= 4 else "p1",
            "stale": week == 5 and call < 40,
            "loss": 0.25 if week == 5 and call < 40 else 0.0,
        }
    )
    assert found["cause"].to_list() == ["index_staleness"]
    assert found["strength"][0] == pytest.approx(0.9, abs=0.1)
    assert found["evidence"][0].endswith("The served index was 14 days behind its corpus.")


def test_a_straggler_on_the_old_model_does_not_hide_the_new_one(story: Story) -> None:
    found = story.told(lambda week, call: {"model": "m2", "loss": 0.1} if week == 5 and call else {})
    assert found["cause"].to_list() == ["model_change"]


def test_unknown_cause_abstains(story: Story) -> None:
    found = story.told(lambda week, call: {"loss": 0.1 if week == 5 else 0.0})
    assert story.verdict["verdict"].to_list() == ["DEGRADED"]
    assert found.is_empty()


def test_prompt_on_half_of_the_calls_is_not_blamed_for_what_hit_all(story: Story) -> None:
    found = story.told(
        lambda week, call: {"prompt": "p2" if call % 2 else "p1", "loss": 0.1} if week == 5 else {}
    )
    assert found.is_empty()


def test_a_new_model_is_blamed_for_what_fell_behind_a_shift_to_a_hard_endpoint(story: Story) -> None:
    def serve(week: int, call: int) -> dict[str, object]:
        hard, new = call % 10 < (6 if week == 5 else 2), week == 5
        loss = 0.3 * hard + 0.12 * new
        return {"endpoint": "hard" if hard else "ask", "model": "m2" if new else "m1", "loss": loss}

    found = story.told(serve, "production")
    assert story.verdict["drop"][0] == pytest.approx(0.12 / (0.75 - 0.3 * 0.6), abs=0.05)
    assert found["cause"].to_list() == ["model_change"]
    assert (
        found["strength"][0] > 0.4
    )  # it hit all calls of the week, so the week itself explains the other half


def test_calls_of_endpoints_with_an_id_in_them_have_causes(story: Story) -> None:
    def serve(week: int, call: int) -> dict[str, object]:
        new = week == 5 and call % 2 == 0
        return {"endpoint": f"/orders/{week}-{call}", "model": "m2" if new else "m1", "loss": 0.3 * new}

    found = story.told(serve, "production")
    assert story.verdict["verdict"].to_list() == ["DEGRADED"]
    assert found["cause"].to_list() == ["model_change"]


def test_an_endpoint_without_a_baseline_explains_nothing(story: Story) -> None:
    def serve(week: int, call: int) -> dict[str, object]:
        new = week == 5 and call < 40
        return {"endpoint": "new" if new else "ask", "model": "m2" if new else "m1", "loss": 0.3 * new}

    assert story.told(serve, "production").is_empty()
    assert story.verdict["verdict"].to_list() == ["CANNOT TELL"]


def beside_a_new_judge(scores: Scores, baseline: Baseline, model: str) -> pl.DataFrame:
    """Return the causes of a week in which one metric fell and another got a new judge."""
    values = np.linspace(0.6, 0.9, 100)
    frozen, observations = baseline(scores(0, values), scores(0, values, metric="recall"))
    week = pl.concat([scores(5, values * 0.8), scores(5, values, metric="recall", judge="j/2")])
    calls = pl.DataFrame(
        {
            "event_id": [*scores(0, values)["event_id"], *scores(5, values)["event_id"]],
            "endpoint": "ask",
            "model_served": ["m1"] * 100 + [model] * 100,
            "prompt_version": "p1",
        }
    )
    verdict = verdicts(week, frozen, observations, Limits(), NOW)
    return causes(verdict, pl.concat([scores(0, values), week]), calls, STALE, FRESHNESS.clear(), frozen)


def test_changed_judge_of_another_metric_is_listed_last(scores: Scores, baseline: Baseline) -> None:
    found = beside_a_new_judge(scores, baseline, "m2")
    assert found["cause"].to_list() == ["model_change", "judge_change"]
    assert found["rank"].to_list() == [1, 2]
    assert "recall" in found["evidence"][1]


def test_changed_judge_of_another_metric_is_not_blamed_for_an_unexplained_drop(
    scores: Scores, baseline: Baseline
) -> None:
    assert beside_a_new_judge(scores, baseline, "m1").is_empty()


def test_ridge_splits_the_worked_example() -> None:
    both = np.repeat([0.0, 1.0], 100)
    units = [str(i) for i in range(200)]
    effects, covariance = ridge_effects(np.column_stack([both, both]), 0.2 * both, units)
    # with the intercept free, both effects solve (2 * 50 + ridge) b = 0.2 * 50
    assert effects[1] == pytest.approx(effects[2])
    assert effects[1] == pytest.approx(
        0.2 * 50 / (2 * 50 + 2)
    )  # 50 = 100 * 100 / 200, the centred sum of squares
    alone, _ = ridge_effects(both[:, None], 0.2 * both, units)
    assert alone[1] == pytest.approx(0.2 * 50 / 52)
    assert np.allclose(covariance, covariance.T)


def test_more_calls_on_the_weaker_of_two_known_models(story: Story) -> None:
    def serve(week: int, call: int) -> dict[str, object]:
        small = (call + 7 * week) % 10 < (9 if week == 5 else 1)
        return {"model": "small" if small else "large", "loss": 0.12 if small else 0.0}

    found = story.told(serve)
    assert found["cause"].to_list() == ["model_change"]
    assert found["strength"][0] > 0.8
    assert "90 % of the scored calls were answered by models that " in found["evidence"][0]
    assert "(small: 10 %)" in found["evidence"][0]


def test_return_to_a_prompt_of_the_first_baseline_weeks(story: Story) -> None:
    def serve(week: int, call: int) -> dict[str, object]:
        old = week < 1 or week == 5
        return {"prompt": "p1" if old else "p2", "loss": 0.12 if old else 0.0}

    found = story.told(serve)
    assert found["cause"].to_list() == ["prompt_change"]
    assert "(p1: 25 %)" in found["evidence"][0]


def test_more_calls_on_a_known_model_that_is_as_good_are_not_blamed(story: Story) -> None:
    def serve(week: int, call: int) -> dict[str, object]:
        other = (call + 7 * week) % 10 < (9 if week == 5 else 3)
        return {"model": "m2" if other else "m1", "loss": 0.1 if week == 5 else 0.0}

    assert story.told(serve).is_empty()


def test_shift_to_harder_questions_of_one_endpoint_is_a_query_mix(story: Story) -> None:
    def topic(week: int, call: int) -> int:
        return (call + week) % 2 + (2 if (call + 3 * week) % 10 < (7 if week == 5 else 2) else 0)

    found = story.told(
        lambda week, call: {"loss": 0.2 if topic(week, call) >= 2 else 0.0}, "production", topic
    )
    assert found["cause"].to_list() == ["query_mix"]
    assert found["strength"][0] > 0.8
    assert "answered as the 10 most alike were there" in found["evidence"][0]


def test_harder_questions_are_not_blamed_for_what_hit_all(story: Story) -> None:
    def topic(week: int, call: int) -> int:
        return (call + 3 * week) % 4

    hard = story.told(
        lambda week, call: {"loss": 0.1 * topic(week, call) + (0.1 if week == 5 else 0.0)},
        "production",
        topic,
    )
    assert hard.is_empty()


def test_other_questions_that_are_as_hard_are_not_blamed(story: Story) -> None:
    found = story.told(
        lambda week, call: {"model": "m2", "loss": 0.1} if week == 5 else {},
        "production",
        lambda week, call: 3 if week == 5 and call % 2 else call % 3,
    )
    assert found["cause"].to_list() == ["model_change"]
