"""A shop that Ada and Bob used, with everything that is made of it: rows, pages, messages, Dagster's storage."""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from aiops_pipelines.inference_log.ingestion import Tally
from aiops_pipelines.inference_log.log_settings import Logs
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.monitoring.baseline import freeze
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_calls import new_entries
from aiops_pipelines.resources.completion import due_months, due_weeks, enter
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.log_book import LogBook
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.people import erased_marks
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import Baseline, System
from aiops_pipelines_tests.resources.audited_shop import rows

NOW = datetime(2026, 8, 3, 6, tzinfo=UTC)
MONDAY = date(2026, 7, 6)
ADA, BOB = "ada-lovelace-17", "bob-babbage-42"
SESSION, SHARED = "session-of-ada-0001", "session-of-both-0002"
OF_ADA = (
    ADA,
    SESSION,
    "engine weaves algebraic",
    "Jacquard's loom weaves",
    "programme that I wrote",
    "It never came, says Ada",
)
OF_BOB = (BOB, "difference engine number", "thirteen tons")
FROM_THE_DOCUMENTS = "Parcels are kept for seven days at the counter of the shop."


def logged(event_id: str, hours: int, query: str, answer: str, **more: Any) -> dict[str, Any]:
    at = datetime(2026, 7, 6, tzinfo=UTC) + timedelta(hours=hours)
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    call = {
        "event_id": event_id,
        "occurred_at": at.isoformat(),
        "query": query,
        "answer": answer,
        "usage": usage,
    }
    return call | {"model_served": "gpt-4o-mini", "endpoint": "chat"} | more


def calls() -> list[dict[str, Any]]:
    ada, bob = {"user_id": ADA, "session_id": SESSION}, {"user_id": BOB, "session_id": "session-of-bob-0003"}
    return [
        logged("e1", 1, "Is it true that the engine weaves algebraic patterns?", "Yes, as Jacquard's loom weaves flowers.", **ada),
        logged("e2", 2, "And where is the <programme that I wrote> about Bernoulli?", FROM_THE_DOCUMENTS, **ada),
        logged("e3", 3, "Hello?", "Hello.", session_id=SESSION),
        logged("e4", 4, "Where do I find the other one of mine, please?", "Ask there.", user_id=ADA, session_id=SHARED),
        logged("e5", 5, "How heavy is the difference engine number two?", "It weighs thirteen tons, all in all.", user_id=BOB, session_id=SHARED),
        logged("e6", 6, "Where do I find the other one of mine, please?", FROM_THE_DOCUMENTS, **bob),
        logged("e7", 7, "Thank you.", "You are welcome.", session_id=SHARED),
    ]  # fmt: skip


BROKEN = [
    {
        "event_id": "b1",
        "latency_ms": -1,
        "user_id": ADA,
        "query": "Where is the programme that I wrote, still?",
    },
    {"event_id": "b2", "latency_ms": -1, "query": "x" * 600, "user_id": ADA},
    {"event_id": "b3", "latency_ms": -1, "user_id": BOB},
]
"""Lines that are set aside; of the second the part that is kept does not name her."""


def lines() -> list[dict[str, Any]]:
    return [*calls(), *({"occurred_at": "2026-07-06T09:00:00Z"} | broken for broken in BROKEN)]


def shop(project: Project) -> System:
    logs = project.data / "inference_log" / "shop"
    return System(
        name="shop",
        title="Shop",
        as_of=NOW,
        inference_log=Logs(folder=logs),
        baseline=Baseline(weeks=2, minimum_rows=2),
    )


def write_log(project: Project, name: str, content: Iterable[dict[str, Any]]) -> None:
    file = project.data / "inference_log" / "shop" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in content))


def read_log(project: Project, warehouse: Warehouse) -> Tally:
    key, tally = Keys(project.keys).pepper("shop"), Tally()
    source = Source("shop", "aiops_jsonl", NOW, key, erased=erased_marks(warehouse, "shop"))
    book = LogBook(warehouse, LogFolder(shop(project).inference_log.folder), source)
    for file in book.listed()[0]:
        for landing in book.read(file):
            tally.add(landing)
    return tally


def _scores() -> list[dict[str, Any]]:
    base = {"sample": "production", "metric": "support", "judge": "j/1", "value": 0.5}
    whose = {"e1": ADA, "e2": ADA, "e3": SESSION, "e5": BOB, "e6": BOB}
    weeks = (MONDAY, MONDAY + timedelta(days=7))
    return [
        base | {"week": weeks[n % 2], "event_id": event, "cluster": cluster}
        for n, (event, cluster) in enumerate(whose.items())
    ]


