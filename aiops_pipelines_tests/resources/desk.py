"""A small system with a real corpus, real known queries and real models: what migrations are tested on."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.migrations import Migrations
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TOPICS = {
    "fees": "A label costs two euros.",
    "hours": "The desk opens at nine.",
    "refunds": "Money is returned within five days.",
    "lockers": "A parcel waits three days in its locker.",
    "claims": "Report damage with two photographs.",
    "customs": "Goods for Norway need a customs form.",
}


def write_corpus(folder: Path, topics: dict[str, str] = TOPICS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in topics.items():
        (folder / f"{name}.md").write_text(f"# {name.title()}\n\n{text}\n", encoding="utf-8")


def desk(project: Project, **changed: Any) -> System:
    settings = {
        "name": "desk",
        "title": "Desk",
        "corpus": {"folder": project.data / "corpus" / "desk"},
        "inference_log": {"folder": project.data / "inference_log" / "desk"},
    }
    return System.model_validate(settings | changed)


def migrations(project: Project, warehouse: Warehouse) -> Migrations:
    return Migrations(warehouse, Recipes(warehouse), AuditBook(project, warehouse, Keys(project.keys)))


def index(warehouse: Warehouse, system: System, now: datetime = NOW) -> None:
    """Bring every index that is kept level with the corpus, as a run does."""
    with warehouse.held():
        IndexBook(warehouse).reindex(system, now)


def ask(warehouse: Warehouse, count: int, right: str = "") -> None:
    """Store known queries, each answered by the document of its topic, or by `right`."""
    names = list(TOPICS)
    keys = [{"system": "desk", "query_id": f"q{n}", "valid_from": NOW} for n in range(count)]
    known = [
        k | {"query": TOPICS[names[n % 6]], "reference_answer": None, "tags": []} for n, k in enumerate(keys)
    ]
    judged = [k | {"document": f"{right or names[n % 6]}.md", "grade": 2} for n, k in enumerate(keys)]
    for table, rows in (("rag.known_queries", known), ("rag.judgements", judged)):
        frame = pl.DataFrame(rows, schema=warehouse.tables[table].schema)
        warehouse.replace(table, frame, system="desk")
