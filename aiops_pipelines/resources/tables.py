"""The declared tables: `dbt_project/models/<pillar>/tables.yml` is schema, dictionary and contract in one.

Only what Python writes is declared there; what dbt builds is described beside each model.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import yaml

STRUCTS = {
    "STRUCT(chunk_id VARCHAR, document VARCHAR, score DOUBLE)[]": pl.List(
        pl.Struct({"chunk_id": pl.String, "document": pl.String, "score": pl.Float64})
    ),
    "STRUCT(guardrail VARCHAR, category VARCHAR, action VARCHAR)[]": pl.List(
        pl.Struct({"guardrail": pl.String, "category": pl.String, "action": pl.String})
    ),
}
POLARS: dict[str, pl.DataType] = {
    "VARCHAR": pl.String(),
    "BIGINT": pl.Int64(),
    "TINYINT": pl.Int8(),
    "DOUBLE": pl.Float64(),
    "BOOLEAN": pl.Boolean(),
    "DATE": pl.Date(),
    "TIMESTAMP": pl.Datetime("us", "UTC"),
    "BLOB": pl.Binary(),
    "DECIMAL(38,12)": pl.Decimal(38, 12),
    "VARCHAR[]": pl.List(pl.String),
    "FLOAT[]": pl.List(pl.Float32),
    **STRUCTS,
}


@dataclass(frozen=True)
class Column:
    """One column: DuckDB type and what it means."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Table:
    """One table that Python writes; its DuckDB schema is its pillar."""

    pillar: str
    name: str
    description: str
    columns: tuple[Column, ...]

    @property
    def path(self) -> str:
        """Qualified name in DuckDB."""
        return f"{self.pillar}.{self.name}"

    @property
    def schema(self) -> pl.Schema:
        """Polars schema of a frame that holds this table's rows."""
        return pl.Schema({column.name: POLARS[column.type] for column in self.columns})

    def empty(self) -> pl.DataFrame:
        """Return a frame without rows."""
        return pl.DataFrame(schema=self.schema)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame with this table's columns and types, in order.

        Raises:
            ValueError: columns are missing or unknown; both are named.
        """
        schema = self.schema
        if frame.schema == schema:
            return frame
        missing = [name for name in schema if name not in frame.columns]
        unknown = [name for name in frame.columns if name not in schema]
        if missing or unknown:
            raise ValueError(f"{self.path}: missing columns {missing}, unknown columns {unknown}.")
        return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def declared_tables(dbt_project: Path) -> dict[str, Table]:
    """Return every declared table by its qualified name."""
    tables: dict[str, Table] = {}
    for file in sorted(dbt_project.glob("models/*/tables.yml")):
        for source in yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["sources"]:
            for entry in source["tables"]:
                columns = tuple(Column(c["name"], c["data_type"], c["description"]) for c in entry["columns"])
                table = Table(source["name"], entry["name"], entry["description"], columns)
                tables[table.path] = table
    return tables
