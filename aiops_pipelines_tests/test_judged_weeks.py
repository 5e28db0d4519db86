"""Seven weeks of a shop with a judge over HTTP, through the real assets: a fall of the answers is told from one of the judge."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from aiops_pipelines.compliance.figures import figures
from aiops_pipelines.compliance.month_evidence import MonthEvidence
from aiops_pipelines.incidents.facts import Facts
from aiops_pipelines.incidents.review import weekly_review
from aiops_pipelines.incidents.review_inputs import ReviewInputs
from aiops_pipelines.incidents.rules import signals
from aiops_pipelines.monitoring.hallucinations import PROXY
from aiops_pipelines.project import Project
from aiops_pipelines.resources import judging_model, model_judge
from aiops_pipelines.resources.judge import judge as offline_judge
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System, load_system
from aiops_pipelines_tests.resources.fake_judge import FakeJudge, serving
from aiops_pipelines_tests.resources.judged_shop import CLOCK, fill, week

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")
SYSTEM = """
name: shop
title: Shop
as_of: 2026-07-20T06:00:00Z
inference_log: {{folder: log}}
baseline: {{weeks: 2, minimum_rows: 20}}
judge:
  kind: openai_compatible
  base_url: {url}
  model: tiny
  dated_name: tiny-1
  concurrency: 8
"""
ANSWERS = 60


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeJudge, str]]:
    monkeypatch.setattr(judging_model, "RETRIES", 0)
    # the runs of a test are seconds apart, and the judge changes between them
    monkeypatch.setattr(model_judge, "AS_GOOD_AS_NOW", timedelta(0))
    with serving() as running:
        yield running


@pytest.fixture
def shop(project: Project, warehouse: Warehouse, server: tuple[FakeJudge, str]) -> System:
    """Five weeks in each of which a tenth of the answers is wrong."""
    project.systems.mkdir(parents=True)
    file = project.systems / "shop.yaml"
    file.write_text(SYSTEM.format(url=server[1]))
    fill(warehouse, weeks=5, answers=ANSWERS, false=ANSWERS // 10, known=15)
    return load_system(file, project.data)


def work(project: Project, warehouse: Warehouse, *weeks: int) -> None:
    """Run the weekly assets over some weeks, a week after they last ran."""
    from aiops_pipelines.defs import drift, monitoring
    from aiops_pipelines.defs.cadences import period_range, systems

    frozen = warehouse.rows("monitoring.frozen_scores").with_columns(pl.col("judged_at") - timedelta(days=7))
    warehouse.replace("monitoring.frozen_scores", frozen, system="shop")
    assets = [
        monitoring.quality_scores,
        monitoring.baseline,
        drift.judge_drift,
        drift.drift_verdicts,
        monitoring.hallucination_rates,
    ]
    jobs = dg.Definitions(
        assets=assets,
        resources={"project": project, "warehouse": warehouse, "judge": offline_judge()},
        jobs=[dg.define_asset_job("weekly", assets)],
    )
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(systems.name or "", ["shop"])
        tags = period_range([week(number) for number in weeks], ["shop"])
        assert jobs.resolve_job_def("weekly").execute_in_process(instance=instance, tags=tags).success


def verdicts(warehouse: Warehouse, number: int) -> dict[tuple[str, str], dict[str, Any]]:
    rows = warehouse.rows("drift.drift_verdicts", week=week(number)).rows(named=True)
    return {(row["sample"], row["metric"]): row for row in rows}


def rate(warehouse: Warehouse, number: int) -> dict[str, Any]:
    [row] = warehouse.rows("monitoring.hallucination_rates", grain="week", period_start=week(number)).rows(
        named=True
    )
    return row


def worse(warehouse: Warehouse, number: int) -> None:
    """Let half of the answers of a week be wrong."""
    rows = warehouse.rows("inference_log.inferences").filter(
        pl.col("event_id").str.starts_with(f"w{number}-")
    )
    odd = pl.col("event_id").str.contains("[13579]$") & pl.col("known_query_id").is_null()
    rows = rows.with_columns(answer=pl.when(odd).then(pl.lit("The fee is nine dollars.")).otherwise("answer"))
    warehouse.replace("inference_log.inferences", rows, event_id=rows["event_id"].to_list())


def test_a_fall_of_the_answers_is_told_from_one_of_the_judge(
    project: Project, warehouse: Warehouse, server: tuple[FakeJudge, str], shop: System
) -> None:
    fake, _ = server
    work(project, warehouse, 0, 1)
    assert set(warehouse.rows("monitoring.baselines")["metric"]) >= {"faithfulness", "answer_correctness"}
    worse(warehouse, 2)
    work(project, warehouse, 2)
    fell = verdicts(warehouse, 2)["production", "faithfulness"]
    assert fell["verdict"] == "DEGRADED"
    assert verdicts(warehouse, 2)["known", "answer_correctness"]["verdict"] != "DEGRADED"
    assert (rate(warehouse, 1)["rate"], rate(warehouse, 2)["with_unsupported"]) == (0.1, 33)
    assert rate(warehouse, 2)["low"] < 0.55 < rate(warehouse, 2)["high"]

    fake.strict_about = {"returned", "opens", "battery", "ten"}  # other weights behind the same name
    work(project, warehouse, 3)
    row = verdicts(warehouse, 3)["production", "faithfulness"]
    assert (row["verdict"], row["reason"].split(":")[0]) == ("CANNOT TELL", "The judge drifted")
    reasons = warehouse.rows("monitoring.quality_scores", week=week(3), metric="faithfulness")["reason"]
    assert (
        reasons.drop_nulls().str.contains("a canary of the batch wrong").sum() == 60
    )  # of 75, in three batches
    assert rate(warehouse, 3)["rate"] is None


def test_a_judge_that_drifts_past_its_canaries_is_named(
    project: Project, warehouse: Warehouse, server: tuple[FakeJudge, str], shop: System
) -> None:
    """What it got wrong is none of the three batches' canaries, so its scores are kept and compared with nothing."""
    fake, _ = server
    work(project, warehouse, 0, 1)
    fake.strict_about = {"museum", "medicine", "ferry", "course", "ten"}
    work(project, warehouse, 2)
    row = verdicts(warehouse, 2)["production", "faithfulness"]
    assert row["verdict"] == "CANNOT TELL" and row["week_mean"] == 0
    assert row["reason"].startswith("The judge drifted: of 32 frozen answers 4 are judged lower and 0 higher")
    assert rate(warehouse, 2)["reason"].startswith("NOT MEASURED: the judge drifted")
    offline = verdicts(warehouse, 2)["production", "answer_bigram_support"]
    assert offline["verdict"] != "DEGRADED" and "judge" not in offline["reason"]
    facts = Facts("shop", CLOCK, drift_verdicts=warehouse.rows("drift.drift_verdicts"))
    assert {row["signal"] for row in signals(facts, shop.limits).rows(named=True)} == {"judge_changed"}


