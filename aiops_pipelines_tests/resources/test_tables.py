from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from aiops_pipelines import PILLARS
from aiops_pipelines.project import ROOT
from aiops_pipelines.resources.tables import POLARS, STRUCTS, Column, Table, declared_tables
from aiops_pipelines.resources.warehouse import Warehouse

RETRIEVED, GUARDED = STRUCTS
VALUES: dict[str, Any] = {
    "VARCHAR": "O'Brien; drop table x -- \N{SNOWMAN}",
    "BIGINT": 2**63 - 1,
    "TINYINT": -1,
    "DOUBLE": 0.1,
    "BOOLEAN": True,
    "DATE": date(2026, 6, 1),
    "TIMESTAMP": datetime(2026, 6, 1, 23, 59, 59, 999_999, tzinfo=UTC),
    "BLOB": b"\x00'\xff",
    "DECIMAL(38,12)": Decimal("12345678901234567890123456.123456789012"),
    "VARCHAR[]": ["a", "b"],
    "FLOAT[]": [0.5, -0.25],
    RETRIEVED: [{"chunk_id": "c1", "document": "d.md", "score": 0.5}],
    GUARDED: [{"guardrail": "filter", "category": "LLM01", "action": "blocked"}],
}
SMALL = Table(
    "costs",
    "small",
    "A table.",
    (Column("n", "BIGINT", "Number."), Column("usd", "DECIMAL(38,12)", "Money.")),
)


def one_row(table: Table) -> pl.DataFrame:
    row = {column.name: [VALUES[column.type]] for column in table.columns}
    return pl.DataFrame(row, schema=table.schema)


def no_value(table: Table) -> pl.DataFrame:
    return pl.DataFrame({name: [None] for name in table.schema}, schema=table.schema)


def test_every_declared_type_has_a_polars_type_and_a_value_here() -> None:
    assert VALUES.keys() == POLARS.keys()


@pytest.fixture(scope="module")
def stored(
    prepared: Path, tables: dict[str, Table], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[pl.DataFrame, pl.DataFrame]]:
    """Every table as it is read back without rows, and with one row of values and one of nulls."""
    file = tmp_path_factory.mktemp("tables") / "aiops.duckdb"
    file.write_bytes(prepared.read_bytes())
    with Warehouse(file, tables).writing() as writer:
        empty = {name: writer.read(f"select * from {name}") for name in tables}
        for name, table in tables.items():
            assert writer.append(name, one_row(table)) == 1
            assert writer.append(name, no_value(table)) == 1
        return {name: (empty[name], writer.read(f"select * from {name}")) for name in tables}


@pytest.mark.parametrize("name", declared_tables(ROOT / "dbt_project"))
def test_what_is_declared_is_what_comes_back(
    name: str, tables: dict[str, Table], stored: dict[str, tuple[pl.DataFrame, pl.DataFrame]]
) -> None:
    table, (empty, rows) = tables[name], stored[name]
    assert empty.schema == table.schema
    assert empty.height == 0
    assert rows.schema == table.schema
    assert rows.rows() == [*one_row(table).rows(), (None,) * len(table.columns)]
    assert rows.row(0) == tuple(VALUES[column.type] for column in table.columns)


def test_the_files_types_are_the_declared_ones(prepared: Path, tables: dict[str, Table]) -> None:
    sql = "select table_schema || '.' || table_name, column_name, data_type from information_schema.columns"
    found = Warehouse(prepared, tables).read(sql).rows()
    found = [(table, column, kind.replace('"', "")) for table, column, kind in found]
    assert set(found) == {(t.path, c.name, c.type) for t in tables.values() for c in t.columns}


def test_no_table_and_no_column_is_declared_twice(tables: dict[str, Table]) -> None:
    files = sorted((ROOT / "dbt_project").glob("models/*/tables.yml"))
    sources = [source for file in files for source in yaml.safe_load(file.read_text())["sources"]]
    assert sum(len(source["tables"]) for source in sources) == len(tables) > 30
    for table in tables.values():
        assert len(table.schema) == len(table.columns), table.path


def test_everything_is_described(tables: dict[str, Table]) -> None:
    described = {table.path: table.description for table in tables.values()}
    described |= {
        f"{t.path}.{column.name}": column.description for t in tables.values() for column in t.columns
    }
    assert [name for name, text in described.items() if not text.endswith(".") or len(text) < 4] == []


def test_a_tables_schema_is_the_folder_it_is_declared_in(tables: dict[str, Table]) -> None:
    assert {table.pillar for table in tables.values()} == {*PILLARS, "operations"}
    for file in (ROOT / "dbt_project").glob("models/*/tables.yml"):
        names = [source["name"] for source in yaml.safe_load(file.read_text())["sources"]]
        assert names == [file.parent.name]


def test_an_empty_frame_has_the_columns() -> None:
    assert SMALL.empty().schema == {"n": pl.Int64, "usd": pl.Decimal(38, 12)}
    assert SMALL.empty().height == 0


def test_conform_orders_and_casts() -> None:
    frame = SMALL.conform(pl.DataFrame({"usd": [Decimal("0.5")], "n": [1]}, schema_overrides={"n": pl.Int8}))
    assert frame.schema == SMALL.schema
    assert frame.rows() == [(1, Decimal("0.5"))]


def test_conform_names_what_is_missing_and_what_is_unknown() -> None:
    with pytest.raises(
        ValueError, match=r"^costs\.small: missing columns \['usd'\], unknown columns \['eur', 'note'\]\.$"
    ):
        SMALL.conform(pl.DataFrame({"n": [1], "eur": [2], "note": ["x"]}))


@pytest.mark.parametrize("value", ["many", 2.0**70])
def test_conform_refuses_a_value_that_is_none_of_its_type(value: object) -> None:
    with pytest.raises(pl.exceptions.InvalidOperationError, match="conversion"):
        SMALL.conform(pl.DataFrame({"n": [value], "usd": [Decimal(1)]}))