def _diagnosis() -> dict[str, Any]:
    said = [[ADA, calls()[0]["query"][:30], 2], [BOB, calls()[4]["query"], 1]]
    answer = {"columns": ["user_id", "said", "calls"], "rows": said}
    asked = {"incident_id": "INC-1", "asked_at": NOW, "runbook": "r", "position": 1, "question": "Who?"}
    return asked | {"answer": json.dumps(answer, ensure_ascii=False), "has_more": False}


def fill(project: Project, warehouse: Warehouse) -> AuditBook:
    """Read the log, score, freeze, diagnose, enter and sign: what the runs would have done."""
    write_log(project, "july.jsonl", lines())
    read_log(project, warehouse)
    given = {"given_at": NOW, "ingested_at": NOW, "rating": -1}
    frames: dict[str, list[dict[str, Any]]] = {
        "inference_log.feedback": [
            given
            | {"feedback_id": "f1", "event_id": "e1", "label": "It never came, says Ada", "given_by": ADA},
            given | {"feedback_id": "f2", "session_id": SESSION, "label": "Bad"},
            given | {"feedback_id": "f3", "event_id": "e5", "label": "Good", "given_by": BOB},
        ],
        "monitoring.quality_scores": _scores(),
        "incidents.diagnoses": [_diagnosis()],
        "rag.chunks": [{"chunk_id": "c", "text": FROM_THE_DOCUMENTS}],
    }
    with warehouse.writing() as writer:
        for table, made in frames.items():
            writer.append(table, rows(warehouse, table, *({"system": "shop"} | row for row in made)))
    scores = warehouse.rows("monitoring.quality_scores")
    baselines, observed = freeze(scores, Baseline(weeks=2, minimum_rows=2), NOW)
    with warehouse.writing() as writer:
        writer.append("monitoring.baselines", baselines)
        writer.append("monitoring.baseline_scores", observed)
    system, book = shop(project), AuditBook(project, warehouse, Keys(project.keys))
    enter(warehouse, system, "weekly", due_weeks(warehouse, system, NOW), NOW)
    enter(warehouse, system, "monthly", due_months(warehouse, system, NOW), NOW)
    book.append("shop", list(new_entries(warehouse, "shop", book.keys)))
    book.sign("shop", NOW)
    return book


def derive(project: Project, warehouse: Warehouse) -> None:
    """Write what runs write beside the tables: pages, messages, logs, Dagster's storage, a copy for analysts."""
    texts = {
        project.reports / "shop" / "weekly" / "2026-07-06.html": f"<p>{ADA} asked 2 times, {BOB} once.</p>",
        project.notifications / "log.jsonl": json.dumps({"title": f"Blocked: {ADA}"}),
        project.dagster_home / "run.log": f"ValueError: {calls()[0]['query']!r} of {ADA}\n",
        project.data / "aiops.new-123": f"what a killed run left: {ADA}",
        project.warehouse.parent / "drill-0x" / "warehouse" / "aiops.duckdb": f"a killed drill's copy: {ADA}",
    }
    for file, text in texts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with dg.DagsterInstance.local_temp(str(project.dagster_home)) as instance:
        run = instance.create_run_for_job(dg.Definitions(jobs=[_nothing]).resolve_job_def("nothing"))
        for text in (f"e1 of {ADA} failed", calls()[0]["query"], f"e5 of {BOB} failed"):
            instance.report_engine_event(text, run)
    publish(project, warehouse)


@dg.op
def no_op() -> None:
    pass


@dg.job(name="nothing")
def _nothing() -> None:
    no_op()


def publish(project: Project, warehouse: Warehouse) -> None:
    warehouse.publish(project.published, {})


def named(project: Project, words: Iterable[str]) -> dict[str, list[str]]:
    """Which files below the data folder hold which of these words, in any spelling; the logs are the team's own."""
    found: dict[str, list[str]] = {}
    for file in sorted(project.data.rglob("*")):
        if file.is_file() and not file.is_relative_to(project.data / "inference_log"):
            content = file.read_bytes()
            spelled = {word: {word.encode(), json.dumps(word)[1:-1].encode()} for word in words}
            if held := [word for word, all_of in spelled.items() if any(one in content for one in all_of)]:
                found[file.relative_to(project.data).as_posix()] = held
    return found


def in_rows(warehouse: Warehouse, words: Iterable[str]) -> dict[str, list[str]]:
    """Which tables hold which of these words, in any column."""
    found: dict[str, list[str]] = {}
    names = "select table_schema || '.' || table_name as name from information_schema.tables"
    with warehouse.held():
        for table in warehouse.read(names)["name"]:
            content = repr(warehouse.rows(table).rows())
            if held := [word for word in words if word in content]:
                found[table] = held
    return found


def frame(warehouse: Warehouse, table: str, by: str) -> pl.DataFrame:
    return warehouse.rows(table, system="shop").sort(by)


def files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
