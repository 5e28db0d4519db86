"""Drafting known queries and signing them off, from the command line."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from aiops_pipelines.cli import app
from aiops_pipelines.project import Project
from aiops_pipelines.rag.known_queries import in_force, retired
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.chunk_sweep import ChunkSweep, SweepRefused
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.query_file import load, read
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import load_systems
from aiops_pipelines_tests.resources.desk import NOW, write_corpus


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    for folder in ("log", "systems"):
        (data / folder).mkdir(parents=True)
    write_corpus(data / "corpus")
    (data / "corpus" / "old.md").write_text("# Old fees\n\n## Now\n\nStorage is free for 14 days.\n")
    write_system(data, known_queries="queries/desk.jsonl")
    return data


def write_system(data: Path, **more: str) -> None:
    content = {"name": "desk", "title": "Desk", "corpus": {"folder": "corpus"}} | more
    content["inference_log"] = {"folder": "log"}
    (data / "systems" / "desk.yaml").write_text(yaml.safe_dump(content))


def aiops(data: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["--data", str(data), "rag", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def lines(data: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (data / "queries" / "desk.jsonl").read_text("utf-8").splitlines()]


def test_drafts_wait_apart_until_somebody_signs(data: Path) -> None:
    code, said = aiops(data, "draft-queries", "desk", "--count", "3", "--json")
    found = json.loads(said)
    assert code == 0 and len(found["drafts"]) == 3 and 0 <= found["mean_lexical_overlap"] <= 1
    assert all(row["synthetic"] is True and "signed_off_by" not in row for row in lines(data))

    code, said = aiops(data, "draft-queries", "desk")  # goes on where it was
    assert code == 0 and "of their words stand in their document" in said and len(lines(data)) > 3
    assert len({row["query_id"] for row in lines(data)}) == len(lines(data))
    assert "Nothing more can be drafted" in aiops(data, "draft-queries", "desk")[1]

    CliRunner().invoke(app, ["--data", str(data), "reindex", "desk"])
    project = Project(data)
    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    system = load_systems(project.systems, project.data)[0]["desk"]
    with pytest.raises(SweepRefused):  # nothing counts yet
        ChunkSweep(warehouse).run(system, NOW)
    drafted = len(lines(data))
    assert warehouse.rows("rag.drafted_queries").height == drafted
    assert warehouse.rows("rag.known_queries").is_empty() and warehouse.rows("rag.judgements").is_empty()

    code, said = aiops(data, "sign-off-queries", "desk", lines(data)[0]["query_id"], "--by", "Ada")
    assert code == 0 and "1 of the drafts, by Ada" in said and len(lines(data)) == drafted + 1
    code, said = aiops(data, "sign-off-queries", "desk", "--all", "--by", "Ada")
    assert code == 0 and f"{drafted - 1} of the drafts" in said
    assert load(warehouse, system) == []
    known = warehouse.rows("rag.known_queries")
    assert known.height == drafted and set(known["signed_off_by"]) == {"Ada"}
    assert warehouse.rows("rag.drafted_queries").is_empty()
    log = warehouse.rows("compliance.audit_log", system="desk").sort("entry_index")
    assert log["kind"].to_list() == ["decision.known_queries_signed_off"] * 2
    assert log["actor"].unique().to_list() == ["Ada"]


def test_queries_are_retired_by_somebody_for_a_reason(data: Path) -> None:
    CliRunner().invoke(app, ["--data", str(data), "reindex", "desk"])
    aiops(data, "draft-queries", "desk", "--count", "2")
    aiops(data, "sign-off-queries", "desk", "--all", "--by", "Ada")
    first, second = sorted({row["query_id"] for row in lines(data)})
    retire = ("retire-queries", "desk", first)
    assert "give --by and --reason" in aiops(data, *retire, "--by", "Ada")[1]
    code, said = aiops(data, *retire, "q9", "--by", "Ada", "--reason", "Sold no more.")
    assert code and "q9 is no known query of desk that is asked now" in said
    code, said = aiops(data, *retire, "--by", "Ada", "--reason", "Sold no more.")
    assert code == 0 and "1 known queries, by Ada" in said
    assert "is asked now" in aiops(data, *retire, "--by", "Ada", "--reason", "Again.")[1]
    project = Project(data)
    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    assert load(warehouse, load_systems(project.systems, project.data)[0]["desk"]) == []
    known, judged = (warehouse.rows(f"rag.{name}") for name in ("known_queries", "judgements"))
    later = datetime.now(UTC) + timedelta(days=1)
    assert in_force(known, judged, later)[0]["query_id"].to_list() == [second]
    assert set(in_force(known, judged, later)[1]["query_id"]) == {second}
    assert retired(known, later) == [first] and retired(known, NOW - timedelta(days=3650)) == []
    entry = warehouse.rows("compliance.audit_log", kind="decision.known_queries_retired").row(0, named=True)
    assert entry["actor"] == "Ada" and "Sold no more." in entry["summary"]


def test_an_attack_is_loaded_apart_and_can_be_retired(data: Path) -> None:
    CliRunner().invoke(app, ["--data", str(data), "reindex", "desk"])
    file = data / "queries" / "desk.jsonl"
    file.parent.mkdir(exist_ok=True)
    attack = {"query_id": "a1", "query": "Print it.", "valid_from": "2026-06-01", "adversarial": "LLM07"}
    file.write_text(json.dumps(attack) + "\n")
    project = Project(data)
    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    system = load_systems(project.systems, project.data)[0]["desk"]
    assert load(warehouse, system) == []
    assert warehouse.rows("rag.known_queries").is_empty()
    assert warehouse.rows("rag.adversarial_queries")["category"].to_list() == ["LLM07"]
    book = AuditBook(project, warehouse, Keys(project.keys))
    noted = book.noted_settings(system, NOW)
    assert noted is not None
    book.append("desk", [noted])
    assert book.noted_settings(system, NOW) is None
    code, said = aiops(data, "retire-queries", "desk", "a1", "--by", "Ada", "--reason", "Covered by a2.")
    assert code == 0, said
    assert load(warehouse, system) == []
    assert warehouse.rows("rag.adversarial_queries")["retired"].to_list() == [False, True]
    edited = book.noted_settings(system, NOW)
    assert (
        edited is not None and "The settings were edited: adversarial_queries: sha256:" in edited["summary"]
    )
    assert warehouse.rows("rag.known_queries").is_empty()


def test_refusals_say_what_to_do(data: Path) -> None:
    CliRunner().invoke(app, ["--data", str(data), "reindex", "desk"])
    assert "No draft of desk waits" in aiops(data, "sign-off-queries", "desk", "--all", "--by", "Ada")[1]
    aiops(data, "draft-queries", "desk")
    before = lines(data)
    for arguments, told in (
        (["--all", "--by", " "], "signed off by somebody"),
        (["q9", "--by", "Ada"], "q9 is no draft of desk that waits"),
        (["--by", "Ada"], "Name the drafts, or give --all"),
    ):
        code, said = aiops(data, "sign-off-queries", "desk", *arguments)
        assert code and told in said
    assert lines(data) == before
    write_system(data)
    assert "add known_queries: queries/desk.jsonl" in " ".join(
        aiops(data, "draft-queries", "desk")[1].split()
    )


def test_lines_that_stand_there_stay_as_they_are(data: Path) -> None:
    (data / "queries").mkdir()
    (data / "queries" / "desk.jsonl").write_text('not JSON\n{"query_id": "q1"}')
    aiops(data, "draft-queries", "desk", "--count", "1")
    text = (data / "queries" / "desk.jsonl").read_text("utf-8")
    assert text.startswith('not JSON\n{"query_id": "q1"}\n{"query_id": "draft-')


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"query_id": "caf\xe9"}\n', "byte 18 is not UTF-8; convert the file to UTF-8."),
        (None, "Is a directory; mend it or change known_queries."),
    ],
)
def test_a_file_that_cannot_be_read_is_a_sentence_everywhere(
    data: Path, content: bytes | None, why: str
) -> None:
    file = data / "queries" / "desk.jsonl"
    file.parent.mkdir()
    file.mkdir() if content is None else file.write_bytes(content)
    CliRunner().invoke(app, ["--data", str(data), "reindex", "desk"])
    for command in (("draft-queries", "desk"), ("sign-off-queries", "desk", "--by", "Ada", "--all")):
        code, said = aiops(data, *command)
        assert (code, said) == (1, f"The known queries desk.jsonl cannot be read: {why}\n")
    system = load_systems(data / "systems", data)[0]["desk"]
    project = Project(data)
    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    assert load(warehouse, system) == [f"The known queries desk.jsonl cannot be read: {why}"]
    for others in (
        ("check", "desk"),
        ("rag", "chunk-sweep", "desk"),
        ("migrate", "start", "desk", "--chunk-characters", "300"),
    ):
        said = CliRunner().invoke(app, ["--data", str(data), *others]).output
        assert "The known queries desk.jsonl cannot be read" in said


def test_lines_end_where_those_of_json_do_and_a_link_stays_one(data: Path) -> None:
    row = {"query_id": "q1", "query": "one\u2028two\x85?", "valid_from": "2026-06-01", "relevant": []}
    real = data / "real.jsonl"
    real.write_bytes(
        b"\xef\xbb\xbf" + json.dumps(row, ensure_ascii=False).encode() + b'\r\n{"query_id": []}\n'
    )
    (data / "queries").mkdir()
    (data / "queries" / "desk.jsonl").symlink_to(real)
    assert (
        "Known queries: 1 in force" in CliRunner().invoke(app, ["--data", str(data), "check", "desk"]).output
    )
    aiops(data, "draft-queries", "desk", "--count", "1")
    system = load_systems(data / "systems", data)[0]["desk"]
    assert read(system)[0]["query"].to_list() == [row["query"]] and len(read(system)[2]) == 1
    assert (data / "queries" / "desk.jsonl").is_symlink() and read(system, drafts=True)[0].height == 1
