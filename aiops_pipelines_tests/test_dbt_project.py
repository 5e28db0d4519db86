"""The dbt project on a warehouse without rows, then on a handful whose figures are worked out by hand."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from aiops_pipelines.costs.cells import spend_cells
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse

DBT_PROJECT = Path(__file__).parents[1] / "dbt_project"
INPUT_PARTS = ("system_prompt", "tools", "context", "history", "user")
CADENCES = {"continuous", "weekly", "monthly"}


@dataclass(frozen=True)
class Project:
    """The dbt project with a warehouse of its own; everything dbt writes goes to a temporary folder."""

    folder: Path
    warehouse: Warehouse

    def dbt(self, command: str, *arguments: str) -> str:
        folders: list[str | Path] = ["--project-dir", DBT_PROJECT, "--profiles-dir", DBT_PROJECT]
        folders += ["--target-path", self.folder / "target", "--log-path", self.folder / "logs"]
        finished = subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", command, *folders, *arguments],
            env={**os.environ, "AIOPS_WAREHOUSE": str(self.warehouse.file)},
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    def insert(self, table: str, *rows: Mapping[str, Any]) -> None:
        frame = pl.DataFrame(list(rows), schema=self.warehouse.tables[table].schema)
        with self.warehouse.writing() as writer:
            writer.append(table, frame)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.warehouse.read(sql).rows()

    @property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.folder / "target" / "manifest.json").read_text())
        return manifest

    @property
    def models(self) -> dict[str, dict[str, Any]]:
        nodes = self.manifest["nodes"].values()
        return {f"{n['schema']}.{n['name']}": n for n in nodes if n["resource_type"] == "model"}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, int]]:
    """The project built on declared tables without a row, and the rows of every model."""
    folder = tmp_path_factory.mktemp("dbt")
    project = Project(folder, Warehouse(folder / "aiops.duckdb", declared_tables(DBT_PROJECT)))
    project.warehouse.prepare()
    project.dbt("build", "--exclude", "resource_type:unit_test")
    return project, {name: project.rows(f"select count(*) from {name}")[0][0] for name in project.models}


@pytest.fixture(scope="module")
def project(empty: tuple[Project, dict[str, int]]) -> Project:
    """The project built again, with its unit tests, after a few rows came in."""
    project, _ = empty
    insert_story(project)
    insert_random_calls(project)
    insert_cached_calls(project)
    project.dbt("build")
    return project


def call(event_id: str, at: datetime, **more: Any) -> dict[str, Any]:
    return {
        "system": "s",
        "event_id": event_id,
        "occurred_at": at,
        "endpoint": "chat",
        "status": "ok",
        **more,
    }


def cost(event_id: str, input_usd: str, output_usd: str) -> dict[str, Any]:
    total = Decimal(input_usd) + Decimal(output_usd)
    bounds = {"cost_low_usd": total, "cost_high_usd": total}
    priced = {"price_status": "priced", "cost_usd": total, "output_usd": Decimal(output_usd), **bounds}
    return {"system": "s", "event_id": event_id, **priced}


def insert_story(project: Project) -> None:
    """Three calls in one week, none in the next, one probe in the week after, with another model."""
    monday = datetime(2026, 6, 1, 10, tzinfo=UTC)
    old, new = {"model_served": "m-1"}, {"model_served": "m-2", "known_query_id": "q"}
    parts = {"system_prompt_tokens": 1, "context_tokens": 1, "user_tokens": 1}
    verdicts = [{"guardrail": "input", "category": "injection", "action": "block"}]
    tokens = {"input_uncached": 2, "cache_read": 1, "output_visible": 5}
    project.insert(
        "inference_log.inferences",
        call("a", monday, latency_ms=100, user_id="u1", pii_counts='{"email": 2}', **old, **parts, **tokens),
        call("b", monday + timedelta(hours=1), latency_ms=300, user_id="u2", input_uncached=9, **old),
        call(
            "c", monday + timedelta(days=6), status="blocked", user_id="u2", guardrail_events=verdicts, **old
        ),
        call("d", monday + timedelta(days=15), latency_ms=50, index_version="i", **new),
    )
    unknown = {"system": "s", "event_id": "b", "price_status": "unknown"}
    no_usage = [{"system": "s", "event_id": event, "price_status": "no_usage"} for event in "cd"]
    project.insert("costs.call_costs", cost("a", "0.000000000010", "0.000000000005"), unknown, *no_usage)
    score = {
        "system": "s",
        "week": date(2026, 6, 1),
        "sample": "production",
        "metric": "support",
        "judge": "j",
    }
    project.insert(
        "monitoring.quality_scores",
        {**score, "event_id": "a", "value": 0.59},
        {**score, "event_id": "b", "value": 0.61},
        {**score, "event_id": "c", "reason": "no answer"},
    )
    project.insert("monitoring.user_signals", {"system": "s", "event_id": "a", "signal": "rephrased"})
    inference = {"system": "s", "kind": "inference", "event_id": "a", "occurred_at": monday}
    project.insert("compliance.audit_log", inference)


def insert_random_calls(project: Project) -> None:
    """Calls of system r, one an endpoint, with random costs and tokens (often 0, sometimes none at all)."""
    dice = random.Random(20260601)
    calls, costs = [], []
    for number in range(300):
        name = f"call-{number}"
        tokens = {part: dice.choice([0, 0, 1, 3, 700, dice.randrange(1, 10**6)]) for part in INPUT_PARTS}
        unsplit = dice.choice([0, 0, 7, 123_457])
        parts = {f"{part}_tokens": count for part, count in tokens.items()}
        usage = {"input_uncached": sum(tokens.values()) + unsplit, "output_visible": dice.choice([0, 11])}
        moment = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=number)
        calls.append(
            {**call(name, moment, model_served="m", **parts, **usage), "system": "r", "endpoint": name}
        )
        amounts = [str(Decimal(dice.randrange(10 ** dice.randrange(1, 17))).scaleb(-12)) for _ in "io"]
        costs.append({**cost(name, *amounts), "system": "r"})
    project.insert("inference_log.inferences", *calls)
    project.insert("costs.call_costs", *costs)


def insert_cached_calls(project: Project) -> None:
    """Calls of system k, one an endpoint, of which a cache served and kept some, by their price or for any."""
    dice = random.Random(20260608)
    calls, costs = [], []
    for number in range(300):
        name = f"cached-{number}"
        tokens = {
            f"{part}_tokens": dice.choice([0, 1, 700, dice.randrange(1, 10**6)]) for part in INPUT_PARTS
        }
        kept = {"cache_read": 0, "cache_write": 0, "input_uncached": dice.choice([0, 7])}
        for count in tokens.values():
            kept[dice.choice(list(kept))] += count
        moment = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=number)
        calls.append(
            {**call(name, moment, model_served="m", **tokens, **kept), "system": "k", "endpoint": name}
        )
        paid = {kind: Decimal(count * dice.randrange(10**7)).scaleb(-12) for kind, count in kept.items()}
        priced = {f"{kind}_usd": amount for kind, amount in paid.items()}
        costs.append(cost(name, str(sum(paid.values())), "0") | priced | {"system": "k"})
    project.insert("inference_log.inferences", *calls)
    project.insert("costs.call_costs", *costs)


def test_every_model_builds_on_empty_tables(empty: tuple[Project, dict[str, int]]) -> None:
    _, counts = empty
    assert counts and set(counts.values()) == {0}


def test_every_model_and_column_is_described_as_built(project: Project) -> None:
    models = project.models
    described = {
        (name, column["name"], column["data_type"])
        for name, model in models.items()
        for column in model["columns"].values()
        if model["description"] and column["description"]
    }
    built = project.rows(
        "select table_schema || '.' || table_name, column_name, replace(data_type, chr(34), '') from information_schema.columns"
    )
    assert described == {row for row in built if row[0] in models}


def test_folder_is_schema_and_group_and_every_model_has_one_cadence(project: Project) -> None:
    for name, model in project.models.items():
        folder = Path(model["original_file_path"]).parent.name
        assert name == f"{folder}.{model['name']}"
        pillar = {"stg_inferences": "inference_log", "stg_call_costs": "costs"}.get(model["name"], folder)
        assert model["config"]["meta"] == {"dagster": {"group": pillar}}
        assert len(CADENCES.intersection(model["tags"])) == 1


def test_every_declared_table_is_a_dagster_asset_of_its_own_name(project: Project) -> None:
    for source in project.manifest["sources"].values():
        assert source["config"]["meta"] == {"dagster": {"asset_key": [source["name"]]}}, source["unique_id"]


def test_a_cadence_only_tests_what_it_rebuilt(project: Project) -> None:
    """With `buildable`, a test runs where its tables are selected or read by what is: nothing stale, nothing left out."""
    settings = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    assert settings["flags"]["indirect_selection"] == "buildable"
    nodes = project.manifest["nodes"]
    tests = [node for node in nodes.values() if node["resource_type"] == "test"]
    assert len(tests) > 30
    for test in tests:
        model = nodes[test["attached_node"]]
        others = set(test["depends_on"]["nodes"]) - {model["unique_id"], *model["depends_on"]["nodes"]}
        assert all(nodes[other]["tags"] == model["tags"] for other in others), test["name"]


def test_parts_of_all_calls_cost_what_all_calls_cost(project: Project) -> None:
    sums = "select sum(cost_usd) from {} group by system order by system"
    assert project.rows(sums.format("costs.daily_spend")) == project.rows(sums.format("costs.call_costs"))
    assert project.rows(sums.format("costs.weekly_spend")) == project.rows(sums.format("costs.call_costs"))


def test_parts_of_each_call_cost_what_the_call_costs(project: Project) -> None:
    off = """
        select endpoint from costs.daily_spend where system in ('r', 'k') group by system, endpoint
        having sum(cost_usd) is distinct from (select any_value(cost_usd) from costs.call_costs c
                                               where c.system = daily_spend.system and event_id = endpoint)
    """
    assert project.rows(off) == []


def test_each_part_costs_its_share_of_the_tokens(project: Project) -> None:
    """Half a last digit lost at either end of the part, and the 16 digits of a double."""
    sql = """
        select tokens, cost_usd, all_tokens, all_usd from costs.daily_spend inner join (
            select event_id as endpoint, cost_usd - output_usd as all_usd, input_uncached as all_tokens
            from costs.call_costs inner join inference_log.inferences using (system, event_id)
        ) using (endpoint) where system = 'r' and part <> 'completion' and all_tokens > 0
    """
    shares = project.rows(sql)
    assert len(shares) > 300
    for tokens, part_usd, all_tokens, all_usd in shares:
        fair = Fraction(all_usd) * tokens / all_tokens
        assert abs(Fraction(part_usd) - fair) <= Fraction(1, 10**12) + Fraction(all_usd) / 10**15


def test_spend_and_growth_share_cached_input_alike(project: Project) -> None:
    """The roll-up and the cells that growth compares are two ways to the same cost of a part."""
    of_k = [
        project.warehouse.rows(table, system="k")
        for table in ("inference_log.inferences", "costs.call_costs")
    ]
    cells = {
        (row["endpoint"], row["part"]): row["cost_usd"] for row in spend_cells(*of_k, every="1d").to_dicts()
    }
    spend = project.rows(
        "select endpoint, part, cost_usd from costs.daily_spend where system = 'k' and tokens > 0"
    )
    assert len(spend) > 900 and len(spend) == len(cells)
    for endpoint, part, usd in spend:
        part_usd = cells[endpoint, part]
        assert abs(float(usd) - part_usd) <= 2e-12 + 1e-9 * part_usd, (endpoint, part)


def test_a_day_of_calls(project: Project) -> None:
    rows = project.rows("""
        select calls, probes, blocked, latency_p50_ms, latency_p95_ms, input_tokens, output_tokens, cost_usd, calls_unpriced
        from monitoring.daily_traffic where system = 's' order by day
    """)
    tiny = Decimal("0.000000000015")
    assert rows == [
        (2, 0, 0, 200.0, 290.0, 12, 5, tiny, 1),
        (1, 0, 1, None, None, None, None, None, 1),
        (1, 1, 0, 50.0, 50.0, None, None, None, 1),
    ]


def test_a_week_without_calls_is_a_row(project: Project) -> None:
    rows = project.rows("""
        select week, calls, users, latency_p50_ms from monitoring.weekly_traffic where system = 's' order by week
    """)
    assert rows == [
        (date(2026, 6, 1), 3, 2, 200.0),
        (date(2026, 6, 8), 0, 0, None),
        (date(2026, 6, 15), 1, 0, 50.0),
    ]


def test_a_new_model_is_a_change_at_its_first_call(project: Project) -> None:
    rows = project.rows("select occurred_at, what, before, after from drift.change_events")
    assert rows == [(datetime(2026, 6, 16, 10, tzinfo=UTC), "model_served", "m-1", "m-2")]


@pytest.mark.parametrize("table", ["monitoring.weekly_quality", "monitoring.model_quality"])
def test_unmeasured_scores_enter_no_mean(project: Project, table: str) -> None:
    """Scores 0.59 and 0.61: mean 0.6, standard error 0.01; t is 12.706 with one degree of freedom."""
    ((scored, unmeasured, mean, low, high),) = project.rows(
        f"select scored, unmeasured, mean, low, high from {table} where scored > 0"
    )
    assert (scored, unmeasured) == (2, 1)
    assert (mean, low, high) == pytest.approx((0.6, 0.47294, 0.72706))


def test_guardrails_personal_data_signals_and_records_are_counted(project: Project) -> None:
    blocks = "select blocks from compliance.guardrail_weekly order by week"
    masked = "select pii_type, masked from compliance.pii_weekly order by week"
    shares = "select calls, share from monitoring.weekly_signals order by week"
    records = """
        select inferences, with_model, with_index_version, inferences_audited
        from compliance.monthly_record_keeping where system = 's'
    """
    assert project.rows(blocks) == [(1,), (0,), (0,)]
    assert project.rows(masked) == [("email", 2), ("email", 0), ("email", 0)]
    assert project.rows(shares) == [(1, 1 / 3), (0, None), (0, None)]
    assert project.rows(records) == [(4, 4, 1, 1)]
