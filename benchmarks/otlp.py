"""Spans of an OTLP/JSON file into the warehouse, beside MLflow's and Phoenix's ingestion of such requests.

Chats of three spans, 32 to a request, as a collector writes them. Ours is LogBook, with masking; what the
peers do stands in `otlp_peers.py`. Each figure is the best of the rounds.

    python benchmarks/otlp.py [--spans 200000] [--peer-spans 3000] [--rounds 3] [--unmasked]
        [--mlflow PYTHON] [--phoenix PYTHON]
"""

import argparse
import json
import random
import resource
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from aiops_pipelines.inference_log import ingestion
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.project import Project
from aiops_pipelines.resources.log_book import LogBook
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse

NOW = datetime(2026, 9, 10, tzinfo=UTC)
START_NS = 1_780_315_200 * 10**9
TRACES_A_LINE = 32


def spans(chance: random.Random, number: int) -> list[dict[str, object]]:
    """Return a request, its retrieval and its model call, as an OpenTelemetry exporter writes them."""
    trace, ids = f"{chance.getrandbits(128):032x}", [f"{chance.getrandbits(64):016x}" for _ in range(3)]
    given, made, at = chance.randrange(100, 2_000), chance.randrange(10, 300), START_NS + number * 10**9
    said = [{"role": "user", "parts": [{"type": "text", "content": f"Where is parcel {number % 999}?"}]}]
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": "It is on its way."}]}]
    values: list[dict[str, object]] = [
        {"gen_ai.operation.name": "invoke_agent", "session.id": f"s{number // 4}"},
        {"gen_ai.operation.name": "retrieval", "gen_ai.data_source.id": "handbook"},
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4.1-mini",
            "gen_ai.usage.input_tokens": given,
            "gen_ai.usage.output_tokens": made,
            "gen_ai.input.messages": json.dumps(said),
            "gen_ai.output.messages": json.dumps(answer),
        },
    ]
    return [
        {
            "traceId": trace,
            "spanId": ids[place],
            "parentSpanId": ids[0] if place else "",
            "name": "span",
            "startTimeUnixNano": str(at),
            "endTimeUnixNano": str(at + 10**8),
            "attributes": [
                {"key": key, "value": {"intValue": str(v)} if isinstance(v, int) else {"stringValue": v}}
                for key, v in named.items()
            ],
        }
        for place, named in enumerate(values)
    ]


def written(log: Path, traces: int) -> Path:
    """Write export requests of so many traces, one a line."""
    chance = random.Random(7)
    with log.open("w", encoding="utf-8") as stream:
        for first in range(0, traces, TRACES_A_LINE):
            numbers = range(first, min(first + TRACES_A_LINE, traces))
            found = [span for number in numbers for span in spans(chance, number)]
            request = {"resourceSpans": [{"scopeSpans": [{"spans": found}]}]}
            stream.write(json.dumps(request, separators=(",", ":")) + "\n")
    return log


def ours(log: Path, database: Path) -> int:
    """Read the file into a new warehouse; return how many calls are stored."""
    warehouse = Warehouse(database, declared_tables(Project.here().dbt))
    warehouse.prepare()
    book = LogBook(warehouse, LogFolder(log.parent), Source("benchmark", "otlp_json", NOW, b"k" * 32))
    [file] = book.given([log])
    return sum(landing.inferences.height for landing in book.read(file))


def rate(log: Path, traces: int, rounds: int) -> tuple[float, float]:
    """Return spans by CPU second and by second of reading a log into a new warehouse, the best of rounds."""
    cpu, wall = [], []
    for turn in range(rounds):
        began = time.process_time(), time.perf_counter()
        stored = ours(log, log.with_name(f"{turn}.duckdb"))
        cpu.append(time.process_time() - began[0])
        wall.append(time.perf_counter() - began[1])
        assert stored == traces, stored
    return 3 * traces / min(cpu), 3 * traces / min(wall)


def compared(peer: str, python: str, log: Path, rounds: int, mine: tuple[float, float]) -> None:
    """Measure a peer with the interpreter of its environment, and print its rates and the ratios to them."""
    script = Path(__file__).with_name("otlp_peers.py")
    run = subprocess.run([python, script, peer, log, str(rounds)], stdout=subprocess.PIPE, check=True)
    theirs = json.loads(run.stdout.splitlines()[-1])
    print(
        f"{peer} {theirs['version']}, {theirs['spans']:,} spans: {theirs['cpu']:,.0f} by CPU second, "
        f"{theirs['wall']:,.0f} by second; ours takes {mine[0] / theirs['cpu']:,.0f} and "
        f"{mine[1] / theirs['wall']:,.0f} times as many",
        flush=True,
    )


def main() -> None:
    """Measure ours and the peers whose interpreters are given; print rates, ratios and our peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--peer-spans", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mlflow", help="interpreter of an environment with mlflow")
    parser.add_argument("--phoenix", help="interpreter of an environment with arize-phoenix")
    parser.add_argument("--unmasked", action="store_true", help="leave masking out, to see what it costs")
    options = parser.parse_args()
    if options.unmasked:
        ingestion.protected = lambda calls, source: calls.with_columns(pii_counts=pl.lit("{}"))
    with tempfile.TemporaryDirectory() as name:
        log = written(Path(name) / "traces.jsonl", options.spans // 3)
        mine = rate(log, options.spans // 3, options.rounds)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"ours, {options.spans:,} spans: {mine[0]:,.0f} by CPU second, {mine[1]:,.0f} by second; "
            f"peak {peak:,} MB",
            flush=True,
        )
        some = written(Path(name) / "some.jsonl", options.peer_spans // 3)
        for peer in ("mlflow", "phoenix"):
            if python := getattr(options, peer):
                compared(peer, python, some, options.rounds, mine)


if __name__ == "__main__":
    main()
