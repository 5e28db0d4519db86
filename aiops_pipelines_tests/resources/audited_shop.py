"""A shop whose three calls, of two users and a session, are priced, logged and signed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_calls import new_entries
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.warehouse import Warehouse

NOW = datetime(2026, 6, 8, tzinfo=UTC)
CALLS = 3


def call(number: int) -> dict[str, Any]:
    return {
        "system": "shop",
        "event_id": f"e{number}",
        "occurred_at": NOW + timedelta(minutes=number),
        "model_served": "m-1",
        "latency_ms": 800,
        "status": "ok",
        "query": "How long?",
        "answer": "30 days.",
        "user_id": None if number == 2 else f"u{number}",
        "session_id": "s",
        "input_uncached": 400,
        "cache_read": 100,
        "guardrail_events": [{"guardrail": "toxicity", "category": "insult", "action": "block"}],
        "retrieved": [{"chunk_id": "c1", "document": "a.md", "score": 0.25}],
        "cost_reported_usd": Decimal("0.10"),
        "pii_counts": '{"EMAIL": 1}' if number else None,
    }


def rows(warehouse: Warehouse, table: str, *made: dict[str, Any]) -> pl.DataFrame:
    schema = warehouse.tables[table].schema
    return pl.DataFrame([dict.fromkeys(schema) | row for row in made], schema=schema)


def audited(project: Project, warehouse: Warehouse, calls: int = CALLS) -> AuditBook:
    """The shop's log."""
    keys, book = Keys(project.keys), AuditBook(project, warehouse, Keys(project.keys))
    cost = {"system": "shop", "cost_usd": Decimal("0.1"), "price_status": "priced"}
    costs = [cost | {"event_id": f"e{number}"} for number in range(calls)]
    with warehouse.held():
        with warehouse.writing() as writer:
            for table, made in (
                ("inference_log.inferences", map(call, range(calls))),
                ("costs.call_costs", costs),
            ):
                writer.append(table, rows(warehouse, table, *made))
        book.append("shop", list(new_entries(warehouse, "shop", keys)))
        book.sign("shop", NOW)
    return book


def tamper(warehouse: Warehouse, sql: str, *values: Any) -> None:
    with warehouse.writing() as writer:
        writer._connection.execute(sql, values)
