"""rag chunk-sweep from the command line, on a small real corpus."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from aiops_pipelines.cli import app
from aiops_pipelines_tests.resources.desk import TOPICS, write_corpus

LINE = {"valid_from": "2026-05-01", "tags": []}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    for folder in ("log", "systems", "queries"):
        (data / folder).mkdir(parents=True)
    write_corpus(data / "corpus")
    content = {"name": "desk", "title": "Desk", "corpus": {"folder": "corpus"}}
    content |= {"inference_log": {"folder": "log"}, "known_queries": "queries/desk.jsonl"}
    (data / "systems" / "desk.yaml").write_text(yaml.safe_dump(content))
    return data


def aiops(data: Path, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["--data", str(data), *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.output.split())


def write_queries(data: Path, copies: int) -> None:
    lines = [
        {"query_id": f"{name}{n}", "query": text, "reference_answer": text}
        | {"relevant": [{"document": f"{name}.md", "grade": 2}], **LINE}
        for name, text in TOPICS.items()
        for n in range(copies)
    ]
    (data / "queries" / "desk.jsonl").write_text("\n".join(map(json.dumps, lines)))


def test_it_says_keep_with_figures(data: Path) -> None:
    write_queries(data, 4)
    aiops(data, "reindex", "desk")
    code, said, _ = aiops(
        data,
        "rag",
        "chunk-sweep",
        "desk",
        "--candidate",
        "structure-2-100",
        "--context-tokens",
        "60",
        "--json",
    )
    found = json.loads(said)
    assert code == 0 and (found["verdict"], found["in_force"]) == ("keep", "structure-2")
    assert (found["queries"], found["queries_with_passages"], found["context_tokens"]) == (24, 24, 60)
    kept, tried = found["candidates"]
    assert kept["measures"]["answer_in_context"] == {
        **{"mean": 1.0, "gain": None, "low": None, "high": None, "p_value": None},
        "standing": "in force",
    }
    assert tried["candidate"] == "structure-2-100" and tried["measures"]["ndcg_at_10"]["gain"] == 0
    assert tried["chunks"] == 6 and tried["texts_embedded"] == 0 and tried["cpu_s"] is None

    said = aiops(data, "rag", "chunk-sweep", "--candidate", "structure-2-100")[2]
    assert "Verdict keep" in said and "24 known queries, 24 with the passages of their answer" in said
    assert [one["system"] for one in json.loads(aiops(data, "rag", "chunk-sweep", "--json")[1])] == ["desk"]


def test_few_queries_and_unknown_rules_are_said(data: Path) -> None:
    write_queries(data, 1)
    aiops(data, "reindex", "desk")
    assert "cannot tell" in aiops(data, "rag", "chunk-sweep", "desk")[2]
    code, _, said = aiops(data, "rag", "chunk-sweep", "desk", "--candidate", "pages")
    assert code == 2 and "No chunking is called 'pages'" in said


@pytest.mark.parametrize("size", ["0", "99", "10001"])
def test_a_size_that_no_index_can_have_is_no_candidate(data: Path, size: str) -> None:
    code, _, said = aiops(data, "rag", "chunk-sweep", "desk", "--candidate", f"structure-2-{size}")
    assert code == 2 and f"No index is cut into {size} characters; give 100 to" in said


def test_rules_that_are_gone_are_no_candidate(data: Path) -> None:
    code, _, said = aiops(data, "rag", "chunk-sweep", "desk", "--candidate", "structure-1-300")
    assert code == 2 and "Nothing is cut by the rules" in said and "structure-2-300" in said
