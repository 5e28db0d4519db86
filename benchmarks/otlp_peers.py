"""What the OTLP endpoints of MLflow and Phoenix do with the requests of a file, without HTTP, into SQLite.

Each runs with the interpreter of an environment that has mlflow or arize-phoenix, started by `otlp.py`, and
prints spans by CPU second and by second. Its tables are made, and the requests put into the form it is sent,
before the clock starts.
"""

import asyncio
import base64
import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SPAN_IDS = ("traceId", "spanId", "parentSpanId")


def mlflow(lines: list[bytes], folder: Path) -> tuple[int, float, float]:
    """Give each request to MLflow's store; return the spans and the CPU and wall time."""
    from google.protobuf.json_format import Parse
    from mlflow.entities.span import Span
    from mlflow.server.otel_api import _convert_otlp_json_ids_to_base64
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    store = SqlAlchemyStore(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    experiment = store.create_experiment("benchmark")
    spans = 0
    began = time.process_time(), time.perf_counter()
    for line in lines:
        request = ExportTraceServiceRequest()
        Parse(_convert_otlp_json_ids_to_base64(line), request, ignore_unknown_fields=True)
        found = [
            Span.from_otel_proto(span, resource=group.resource)
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]
        store.log_spans(experiment, found)
        spans += len(found)
    taken = time.process_time() - began[0], time.perf_counter() - began[1]
    assert store.search_traces([experiment], max_results=1)[0]
    return spans, *taken


def phoenix(lines: list[bytes], folder: Path) -> tuple[int, float, float]:
    """Give each request, as protobuf, to Phoenix's inserter; return the spans and the CPU and wall time."""
    return asyncio.run(_phoenix([_protobuf(line) for line in lines], folder))


async def _phoenix(bodies: list[bytes], folder: Path) -> tuple[int, float, float]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from phoenix.db import models
    from phoenix.db.bulk_inserter import BulkInserter
    from phoenix.db.engines import create_engine
    from phoenix.db.facilitator import Facilitator
    from phoenix.server.api.routers.v1.traces import _add_spans
    from phoenix.server.app import _db
    from phoenix.server.cost_tracking.span_cost_calculator import SpanCostCalculator
    from phoenix.server.daemons.generative_model_store import GenerativeModelStore
    from phoenix.server.types import DbSessionFactory
    from sqlalchemy import func, select

    engine = create_engine(f"sqlite:///{folder / 'phoenix.db'}", log_migrations=False)
    db = DbSessionFactory(db=_db(engine), dialect=engine.dialect.name)
    await Facilitator(db=db)()
    prices = GenerativeModelStore(db)
    async with prices:
        await asyncio.sleep(1)  # its prices are read in a task of their own
        began = time.process_time(), time.perf_counter()
        costs, events = SpanCostCalculator(prices), SimpleNamespace(put=lambda event: None)
        inserter: Any = BulkInserter(
            db, event_queue=events, span_cost_calculator=costs, shutdown_drain_sec=3_600
        )
        async with inserter as (_, enqueue_span, _):
            for body in bodies:
                request = ExportTraceServiceRequest()
                request.ParseFromString(body)
                await _add_spans(request, SimpleNamespace(enqueue_span=enqueue_span), None)
        taken = time.process_time() - began[0], time.perf_counter() - began[1]
    async with db() as session:
        spans = await session.scalar(select(func.count(models.Span.id)))
        priced = await session.scalar(select(func.count(models.SpanCost.id)))
    assert priced == spans // 3, priced
    return spans, *taken


def _protobuf(line: bytes) -> bytes:
    """Return a request as an exporter sends it: protobuf's JSON has ids in base64, OTLP's in hexadecimal."""
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    document = json.loads(line)
    for group in document["resourceSpans"]:
        for span in (span for scope in group["scopeSpans"] for span in scope["spans"]):
            span |= {key: base64.b64encode(bytes.fromhex(span[key])).decode() for key in SPAN_IDS}
    return ParseDict(document, ExportTraceServiceRequest()).SerializeToString()


def main() -> None:
    """Measure a peer on a file some times, and print the least of its times."""
    peer, log, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    lines, taken = log.read_bytes().splitlines(), []
    with tempfile.TemporaryDirectory() as name:
        os.environ["PHOENIX_WORKING_DIR"] = name
        for turn in range(rounds):
            folder = Path(name) / str(turn)
            folder.mkdir()
            taken.append({"mlflow": mlflow, "phoenix": phoenix}[peer](lines, folder))
    spans = taken[0][0]
    assert spans == log.read_bytes().count(b'"spanId"'), spans
    release = version({"mlflow": "mlflow", "phoenix": "arize-phoenix"}[peer])
    cpu, wall = min(one[1] for one in taken), min(one[2] for one in taken)
    print(json.dumps({"version": release, "spans": spans, "cpu": spans / cpu, "wall": spans / wall}))


if __name__ == "__main__":
    main()
