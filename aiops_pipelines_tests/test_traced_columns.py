"""What was traced of columns is read again, for the same SQL only."""

from pathlib import Path

import dagster as dg
import pytest

from aiops_pipelines.defs.traced_columns import TracedColumns

SCHEMA = dg.MetadataValue.table_schema(dg.TableSchema([dg.TableColumn("day", "DATE")]))
LINEAGE = dg.MetadataValue.column_lineage(
    dg.TableColumnLineage({"day": [dg.TableColumnDep(dg.AssetKey("inferences"), "occurred_at")]})
)
COLUMNS = {"dagster/column_schema": SCHEMA, "dagster/column_lineage": LINEAGE}


def test_what_was_traced_is_read_again_and_nothing_else_of_the_run(tmp_path: Path) -> None:
    columns = TracedColumns(tmp_path / "traced.json", "1")
    assert columns.read() == {}
    columns.keep({"daily": {**COLUMNS, "Execution Duration": dg.MetadataValue.float(0.1)}})
    columns.keep({"hourly": {"dagster/column_schema": SCHEMA}})
    assert columns.read() == {"daily": COLUMNS, "hourly": {"dagster/column_schema": SCHEMA}}
    assert [file.name for file in tmp_path.iterdir()] == ["traced.json"]


def test_other_sql_is_traced_anew(tmp_path: Path) -> None:
    file = tmp_path / "traced.json"
    TracedColumns(file, "1").keep({"daily": COLUMNS})
    assert TracedColumns(file, "2").read() == {}
    TracedColumns(file, "2").keep({"hourly": COLUMNS})
    assert TracedColumns(file, "2").read() == {"hourly": COLUMNS}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "1"}', '{"version": "1", "columns": 7}'])
def test_a_file_that_says_nothing_is_no_answer(tmp_path: Path, content: str) -> None:
    (tmp_path / "traced.json").write_text(content)
    assert TracedColumns(tmp_path / "traced.json", "1").read() == {}
