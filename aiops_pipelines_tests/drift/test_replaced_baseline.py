"""Weeks are judged through the real assets, and again after a new baseline took the place of the old one."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import numpy as np
import polars as pl
import pytest

from aiops_pipelines.inference_log.record import SCHEMA
from aiops_pipelines.monitoring.baseline import freeze
from aiops_pipelines.project import Project
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import Baseline
from aiops_pipelines_tests.drift.conftest import FIRST, scored

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")
SYSTEM = "name: support\ntitle: t\nas_of: 2026-07-27T06:00:00Z\ninference_log: {folder: log}\n"
NOW = datetime(2026, 7, 27, 6, tzinfo=UTC)
WEEKS = [FIRST + timedelta(weeks=week) for week in range(8)]
GOOD, BAD = 0.0, 0.1


def freeze_from(warehouse: Warehouse, first: int) -> None:
    scores = warehouse.rows("monitoring.quality_scores").filter(pl.col("week") >= WEEKS[first])
    baselines, observations = freeze(scores, Baseline(weeks=2, minimum_rows=1), NOW)
    with warehouse.writing() as writer:
        writer.replace("monitoring.baselines", baselines, system="support")
        writer.replace("monitoring.baseline_scores", observations, system="support")


def judge(project: Project, warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    """Run the weekly assets over all weeks; return what the verdicts and the causes say."""
    from aiops_pipelines.defs.cadences import period_range, systems
    from aiops_pipelines.defs.drift import drift_causes, drift_verdicts

    jobs = dg.Definitions(
        assets=[drift_verdicts, drift_causes],
        resources={"project": project, "warehouse": warehouse},
        jobs=[dg.define_asset_job("weekly", [drift_verdicts.key, drift_causes.key])],
    )
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(systems.name or "", ["support"])
        tags = period_range(WEEKS, ["support"])
        assert jobs.resolve_job_def("weekly").execute_in_process(instance=instance, tags=tags).success
    columns = {"drift_verdicts": ("week", "verdict"), "drift_causes": ("week", "cause", "evidence")}
    return {
        name: warehouse.rows(f"drift.{name}").sort("week").select(shown).rows()
        for name, shown in columns.items()
    }


@pytest.fixture
def fallen(project: Project, warehouse: Warehouse, rng: np.random.Generator) -> Warehouse:
    """Eight weeks of 100 known queries that fall in the fifth, when model m2 takes over from m1."""
    project.systems.mkdir(parents=True)
    (project.systems / "support.yaml").write_text(SYSTEM)
    quality = rng.uniform(0.6, 0.9, 100)
    scores = pl.concat(
        scored(week, list(quality - (BAD if week >= 4 else GOOD) + rng.normal(0, 0.03, 100)))
        for week in range(8)
    )
    blank = pl.DataFrame(schema=SCHEMA)
    calls = scores.select(
        "system",
        "event_id",
        occurred_at=pl.col("week").cast(pl.Datetime("us", "UTC")),
        model_served=pl.when(pl.col("week") >= WEEKS[4]).then(pl.lit("m2")).otherwise(pl.lit("m1")),
        status=pl.lit("ok"),
    )
    with warehouse.writing() as writer:
        writer.append("monitoring.quality_scores", scores)
        writer.append("inference_log.inferences", pl.concat([blank, calls], how="diagonal"))
    freeze_from(warehouse, 0)
    return warehouse


def test_what_the_old_baseline_said_stays(project: Project, fallen: Warehouse) -> None:
    before = judge(project, fallen)
    assert before["drift_verdicts"] == [
        (week, "DEGRADED" if week >= WEEKS[4] else "OK") for week in WEEKS[2:]
    ]
    assert [row[:2] for row in before["drift_causes"]] == [(week, "model_change") for week in WEEKS[4:]]
    freeze_from(fallen, 5)
    after = judge(project, fallen)
    assert after["drift_verdicts"] == [*before["drift_verdicts"][:5], (WEEKS[7], "OK")]
    assert after["drift_causes"] == before["drift_causes"][:3]


def test_causes_rest_on_the_weeks_of_the_new_baseline(project: Project, fallen: Warehouse) -> None:
    """Back on the model of before the new baseline, and worse than that baseline: the model is new to it."""
    freeze_from(fallen, 5)
    last = fallen.rows("monitoring.quality_scores", week=WEEKS[7])
    worse = last.with_columns(pl.col("value") - 0.15)
    back = fallen.rows("inference_log.inferences").with_columns(
        model_served=pl.when(pl.col("event_id").is_in(last["event_id"].to_list()))
        .then(pl.lit("m1"))
        .otherwise("model_served")
    )
    with fallen.writing() as writer:
        writer.replace("monitoring.quality_scores", worse, week=WEEKS[7])
        writer.replace("inference_log.inferences", back, system="support")
    found = judge(project, fallen)
    assert found["drift_verdicts"] == [(WEEKS[7], "DEGRADED")]
    [(_, cause, evidence)] = found["drift_causes"]
    assert cause == "model_change" and "models that are not in the baseline (m1)" in str(evidence)
