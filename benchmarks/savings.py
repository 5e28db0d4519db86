"""What looking for savings takes over a month of many calls, beside pricing the same calls once.

    python benchmarks/savings.py [--calls 1000000]

Calls are made in DuckDB: three endpoints, five thousand users, conversations of five turns, five chunks each.
"""

import argparse
import resource
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb

from aiops_pipelines.costs.counterfactual import Pricing
from aiops_pipelines.costs.levers import LEVERS
from aiops_pipelines.costs.opportunities import savings_proposals
from aiops_pipelines.costs.prices import call_costs
from aiops_pipelines.project import Project
from aiops_pipelines.resources.month_calls import month_groups
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines.resources.spend_tables import calls_and_costs
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

NAME, JUNE = "benchmark", date(2026, 6, 1)
CALLS = """
    insert into inference_log.inferences by name
    select 'benchmark' as system, 'e' || i as event_id, 'chat' as operation,
        timestamp '2026-06-01' + to_microseconds((i * 30 * 86400.0 * 1e6 / $calls)::bigint) as occurred_at,
        ['ask', 'ask', 'search'][1 + (i % 3)::int] as endpoint, 'openai' as provider,
        'gpt-4.1-2025-04-14' as model_served, 'v1' as prompt_version, 'x1' as index_version,
        2500 + pick(i, 400) as input_uncached, 0 as cache_read, 0 as cache_write,
        60 + pick(i + 1, 200) as output_visible, 0 as reasoning, 'inclusive' as token_convention,
        1200 as system_prompt_tokens, 0 as tools_tokens, 700 as context_tokens, 100 as user_tokens,
        ((i // 7) % 5) * 120 as history_tokens, 'ok' as status,
        's' || (i // 35 * 7 + i % 7) as session_id, 'u' || pick(i // 35 * 7 + i % 7, 5000) as user_id,
        'How do I change setting ' || pick(i + 5, 300000) || '?' as query,
        'On the page of settings, in row ' || pick(i + 5, 300000) || '.' as answer,
        [{'chunk_id': 'c' || pick(i + 11 + n, 5000), 'document': 'd', 'score': 0.5::double}
            for n in range(5)] as retrieved
    from range($calls) as calls(i)
"""
CHUNKS = """
    insert into rag.chunks by name
    select 'benchmark' as system, 'c' || i as chunk_id, '1' as chunker_version,
        repeat('the page of settings has row ' || i || ' ', 1 + (i % 9)::int) as text
    from range(5000) as chunks(i)
"""


def run(calls: int, file: Path) -> None:
    warehouse = Warehouse(file, declared_tables(Project(file.parent).dbt))
    warehouse.prepare()
    with duckdb.connect(str(file)) as connection:
        connection.execute("create temp macro pick(seed, n) as (hash(seed) % n)::bigint")
        connection.execute(CALLS, {"calls": calls})
        connection.execute(CHUNKS)
    rows, _ = calls_and_costs(warehouse, NAME)
    start = time.process_time()
    costs = call_costs(rows, PriceBook().price_of)
    print(f"pricing all calls once: {time.process_time() - start:.1f} CPU s")
    with warehouse.writing() as writer:
        writer.append("costs.call_costs", costs)
    del rows, costs
    system = System.model_validate({"name": NAME, "title": NAME, "inference_log": {"folder": "log"}})
    start = time.process_time()
    with warehouse.held():
        groups = list(month_groups(warehouse, system, JUNE))
    read = time.process_time()
    found = savings_proposals(NAME, JUNE, groups, LEVERS, Pricing(PriceBook().price_of))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"reading {read - start:.1f}, levers {time.process_time() - read:.1f} CPU s, peak {peak:,.0f} MB")
    print(found.group_by("verdict").len())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options.calls, Path(folder) / "aiops.duckdb")
