"""The data folder of a finished run, and the command line on it."""

import shutil
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from aiops_pipelines.cli import app
from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.incidents import lifecycle
from aiops_pipelines.monitoring.baseline import freeze
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import Baseline
from aiops_pipelines_tests.commands.small_run import (
    AS_OF,
    SIGNAL,
    TABLES,
    WEEKS,
    Answer,
    frame,
    freshness,
    growth,
    scores,
    verdict,
    write_inputs,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The data folder of a finished run."""
    data = tmp_path_factory.mktemp("finished") / "data"
    write_inputs(data)
    project = Project(data)
    warehouse = Warehouse(project.warehouse, TABLES)
    signals = frame("incidents.signals", SIGNAL)
    events = TABLES["incidents.incident_events"].empty()
    opened = lifecycle.incidents(signals, events, AS_OF, {"cost_growth": "cost-growth"})
    baselines, observations = freeze(scores(), Baseline(weeks=2, minimum_rows=6), AS_OF)
    traffic = {"week": WEEKS[4], "calls": 40, "errors": 1, "refusals": 0, "latency_p95_ms": 1500.0}
    spend = {"week": WEEKS[4], "endpoint": "chat", "part": "user", "tokens": 9, "cost_usd": Decimal(3)}
    cause = {
        "week": WEEKS[3],
        "rank": 1,
        "cause": "model_change",
        "evidence": "All calls were answered by m2.",
    }
    stale = {"week": WEEKS[2], "event_id": "e1", "chunk_id": "c1", "document": "returns.md"}
    verified = {"week": WEEKS[4], "intact": True, "entries": 2, "findings": []}
    problem = {"area": "costs", "problem": "3 calls have no price.", "noticed_at": AS_OF}
    frames = {
        "monitoring.quality_scores": scores(),
        "monitoring.baselines": baselines,
        "monitoring.baseline_scores": observations,
        "monitoring.weekly_traffic": frame("monitoring.weekly_traffic", traffic),
        "drift.drift_verdicts": frame(
            "drift.drift_verdicts", verdict(WEEKS[3], "DEGRADED"), verdict(WEEKS[4], "CANNOT TELL")
        ),
        "drift.drift_causes": frame("drift.drift_causes", cause),
        "costs.weekly_spend": frame("costs.weekly_spend", spend),
        "costs.spend_growth_since_baseline": frame(
            "costs.spend_growth_since_baseline",
            *(growth("volume", 0.1), growth("tokens:context", 0.6), growth("model_mix", 0.3)),
        ),
        "rag.index_freshness": frame(
            "rag.index_freshness", freshness(WEEKS[2], "stale", 0.1), freshness(WEEKS[4], "fresh", 0.0)
        ),
        "rag.stale_answers": frame("rag.stale_answers", stale),
        "incidents.signals": signals,
        "incidents.incidents": opened.with_columns(
            looked_at=pl.lit(AS_OF), runbook_digest=pl.lit(None, pl.String)
        ),
        "compliance.audit_verifications": frame("compliance.audit_verifications", verified),
        "operations.problems": frame("operations.problems", problem),
    }
    with warehouse.writing() as writer:
        for table, rows in frames.items():
            writer.append(table, rows)
    book = AuditBook(project, warehouse, Keys(project.keys))
    entries = [decision_entry("support", "noted", AS_OF, "us", f"Number {n}.", {}) for n in range(2)]
    book.append("support", entries)
    book.sign("support", AS_OF)
    warehouse.publish(project.published, {})
    return data


@pytest.fixture
def data(finished: Path, tmp_path: Path) -> Path:
    """A data folder of a finished run that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "data"))


@pytest.fixture
def aiops(monkeypatch):
    """Run the command line on a data folder."""
    monkeypatch.setenv("AIOPS_DATA", "")

    def run(data: Path, *arguments: str) -> Answer:
        return Answer(CliRunner().invoke(app, ["--data", str(data), *arguments]))

    return run
