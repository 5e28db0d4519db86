"""Runbooks: one for every cause, and every query runs on the declared tables."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml

from aiops_pipelines.incidents.reported import REPORTED
from aiops_pipelines.incidents.rules import RULES
from aiops_pipelines.incidents.runbooks import (
    Query,
    RunbookError,
    by_cause,
    digests,
    load_runbook,
    load_runbooks,
    uncovered,
)
from aiops_pipelines.resources.tables import declared_tables

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "data" / "runbooks"
RUNBOOKS, MISTAKES = load_runbooks(FOLDER)
QUERIES = [
    pytest.param(query, id=f"{name}-{number}")
    for name, runbook in RUNBOOKS.items()
    for number, query in enumerate(runbook.queries, 1)
]
EXAMPLES = {
    "VARCHAR": "text",
    "BIGINT": 3,
    "TINYINT": 1,
    "DOUBLE": 0.5,
    "BOOLEAN": True,
    "DATE": datetime(2026, 6, 1, tzinfo=UTC).date(),
    "TIMESTAMP": datetime(2026, 6, 1, 12, tzinfo=UTC).replace(tzinfo=None),
    "BLOB": b"bytes",
    "DECIMAL(38,12)": Decimal("0.25"),
    "VARCHAR[]": ["text"],
    "FLOAT[]": [0.5],
    "STRUCT(chunk_id VARCHAR, document VARCHAR, score DOUBLE)[]": [
        {"chunk_id": "c", "document": "d", "score": 0.5}
    ],
    "STRUCT(guardrail VARCHAR, category VARCHAR, action VARCHAR)[]": [
        {"guardrail": "g", "category": "c", "action": "blocked"}
    ],
}


def warehouse(*systems: str) -> duckdb.DuckDBPyConnection:
    """The declared tables, with the same row for each of these systems."""
    connection = duckdb.connect()
    for table in declared_tables(ROOT / "dbt_project").values():
        connection.execute(f"create schema if not exists {table.pillar}")
        columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
        connection.execute(f"create table {table.path} ({columns})")
        for system in systems:
            row = [system if column.name == "system" else EXAMPLES[column.type] for column in table.columns]
            connection.execute(f"insert into {table.path} values ({', '.join('?' * len(row))})", row)
    return connection


@pytest.fixture(scope="module")
def empty():
    with warehouse() as connection:
        yield connection


@pytest.fixture(scope="module")
def alone():
    with warehouse("mine") as connection:
        yield connection


@pytest.fixture(scope="module")
def beside():
    with warehouse("mine", "other", "third") as connection:
        yield connection


def answer(connection: duckdb.DuckDBPyConnection, query: Query) -> list[tuple[object, ...]]:
    return connection.execute(query.sql, {"system": "mine"}).fetchall()


def test_every_cause_of_every_rule_has_exactly_one_runbook_and_vice_versa():
    claimed = [cause for runbook in RUNBOOKS.values() for cause in runbook.causes]
    given = {cause for rule in RULES.values() for cause in rule.causes}
    assert sorted(claimed) == sorted({*given, REPORTED})
    assert by_cause(RUNBOOKS)["model_change"] == "model-change"


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_runs_on_the_declared_tables(empty, query):
    answer(empty, query)


@pytest.mark.parametrize("query", QUERIES)
def test_no_query_mixes_systems(alone, beside, query):
    """Other systems with the very same rows change nothing."""
    assert answer(alone, query) == answer(beside, query)


@pytest.mark.parametrize(
    ("sql", "mistake"),
    [
        ("delete from t where system = $system", "starts with select"),
        ("select 1 from t where system = $system; select 2", "without a semicolon"),
        ("with x as (select 1) insert into t select $system", "cannot hold 'insert'"),
        ("select * from t", "filter with system"),
        ("select * from t where system = '$system'", "filter with system"),
    ],
)
def test_a_query_only_reads_one_system(sql, mistake):
    with pytest.raises(ValueError, match=mistake):
        Query(question="?", sql=sql)


def test_words_in_quotes_change_nothing():
    assert Query(question="?", sql="select 'drop; it' from t where system = $system").sql


def folder_with(tmp_path: Path, **changes: object) -> Path:
    """A copy of the runbooks, one of them changed."""
    for file in FOLDER.glob("*.yaml"):
        (tmp_path / file.name).write_text(file.read_text())
    content = yaml.safe_load((FOLDER / "latency.yaml").read_text()) | changes
    (tmp_path / "latency.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"name": "slow"}, "the file must be slow.yaml"),
        ({"causes": ["slowness"]}, "no rule gives the cause 'slowness'"),
        ({"causes": ["latency", "errors"]}, "both claim the cause errors"),
        ({"decide": ["Look around."]}, "write each decision as"),
        ({"remedies": "none"}, "latency.yaml: remedies"),
        ({"verify": None}, "latency.yaml: verify"),
        ({"run": "destroy"}, "'destroy' cannot be run here: reindex brings"),
    ],
)
def test_a_wrong_runbook_says_what_to_change(tmp_path, changes, mistake):
    usable, mistakes = load_runbooks(folder_with(tmp_path, **changes))
    [told] = mistakes
    assert re.search(mistake, told)
    assert usable.keys() == RUNBOOKS.keys() - {"latency"}  # that one alone is set aside


def test_a_cause_without_a_runbook_is_named(tmp_path):
    (folder_with(tmp_path) / "latency.yaml").unlink()
    kept, mistakes = load_runbooks(tmp_path)
    assert mistakes == MISTAKES == []
    assert kept.keys() == RUNBOOKS.keys() - {"latency"}
    assert uncovered(kept) == "The runbooks have none for latency; write one for each."
    assert uncovered(RUNBOOKS) == ""


def test_a_file_that_is_not_yaml_is_named(tmp_path):
    (folder_with(tmp_path) / "latency.yaml").write_text("name: [")
    assert "latency.yaml cannot be read as YAML" in load_runbooks(tmp_path)[1][0]
    with pytest.raises(RunbookError, match="cannot be read"):
        load_runbook(tmp_path / "latency.yaml")


def test_a_file_that_cannot_be_read_at_all_is_set_aside_as_well(tmp_path):
    (folder_with(tmp_path) / "volume.yaml").unlink()
    (tmp_path / "volume.yaml").mkdir()
    usable, [told] = load_runbooks(tmp_path)
    assert "volume.yaml cannot be read" in told and usable.keys() == RUNBOOKS.keys() - {"volume"}
    assert digests(tmp_path).keys() == usable.keys()