def test_another_model_behind_the_name_is_no_score(
    project: Project, warehouse: Warehouse, server: tuple[FakeJudge, str], shop: System
) -> None:
    server[0].answered_as = "tiny-2"
    work(project, warehouse, 0)
    scores = warehouse.rows("monitoring.quality_scores", metric="faithfulness")
    assert scores["value"].null_count() == scores.height > 0
    assert len(server[0]) < 3 * judging_model.GIVEN_UP
    [problem] = warehouse.rows("operations.problems")["problem"].to_list()[:1]
    assert "the judge" in problem and "unmeasured" in problem


def test_the_review_and_the_report_say_the_rate_or_why_there_is_none(
    project: Project, warehouse: Warehouse, server: tuple[FakeJudge, str], shop: System
) -> None:
    work(project, warehouse, 0, 1, 2, 3, 4)
    rates = warehouse.rows("monitoring.hallucination_rates")
    june = figures(MonthEvidence(shop, date(2026, 6, 1), CLOCK, hallucinations=rates))
    assert june["quality.hallucination_rate"].value == 0.1
    assert june["quality.hallucination_answers"].value == 4 * ANSWERS
    assert june["quality.hallucination_low"].value < 0.1 < june["quality.hallucination_high"].value  # type: ignore[operator]
    july = figures(MonthEvidence(shop, date(2026, 8, 1), CLOCK, hallucinations=rates))
    assert (
        july["quality.hallucination_rate"].value is None
        and "NOT MEASURED" in july["quality.hallucination_rate"].missing
    )
    assert said(shop, rates, 2) == (
        0.1,
        "of 60 sampled answers; 95 % interval 3.7 % to 20.6 %, as the judge in use sees it",
    )


def said(shop: System, rates: pl.DataFrame, number: int) -> tuple[Any, str]:
    review = weekly_review(ReviewInputs(shop, week(number), CLOCK, hallucinations=rates))
    [quality] = [part for part in review.sections if part.key == "quality"]
    [figure] = [one for one in quality.figures if one.label == "Hallucination rate"]
    return figure.value, figure.note.replace("\u00a0", " ")


def test_the_offline_judge_has_no_rate_and_says_that_it_is_a_proxy(
    project: Project, warehouse: Warehouse, server: tuple[FakeJudge, str], shop: System
) -> None:
    file = project.systems / "shop.yaml"
    file.write_text(file.read_text().partition("judge:")[0])
    work(project, warehouse, 0, 1, 2)
    assert len(server[0]) == 0
    assert set(warehouse.rows("monitoring.quality_scores")["metric"]) == {
        "answer_bigram_support",
        "reference_similarity",
        "context_recall_id",
        "context_precision_id",
    }
    assert all(
        warehouse.rows(f"monitoring.{name}").is_empty()
        for name in ("judged_answers", "judge_batches", "frozen_scores")
    )
    assert said(shop, warehouse.rows("monitoring.hallucination_rates"), 2) == (None, PROXY)
