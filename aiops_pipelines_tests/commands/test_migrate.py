"""A migration from the command line, from plan to rollback, on a real small index."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from aiops_pipelines.cli import app
from aiops_pipelines.project import Project
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.desk import ask, write_corpus


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    (data / "log").mkdir(parents=True)
    write_corpus(data / "corpus")
    write_system(data, {})
    return data


def write_system(data: Path, index: dict[str, Any]) -> None:
    content = {"name": "desk", "title": "Desk", "corpus": {"folder": "corpus"}, "index": index}
    content |= {"inference_log": {"folder": "log"}, "limits": {"margin": 0.05}}
    (data / "systems").mkdir(exist_ok=True)
    (data / "systems" / "desk.yaml").write_text(yaml.safe_dump(content))


def aiops(data: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["--data", str(data), *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, " ".join(result.output.split())


def as_json(data: Path, *arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["--data", str(data), *arguments, "--json"])
    return dict(json.loads(result.stdout))


def test_from_plan_to_rollback(data: Path) -> None:
    assert "Nothing was run yet" in aiops(data, "migrate", "plan", "desk", "--chunk-characters", "300")[1]
    aiops(data, "reindex", "desk")
    project = Project(data)
    ask(Warehouse(project.warehouse, declared_tables(project.dbt)), 84)

    code, said = aiops(data, "migrate", "plan", "desk")
    assert code == 1 and "all-MiniLM-L6-v2 and chunks of 600 characters already" in said
    planned = as_json(data, "migrate", "plan", "desk", "--chunk-characters", "300")
    assert (planned["texts"], planned["documents"], planned["usd"], planned["paid"]) == (6, 6, "0", False)
    assert as_json(data, "migrate", "status", "desk")["migration"] is None

    assert "No migration of desk is open" in aiops(data, "migrate", "promote", "desk", "--by", "Ada")[1]
    code, said = aiops(data, "migrate", "start", "desk", "--chunk-characters", "300")
    assert code == 0 and "mg-1 to all-MiniLM-L6-v2, chunks of 300 characters: built" in said
    assert "ndcg_at_10 stays the same" in said and "aiops migrate promote desk" in said
    assert as_json(data, "migrate", "status", "desk")["active"]["chunk_characters"] == 600

    code, said = aiops(data, "migrate", "promote", "desk", "--by", "Ada")
    assert code == 0 and "In force all-MiniLM-L6-v2, chunks of 300 characters, since" in said
    found = as_json(data, "migrate", "status", "desk")
    assert found["active"]["decided_by"] == "Ada" and found["migration"]["status"] == "promoted"
    assert {one["verdict"] for one in found["verdicts"]} == {"not inferior", "informs"}
    assert "made otherwise" in aiops(data, "check", "desk")[1]

    write_system(data, {"chunk_characters": 300})
    assert "made otherwise" not in aiops(data, "check", "desk")[1]
    write_corpus(data / "corpus", {"news": "A shop opens in Oslo."})
    done = as_json(data, "reindex", "desk")  # the index before is kept level beside the new one
    assert done["documents"]["added"] == 1 and done["chunks"]["embedded"] == 2

    code, said = aiops(data, "migrate", "rollback", "desk", "--by", "Ada", "--reason", "Too many pieces")
    assert code == 0 and "chunks of 600 characters, since" in said and "rolled back" in said
    assert as_json(data, "reindex", "desk")["chunks"]["embedded"] == 0
    code, said = aiops(data, "migrate", "rollback", "desk", "--by", "Ada")
    assert code == 1 and "rolled back already" in said


def test_an_unknown_model_and_a_gate_that_holds_are_one_sentence(data: Path) -> None:
    aiops(data, "reindex", "desk")
    code, said = aiops(data, "migrate", "plan", "desk", "--embedding", "no-such-model")
    assert code == 1 and "known are all-MiniLM-L6-v2, multilingual-e5-small" in said
    said = aiops(data, "migrate", "start", "desk", "--chunk-characters", "300")[1]  # and no query is known
    assert said.count("Nothing can be told from 0 queries") == 1
    assert said.count("No production query could be asked") == 1
    code, said = aiops(data, "migrate", "promote", "desk", "--by", "Ada")
    assert code == 1 and said.count("20 queries with a known answer are needed") == 1
    assert "--force --reason" in said
    code, said = aiops(data, "migrate", "promote", "desk", "--by", "Ada", "--force")
    assert code == 1 and "takes a --reason" in said
    code, _ = aiops(data, "migrate", "promote", "desk", "--by", "Ada", "--force", "--reason", "A trial")
    assert code == 0
