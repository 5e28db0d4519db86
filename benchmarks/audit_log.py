"""Calls into the audit log: entering them, signing it, verifying all of it, beside hashing the same leaves.

Entries are made of masked calls of 20,000 people, each with a key of its own. Bare is what no log can be
verified without: the leaves read, hashed, and hashed up to the root. Each step is a process of its own.

    python benchmarks/audit_log.py [--calls 100000 1000000]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

NOW = datetime(2026, 9, 10, tzinfo=UTC)
SYSTEM = "benchmark"
PEOPLE = 20_000
CALLS = f"""
insert into inference_log.inferences by name
select
    '{SYSTEM}' as system,
    format('{{:016x}}', hash(i)) as event_id,
    timestamp '2026-06-01' + to_milliseconds((i * 90.0 * 86400000 / $calls)::bigint) as occurred_at,
    'chat' as endpoint, 'gpt-4.1' as model_requested, 'gpt-4.1-2025-04-14' as model_served,
    'v1' as prompt_version, 'ok' as status, 200 + hash(i + 1) % 3800 as latency_ms,
    500 + hash(i + 2) % 1000 as tokens_total, 'u' || hash(i + 3) % {PEOPLE} as user_id,
    repeat('How long does it take to return parcel ', 2) || i as query,
    repeat('It takes thirty days from the day on which it came. ', 6) as answer, '{{}}' as pii_counts
from range($calls) as calls(i)
"""
COSTS = """
insert into costs.call_costs by name
select system, event_id, 'priced' as price_status, tokens_total * 0.000004 as cost_usd
from inference_log.inferences
"""


def step(name: str, data: Path) -> dict[str, float]:
    """Take one step in this process; return CPU seconds, wall seconds and the peak of memory, MB."""
    from aiops_pipelines.compliance.merkle import leaf_hash, root_hash
    from aiops_pipelines.project import Project
    from aiops_pipelines.resources.audit_book import AuditBook
    from aiops_pipelines.resources.audit_calls import new_entries
    from aiops_pipelines.resources.keys import Keys
    from aiops_pipelines.resources.tables import declared_tables
    from aiops_pipelines.resources.warehouse import Warehouse

    project = Project(data)
    warehouse = Warehouse(project.warehouse, declared_tables(Project.here().dbt))
    book = AuditBook(project, warehouse, Keys(project.keys))
    warehouse.prepare()
    with warehouse.held():
        wall, cpu = time.perf_counter(), time.process_time()
        if name == "enter":
            book.append(SYSTEM, new_entries(warehouse, SYSTEM, book.keys))
        elif name == "sign":
            book.sign(SYSTEM, NOW)
        elif name == "verify":
            assert book.verify(SYSTEM)[0] == []
        else:
            sql = "select leaf from compliance.audit_log where system = ? order by entry_index"
            root_hash([leaf_hash(one) for one in warehouse.read(sql, [SYSTEM])["leaf"]])
        spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    return spent | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def made(data: Path, calls: int) -> None:
    """Store so many calls and what they cost."""
    import duckdb

    from aiops_pipelines.project import Project
    from aiops_pipelines.resources.tables import declared_tables
    from aiops_pipelines.resources.warehouse import Warehouse

    project = Project(data)
    Warehouse(project.warehouse, declared_tables(Project.here().dbt)).prepare()
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute(CALLS, {"calls": calls})
        connection.execute(COSTS)


def main() -> None:
    """Take one step, or all of them for each size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--step", nargs=2, metavar=("STEP", "DATA"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(step(options.step[0], Path(options.step[1]))))
        return
    print("| calls | step | CPU s | x bare | us a call | wall s | peak MB |")
    print("| ---: | --- " + "| ---: " * 5 + "|")
    for calls in options.calls:
        with tempfile.TemporaryDirectory() as name:
            made(Path(name), calls)
            found = {}
            for way in ("enter", "sign", "verify", "bare"):
                command = [sys.executable, "-W", "ignore", __file__, "--step", way, name]
                found[way] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            for way, spent in found.items():
                times, each = spent["cpu"] / found["bare"]["cpu"], spent["cpu"] / calls * 1e6
                cells = f"{spent['cpu']:.1f} | {times:.1f} | {each:.0f} | {spent['wall']:.1f}"
                print(f"| {calls:,} | {way} | {cells} | {spent['peak_mb']:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
