"""Spans of an OTLP/JSON file into the warehouse: chats of three spans, read by LogBook, with masking.

A process reads each file once; the figure is spans by CPU second, the most of the rounds.

    python benchmarks/otlp.py [--spans 30000] [--rounds 3]
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


def main() -> None:
    """Write a log, read it into a new database by turns, and print the rate."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--spans", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    traces, chance, taken = options.spans // 3, random.Random(7), []
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "traces.jsonl"
        with log.open("w", encoding="utf-8") as stream:
            for first in range(0, traces, TRACES_A_LINE):
                numbers = range(first, min(first + TRACES_A_LINE, traces))
                found = [span for number in numbers for span in spans(chance, number)]
                stream.write(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": found}]}]}) + "\n")
        for turn in range(options.rounds):
            warehouse = Warehouse(Path(name) / f"{turn}.duckdb", declared_tables(Project.here().dbt))
            warehouse.prepare()
            book = LogBook(warehouse, LogFolder(log.parent), Source("benchmark", "otlp_json", NOW, b"k" * 32))
            [file] = book.given([log])
            began = time.process_time()
            stored = sum(landing.inferences.height for landing in book.read(file))
            taken.append(time.process_time() - began)
            assert stored == traces, stored
    print(f"{3 * traces:,} spans, {traces:,} calls: {3 * traces / min(taken):,.0f} spans by CPU second")


if __name__ == "__main__":
    main()
