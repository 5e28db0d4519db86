"""Publishing from the command line: once, again, after a change, and along with a migration and back."""

import json
from pathlib import Path

import duckdb
import pytest
import yaml
from typer.testing import CliRunner

from aiops_pipelines.cli import app
from aiops_pipelines_tests.resources.desk import write_corpus


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "corpus")
    (tmp_path / "log").mkdir()
    (tmp_path / "systems").mkdir()
    write_system(tmp_path, {"store": "duckdb"})
    return tmp_path


def write_system(data: Path, publish: dict | None) -> None:
    content = {"name": "desk", "title": "Desk", "corpus": {"folder": "corpus"}}
    content |= {"inference_log": {"folder": "log"}} | ({"publish": publish} if publish else {})
    (data / "systems" / "desk.yaml").write_text(yaml.safe_dump(content))


def aiops(data: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["--data", str(data), *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output if "--json" in arguments else " ".join(result.output.split())


def test_publish_again_after_a_change_and_with_a_migration(data: Path) -> None:
    assert "Nothing was run yet" in aiops(data, "publish", "desk")[1]
    aiops(data, "reindex", "desk")
    code, said = aiops(data, "publish", "desk")
    assert code == 0 and "6 upserts and 0 deletes" in said and "it equals the index" in said
    found = json.loads(aiops(data, "publish", "desk", "--json")[1])
    assert (found["upserts"], found["deletes"], found["written"], found["switched"]) == (0, 0, 0, False)
    assert (found["nodes"], found["findings"], found["verified"]["vectors"]) == (6, [], 6)

    write_corpus(data / "corpus", {"fees": "A label costs three euros."})
    aiops(data, "reindex", "desk")
    found = json.loads(aiops(data, "publish", "desk", "--json")[1])
    assert (found["upserts"], found["deletes"], found["written"]) == (1, 1, 1)
    with duckdb.connect(str(data / "vectors" / "desk.duckdb"), read_only=True) as connection:
        texts = connection.execute("select text from desk where document = 'fees.md'").fetchall()
    assert texts == [("# Fees\n\nA label costs three euros.",)]

    aiops(data, "migrate", "start", "desk", "--chunk-characters", "300")
    trial = ("--by", "Ada", "--force", "--reason", "A trial")
    code, said = aiops(data, "migrate", "promote", "desk", *trial)
    assert code == 0 and "structure-2-300; 6 nodes were written" in said
    code, said = aiops(data, "migrate", "rollback", "desk", "--by", "Ada")
    assert code == 0 and "structure-2; 0 nodes were written" in said


def test_what_stands_in_the_way_is_a_sentence_and_check_knows_it(data: Path) -> None:
    aiops(data, "reindex", "desk")
    write_system(
        data, {"store": "qdrant", "arguments": {"url": "http://x"}, "secrets": {"api_key": "NOT_SET"}}
    )
    for command in ("check", "publish"):
        code, said = aiops(data, command, "desk")
        assert code == 1 and "The environment variable NOT_SET is not set" in said
    write_system(data, None)
    assert "desk is not published; add publish to its file" in aiops(data, "publish", "desk")[1]
    write_system(data, {"store": "duckdb", "arguments": {"file": "log"}})
    code, said = aiops(data, "publish", "desk")
    assert code == 1 and "log cannot be read" in said
