"""Hour x endpoint percentiles and daily spend over millions of calls, beside plain queries on the same file.

Ours are the project's own dbt models, compiled by dbt and run as dbt runs them, and the function that reads
percentiles with intervals out of the sketch. A plain query gives the figure alone: three percentiles of
latency, the same of both times by hour, day and week, or one sum of cost. Each is run by turns in one
process; the figures are the least of the rounds.

    python benchmarks/rollup.py [--calls 5000000] [--rounds 3]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl

from aiops_pipelines.monitoring.service_levels import latency_percentiles
from aiops_pipelines.project import Project
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse

DAYS = 90
CALLS = f"""
insert into inference_log.inferences by name
select
    'benchmark' as system,
    format('{{:016x}}', hash(i)) as event_id,
    timestamp '2026-06-01' + to_milliseconds((i * {DAYS}.0 * 86400000 / $calls)::bigint) as occurred_at,
    ['chat', 'search', 'draft-reply', 'summarise', 'classify'][1 + pick(i + 1, 5)] as endpoint,
    ['gpt-4.1', 'gpt-4.1-mini'][1 + pick(i + 2, 2)] as model_served,
    ['starter', 'team', 'business'][1 + pick(i + 3, 3)] as user_group,
    200 + pick(i + 4, 3800) as latency_ms,
    50 + pick(i + 5, 150) as time_to_first_token_ms,
    150 + pick(i + 6, 1200) as input_uncached, 0 as cache_read, 0 as cache_write,
    10 + pick(i + 7, 290) as output_visible, 0 as reasoning,
    input_uncached + output_visible as tokens_total, 'inclusive' as token_convention,
    109 as system_prompt_tokens, 0 as tools_tokens, 0 as history_tokens,
    4 + pick(i + 8, 36) as user_tokens,
    input_uncached - 109 - user_tokens as context_tokens, output_visible as completion_tokens,
    if(pick(i + 9, 100) = 0, 'error', 'ok') as status
from range($calls) as calls(i)
"""
PICK = "create temp macro pick(seed, n) as (hash(seed) % n)::bigint"
COSTS = """
insert into costs.call_costs by name
select system, event_id, 'priced' as price_status,
    input_uncached * 0.0000020 + output_visible * 0.0000080 as cost_usd,
    cost_usd as cost_low_usd, cost_usd as cost_high_usd,
    input_uncached * 0.0000020 as input_uncached_usd, output_visible * 0.0000080 as output_usd
from inference_log.inferences
"""
PLAIN_PERCENTILES = """
create or replace table plain_percentiles as
select system, date_trunc('hour', occurred_at) as hour, endpoint, count(*) as calls,
    quantile_cont(latency_ms, [0.5, 0.95, 0.99]) as latency_ms
from inference_log.inferences group by all
"""
PLAIN_PERIODS = """
create or replace table plain_periods as
select system, date_trunc('hour', occurred_at) as hour, date_trunc('day', occurred_at) as day,
    date_trunc('week', occurred_at) as week, endpoint, count(*) as calls,
    quantile_cont(latency_ms, [0.5, 0.95, 0.99]) as latency_ms,
    quantile_cont(time_to_first_token_ms, [0.5, 0.95, 0.99]) as time_to_first_token_ms
from inference_log.inferences
group by grouping sets (
    (system, hour, endpoint), (system, hour), (system, day, endpoint), (system, day),
    (system, week, endpoint), (system, week)
)
"""
PLAIN_SPEND = """
create or replace table plain_spend as
select system, occurred_at::date as day, endpoint, model_served, sum(cost_usd) as cost_usd
from inference_log.inferences join costs.call_costs using (system, event_id) group by all
"""
MODELS = ("hourly_usage", "hourly_traffic", "latency_sketch", "hourly_spend", "daily_spend")


def compiled(database: Path, target: Path) -> dict[str, str]:
    """Build the models once with dbt; return the SQL it made of each."""
    dbt = Project.here().dbt
    folders = ["--project-dir", str(dbt), "--profiles-dir", str(dbt), "--target-path", str(target)]
    wanted = ["--select", *(f"+{name}" for name in MODELS)]
    command = [sys.executable, "-m", "dbt.cli.main", "--quiet", "run", *folders, *wanted]
    subprocess.run(command, check=True, env=os.environ | {"AIOPS_WAREHOUSE": str(database)})
    return {name: next(target.glob(f"compiled/**/{name}.sql")).read_text() for name in MODELS}


def ways(database: Path, sql: dict[str, str]) -> dict[str, Callable[[], None]]:
    """Return what is measured, by name."""

    def run(*statements: str) -> None:
        with duckdb.connect(str(database)) as connection:
            for statement in statements:
                connection.execute(statement)

    def model(name: str) -> str:
        pillar = "costs" if name.endswith(("spend", "usage")) else "monitoring"
        kind = "view" if name == "hourly_spend" else "table"
        return f"create or replace {kind} {pillar}.{name} as {sql[name]}"

    def from_the_sketch() -> None:
        run(model("latency_sketch"))
        with duckdb.connect(str(database), read_only=True) as connection:
            sketch = connection.execute("from monitoring.latency_sketch").pl()
        latency_percentiles(sketch.with_columns(pl.col("hour").dt.replace_time_zone("UTC")))

    return {
        "plain percentiles": lambda: run(PLAIN_PERCENTILES),
        "hourly_traffic: percentiles, rates, tokens and cost": lambda: run(model("hourly_traffic")),
        "plain percentiles by hour, day and week": lambda: run(PLAIN_PERIODS),
        "latency_sketch and percentiles with intervals, hour, day and week": from_the_sketch,
        "plain spend": lambda: run(PLAIN_SPEND),
        "hourly_usage, hourly_spend and daily_spend by part": lambda: run(
            model("hourly_usage"), model("hourly_spend"), model("daily_spend")
        ),
    }


def main() -> None:
    """Make the calls, measure each way by turns and print ratios to the plain query above it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        database = Path(name) / "warehouse.duckdb"
        Warehouse(database, declared_tables(Project.here().dbt)).prepare()
        with duckdb.connect(str(database)) as connection:
            connection.execute(PICK)
            connection.execute(CALLS, {"calls": options.calls})
            connection.execute(COSTS)
        measured = ways(database, compiled(database, Path(name) / "target"))
        taken: dict[str, list[tuple[float, float]]] = {way: [] for way in measured}
        for _ in range(options.rounds):
            for way, do in measured.items():
                began = time.perf_counter(), time.process_time()
                do()
                taken[way].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    base = (1.0, 1.0)
    for way, found in taken.items():
        least = min(wall for wall, _ in found), min(cpu for _, cpu in found)
        base = least if way.startswith("plain") else base
        print(
            f"{way}: wall {least[0] / base[0]:.2f}, CPU {least[1] / base[1]:.2f} ({least[1]:.2f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
