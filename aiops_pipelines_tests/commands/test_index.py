"""The command line: re-indexing by hand, traces of answers, and rankings from anywhere."""

import json
from datetime import UTC, datetime

import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.commands.small_run import (
    frame,
    refused,
)

# Measuring rankings


def test_a_ranking_from_anywhere_is_measured(aiops, tmp_path):
    (tmp_path / "qrels").write_text("q1 0 a 2\nq1 0 b 1\nq2 0 a 1\nq3 0 a 1\n")
    (tmp_path / "run").write_text(
        "q1 Q0 a 1 3 t\nq1 Q0 x 2 2 t\nq2 Q0 x 1 9 t\nq2 Q0 a 2 8 t\nq4 Q0 a 1 1 t\n"
    )
    given = ("rag", "metrics", "--qrels", str(tmp_path / "qrels"), "--run", str(tmp_path / "run"))
    found = json.loads(aiops(tmp_path, *given, "-k", "1", "--json").raw)
    assert found["queries"] == 2
    assert found["metrics"] == {
        "precision@1": 0.5,
        "recall@1": 0.25,
        "hit@1": 0.5,
        "ndcg@1": 0.5,
        "mrr": 0.75,
    }
    assert (found["judged_without_ranking"], found["ranked_without_judgement"]) == (["q3"], ["q4"])
    text = aiops(tmp_path, *given).text
    assert "1 judged but not ranked, left out: q3." in text
    assert "mrr" in text
    (tmp_path / "run").write_text("Q1 Q0 a 1 3 t\n")
    refused(aiops(tmp_path, *given), "run ranks no query that qrels judges")
    (tmp_path / "run").write_text("q1 Q0 a 1 3\n")
    refused(aiops(tmp_path, *given), "run, line 1: 5 fields")
    (tmp_path / "run").unlink()
    refused(aiops(tmp_path, *given), "cannot be used")


# Indexing by hand


@pytest.fixture
def desk(tmp_path):
    folder = tmp_path / "desk"
    (folder / "systems").mkdir(parents=True)
    (folder / "systems/desk.yaml").write_text(
        "name: desk\ntitle: Desk\ncorpus: {folder: corpus}\ninference_log: {folder: log}\n"
    )
    (folder / "corpus").mkdir()
    for name, text in (("fees", "A label costs two euros."), ("hours", "We open at nine."), ("old", "Gone.")):
        (folder / f"corpus/{name}.md").write_text(f"# {name}\n\n{text}\n")
    return folder


def test_reindex_says_what_changed_and_what_it_took(aiops, desk):
    first = json.loads(aiops(desk, "reindex", "desk", "--json").raw)
    assert first["documents"] == {"added": 3, "edited": 0, "renamed": 0, "deleted": 0, "unchanged": 0}
    assert first["chunks"] == {"wanted": 3, "new_texts": 3, "embedded": 3, "dropped": 0}
    assert first["cpu_s"].keys() == {"reading", "chunking", "embedding", "writing"}
    corpus = desk / "corpus"
    (corpus / "fees.md").write_text("# fees\n\nA label costs three euros.\n")
    (corpus / "hours.md").rename(corpus / "opening.md")
    (corpus / "old.md").unlink()
    again = json.loads(aiops(desk, "reindex", "desk", "--json").raw)
    assert again["documents"] == {"added": 0, "edited": 1, "renamed": 1, "deleted": 1, "unchanged": 0}
    assert again["chunks"] == {"wanted": 2, "new_texts": 1, "embedded": 1, "dropped": 2}
    assert again["findings"] == []
    assert "The index equals its source" in aiops(desk, "reindex", "desk").text
    refused(aiops(desk, "reindex", "desks"), "There is no system desks")


def test_a_files_name_does_nothing_to_the_terminal(aiops, desk):
    (desk / "corpus/clear\x1b[2J\u202e.md").write_text("# x\n")
    assert "corpus" not in (said := aiops(desk, "reindex", "desk").raw)
    assert "clear<U+001B>[2J<U+202E>.md is not indexed" in said


def test_trace_tells_an_answer_back_to_its_document(aiops, desk):
    aiops(desk, "reindex", "desk")
    project = Project(desk)
    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    (place,) = warehouse.rows("rag.index_chunks", document="fees.md").rows(named=True)
    given = [{"chunk_id": place["chunk_id"], "document": "fees.md", "score": 0.9}]
    call = {"system": "desk", "event_id": "e1", "occurred_at": datetime(2026, 6, 1, tzinfo=UTC)}
    call |= {"retrieved": given, "answer": "Two euros.", "index_version": place["index_version"]}
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", frame("inference_log.inferences", call))
    text = aiops(desk, "trace", "e1").text
    assert "Two euros." in text and "A label costs two euros." in text
    assert f"in fees.md, version {place['document_hash'][:12]}, place 0" in text
    assert "by aiops reindex" in text
    found = json.loads(aiops(desk, "trace", "e1", "--json").raw)
    assert found[0]["chunks"][0]["place"]["document"] == "fees.md"
    refused(aiops(desk, "trace", "e2"), "There is no call e2 in any log")
