"""A warehouse of one small table, for the tests of what is done to it."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from aiops_pipelines.resources.tables import Column, Table
from aiops_pipelines.resources.warehouse import Warehouse

EVENTS = "costs.events"
COLUMNS = (
    Column("system", "VARCHAR", "AI system."),
    Column("event_id", "VARCHAR", "The call."),
    Column("at", "TIMESTAMP", "When, UTC."),
    Column("n", "BIGINT", "A number."),
)
TABLES = {EVENTS: Table("costs", "events", "What happened.", COLUMNS)}
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def events(system: str, *ids: str, n: int = 1, at: datetime = NOON) -> pl.DataFrame:
    rows = {"system": [system] * len(ids), "event_id": list(ids), "at": [at] * len(ids), "n": [n] * len(ids)}
    return pl.DataFrame(rows, schema_overrides={"system": pl.String, "event_id": pl.String, "n": pl.Int64})


def ids(warehouse: Warehouse) -> list[str]:
    found: list[str] = warehouse.read(f"select event_id from {EVENTS} order by all")["event_id"].to_list()
    return found


def store_at(folder: Path) -> Warehouse:
    """Make a warehouse of one table that holds two calls of `a` and one of `b`."""
    store = Warehouse(folder / "warehouse" / "x.duckdb", TABLES, wait_seconds=0.3)
    with store.writing() as writer:
        writer.append(EVENTS, pl.concat([events("a", "a1", "a2"), events("b", "b1")]))
    return store
