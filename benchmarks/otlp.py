"""Spans of an OTLP/JSON file into the warehouse, beside MLflow's own ingestion of the same export requests.

Chats of three spans, 32 to a request, as a collector writes them. Ours is LogBook, with masking; MLflow's is
what its OTLP endpoint does with a request, without HTTP, into SQLite. Each figure is the best of the rounds.

    python benchmarks/otlp.py [--spans 200000] [--peer-spans 6000] [--rounds 3]
"""

import argparse
import json
import random
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from aiops_pipelines.inference_log.ingestion import Source
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


def mlflow(log: Path, folder: Path) -> int:
    """Give each request to MLflow's store, as its endpoint does; return how many traces are stored."""
    from google.protobuf.json_format import Parse
    from mlflow.entities.span import Span
    from mlflow.server.otel_api import _convert_otlp_json_ids_to_base64
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    store = SqlAlchemyStore(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    experiment = store.create_experiment(log.name + str(time.monotonic_ns()))
    for line in log.read_bytes().splitlines():
        request = ExportTraceServiceRequest()
        Parse(_convert_otlp_json_ids_to_base64(line), request, ignore_unknown_fields=True)
        found = [
            Span.from_otel_proto(span, resource=group.resource)
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
        store.log_spans(experiment, found)
    return len(store.search_traces([experiment], max_results=1)[0]) and log.read_bytes().count(
        b'"parentSpanId":""'
    )


def rate(way, traces: int, rounds: int, prepare=None) -> tuple[float, float]:
    """Return spans by CPU second and by second of reading a new log, the most of the rounds."""
    cpu, wall = [], []
    with tempfile.TemporaryDirectory() as name:
        log = written(Path(name) / "traces.jsonl", traces)
        for turn in range(rounds):
            target = Path(name) / f"{turn}{'' if prepare else '.duckdb'}"
            if prepare:
                target.mkdir()
                prepare(target)
            began = time.process_time(), time.perf_counter()
            stored = way(log, target)
            cpu.append(time.process_time() - began[0])
            wall.append(time.perf_counter() - began[1])
            assert stored == traces, stored
    return 3 * traces / min(cpu), 3 * traces / min(wall)


def mlflow_ready(folder: Path) -> None:
    """Make MLflow's tables, before the clock starts."""
    mlflow(written(folder / "first.jsonl", 1), folder)


def main() -> None:
    """Measure ours and, where it is installed, MLflow, and print rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--peer-spans", type=int, default=6_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    mine = rate(ours, options.spans // 3, options.rounds)
    print(
        f"ours, {options.spans:,} spans: {mine[0]:,.0f} by CPU second, {mine[1]:,.0f} by second", flush=True
    )
    try:
        import mlflow as peer
    except ImportError:
        print("MLflow is not installed here; see benchmarks/requirements.txt.")
        return
    theirs = rate(mlflow, options.peer_spans // 3, options.rounds, mlflow_ready)
    print(
        f"MLflow {peer.__version__}, {options.peer_spans:,} spans: {theirs[0]:,.0f} by CPU second, "
        f"{theirs[1]:,.0f} by second; ours takes {mine[0] / theirs[0]:,.0f} and {mine[1] / theirs[1]:,.0f} "
        "times as many"
    )


if __name__ == "__main__":
    main()
