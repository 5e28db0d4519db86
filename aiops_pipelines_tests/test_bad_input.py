"""Broken systems beside a healthy one: each gets a clear sentence, nothing is lost, and the rest still runs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from aiops_pipelines.project import ROOT, Project

RUN = """
import sys
from aiops_pipelines.project import Project
from aiops_pipelines.defs.runs import operate
for _ in sys.stdin:
    operate(Project.here(), lambda said: print(said, flush=True))
    print("operated", flush=True)
"""
CALL = {
    "occurred_at": "2026-06-02T10:00:00Z",
    "provider": "openai",
    "model_requested": "gpt-4.1-mini",
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    "query": "How many days of leave do I have?",
    "answer": "Twenty-eight days.",
}
STORED = "select event_id from inference_log.inferences where system = 'bad-lines'"


@dataclass(frozen=True)
class House:
    """A data folder, and a process that runs all cadences on it each time it is asked to."""

    data: Path
    process: "subprocess.Popen[str]"

    def run(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        said = []
        for line in self.process.stdout:
            said.append(line)
            if line == "operated\n":
                return
        raise AssertionError("".join(said)[-4000:])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("broken") / "data"
    environment = {key: value for key, value in os.environ.items() if key != "DAGSTER_HOME"} | {
        "AIOPS_DATA": str(data)
    }
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", RUN],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield House(data, process)
        process.kill()


def system(
    data: Path,
    name: str,
    lines: list[str] | None = None,
    corpus: bool = True,
    queries: bool = True,
    extra: str = "",
) -> None:
    """Write a system with its own copy of a small corpus, a few known queries and these log lines."""
    text = f"name: {name}\ntitle: {name}\nas_of: 2026-06-10T06:00:00Z\ninference_log: {{folder: logs/{name}}}\n{extra}"
    if corpus:
        shutil.copytree(ROOT / "data" / "corpus" / "handbook", data / "corpus" / name)
    text += f"corpus: {{folder: corpus/{name}}}\n"
    if queries:
        (data / "queries").mkdir(exist_ok=True)
        shutil.copyfile(ROOT / "data" / "queries" / "handbook.jsonl", data / "queries" / f"{name}.jsonl")
        text += f"known_queries: queries/{name}.jsonl\n"
    if lines is not None:
        folder = data / "logs" / name
        folder.mkdir(parents=True)
        (folder / "june.jsonl").write_text("".join(lines), encoding="utf-8")
    (data / "systems").mkdir(exist_ok=True)
    (data / "systems" / f"{name}.yaml").write_text(text, encoding="utf-8")


def call(event_id: str, **changes: object) -> str:
    return json.dumps({**CALL, "event_id": event_id, **changes}) + "\n"


def sql(data: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(Project(data).published), read_only=True) as connection:
        return connection.execute(query).fetchall()


def priced(data: Path, event_id: str) -> tuple:
    [row] = sql(
        data,
        "select price_status, cost_usd from costs.call_costs "
        f"where system = 'bad-lines' and event_id = '{event_id}'",
    )
    return row


def problems(data: Path, name: str) -> str:
    return " ".join(
        text
        for (text,) in sql(
            data, f"select problem from operations.problems where system = '{name}' order by all"
        )
    )


@pytest.fixture(scope="module")
def data(house: House) -> Path:
    data = house.data
    data.mkdir()
    good = [call("a"), call("b")]
    system(data, "healthy", good)
    system(
        data,
        "bad-lines",
        [
            call("a"),
            "{this is no JSON\n",
            call("unknown-model", provider="acme", model_requested="acme-colossus-9"),
            call("no-usage", usage=None),
            call("torn")[:40],
        ],
    )
    system(data, "empty-corpus", good, corpus=False)
    (data / "corpus" / "empty-corpus").mkdir(parents=True)
    system(data, "no-corpus-no-logs", None, corpus=False)
    system(data, "bad-document", good, queries=False)
    (data / "corpus" / "bad-document" / "noise.md").write_bytes(bytes(range(256)) * 8)
    (data / "systems" / "typo.yaml").write_text(
        "name: typo\ntitel: Typo\ninference_log: {folder: logs/typo}\n", encoding="utf-8"
    )
    house.run()
    return data


def test_the_healthy_system_is_operated_without_a_word_about_its_input(data: Path) -> None:
    assert sql(data, "select count(*) from inference_log.inferences where system = 'healthy'") == [(2,)]
    assert sql(data, "select verdict from rag.index_freshness where system = 'healthy'") == [("unknown",)]
    said = problems(data, "healthy")
    assert "does not" not in said and "not indexed" not in said
    assert (data / "reports" / "healthy" / "weekly" / "2026-06-01.html").exists()


def test_a_broken_line_is_set_aside_with_its_place_and_a_torn_one_waits(data: Path) -> None:
    assert sql(data, f"{STORED} order by all") == [("a",), ("no-usage",), ("unknown-model",)]
    [(file, line, reason)] = sql(
        data,
        "select source_file, source_line, reason from inference_log.quarantine where system = 'bad-lines'",
    )
    assert (file, line) == ("june.jsonl", 2) and "JSON" in reason
    [(waiting, lines)] = sql(
        data, "select waiting_bytes, lines_read from inference_log.log_files where system = 'bad-lines'"
    )
    assert (waiting, lines) == (40, 4)


def test_an_empty_or_missing_corpus_is_said_and_nothing_is_indexed(data: Path) -> None:
    assert "is empty; put documents into it" in problems(data, "empty-corpus")
    assert "does not exist; create it" in problems(data, "no-corpus-no-logs")
    assert sql(
        data, "select count(*) from rag.index_versions where system in ('empty-corpus', 'no-corpus-no-logs')"
    ) == [(0,)]
    assert sql(data, "select count(*) from inference_log.inferences where system = 'empty-corpus'") == [(2,)]


def test_an_unreadable_document_is_named_and_the_others_are_indexed(data: Path) -> None:
    assert "noise.md is not indexed" in problems(data, "bad-document")
    documents = sql(data, "select documents from rag.index_versions where system = 'bad-document'")
    assert documents == sql(data, "select documents from rag.index_versions where system = 'healthy'")


def test_an_unknown_model_costs_unknown_and_never_nothing(data: Path) -> None:
    assert priced(data, "unknown-model") == ("unknown", None)
    status, cost = priced(data, "a")
    assert status == "priced" and cost > 0
    assert "1 call of the model acme-colossus-9 has no known price" in problems(data, "bad-lines")


def test_calls_without_token_usage_cost_nothing_known_and_stop_nobody(data: Path) -> None:
    assert priced(data, "no-usage") == ("no_usage", None)


def test_a_system_without_known_queries_is_told_so_and_still_runs(data: Path) -> None:
    assert "No known queries are configured" in problems(data, "bad-document")
    assert sql(data, "select count(*) from rag.index_versions where system = 'bad-document'") == [(1,)]


def test_a_missing_log_folder_is_said(data: Path) -> None:
    assert "log folder" in problems(data, "no-corpus-no-logs")


def test_a_mistyped_key_does_not_stop_the_others(data: Path) -> None:
    assert sql(data, "select count(distinct system) from rag.index_versions") == [(3,)]


def test_deleting_source_files_is_said_and_loses_nothing(house: House, data: Path) -> None:
    with duckdb.connect(str(Project(data).warehouse)) as connection:
        connection.execute(
            "insert into incidents.incident_events values "
            "('healthy', 'INC-00000000', timestamp '2026-06-09', 'acknowledged', 'kim', null)"
        )
    (data / "logs" / "healthy" / "june.jsonl").unlink()
    (data / "queries" / "no-corpus-no-logs.jsonl").unlink()
    shutil.rmtree(data / "corpus" / "bad-document")
    (data / "logs" / "bad-lines" / "june.jsonl").open("a").write(call("torn")[40:])
    (data / "corpus" / "healthy" / next(iter(sorted(os.listdir(data / "corpus" / "healthy"))))).unlink()
    house.run()
    assert "june.jsonl was read before and is gone" in problems(data, "healthy")
    assert sql(data, "select count(*) from inference_log.inferences where system = 'healthy'") == [(2,)]
    assert "What was decided on INC-00000000" in problems(data, "healthy")
    assert "does not exist; restore it" in problems(data, "no-corpus-no-logs")
    assert sql(data, "select count(*) > 0 from rag.known_queries where system = 'no-corpus-no-logs'") == [
        (True,)
    ]
    assert "does not exist; create it" in problems(data, "bad-document")
    assert sql(data, "select count(*) from rag.index_versions where system = 'bad-document'") == [(1,)]
    assert sql(data, "select change from rag.corpus_changes where system = 'healthy'") == [("deleted",)]
    assert ("torn",) in sql(data, STORED)
