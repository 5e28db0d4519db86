"""The same house on real input: documentation of a library at three releases, and traces other tools exported."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from aiops_pipelines.project import ROOT, Project

pytestmark = pytest.mark.slow
RELEASES = {"2023-03-18": "0.95.0", "2024-02-25": "0.110.0", "2024-09-17": "0.115.0"}
FOLDERS = ("tutorial/security/", "deployment/", "tutorial/first-steps.md")
RUN = "from aiops_pipelines.project import Project; from aiops_pipelines.defs.runs import operate; operate(Project.here(), print)"


def release(shared_data: Path, version: str) -> dict[str, str]:
    with gzip.open(
        shared_data / "docs_revisions" / "fastapi" / f"docs_{version}.jsonl.gz", "rt", encoding="utf-8"
    ) as lines:
        rows = [json.loads(line) for line in lines]
    return {row["path"]: row["text"] for row in rows if row["path"].startswith(FOLDERS)}


def known_queries(shared_data: Path) -> Iterator[str]:
    facts = (shared_data / "docs_revisions" / "fastapi" / "versioned_facts.jsonl").read_text(encoding="utf-8")
    for number, fact in enumerate(map(json.loads, facts.splitlines())):
        if fact["path"].startswith(FOLDERS):
            for day, version in RELEASES.items():
                answer = fact["answer_by_version"].get(version)
                row = {
                    "query_id": f"f{number}",
                    "query": fact["question"],
                    "valid_from": day,
                    "reference_answer": answer,
                }
                yield json.dumps(row | {"relevant": [{"document": fact["path"], "grade": 2}]})


@pytest.fixture(scope="module")
def data(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("real") / "data"
    for day, version in RELEASES.items():
        for path, text in release(shared_data, version).items():
            file = data / "corpus" / day / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    (data / "queries.jsonl").write_text("\n".join(known_queries(shared_data)), encoding="utf-8")
    shutil.copytree(shared_data / "traces" / "otlp", data / "traces")
    (data / "systems").mkdir()
    (data / "systems" / "library.yaml").write_text(
        "name: library\ntitle: documentation of a library\nas_of: 2024-10-01T00:00:00Z\ncorpus: {folder: corpus, dated: true}\n"
        "inference_log: {folder: traces, format: otlp_json}\nknown_queries: queries.jsonl\n",
        encoding="utf-8",
    )
    environment = {key: value for key, value in os.environ.items() if key != "DAGSTER_HOME"} | {
        "AIOPS_DATA": str(data)
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return data


def sql(data: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(Project(data).published), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_every_document_of_every_release_is_indexed(data: Path, shared_data: Path) -> None:
    expected = [len(release(shared_data, version)) for version in RELEASES.values()]
    assert min(expected) > 10
    assert [
        n for (n,) in sql(data, "select documents from rag.index_versions order by valid_from")
    ] == expected


def test_changes_between_releases_are_the_real_ones(data: Path, shared_data: Path) -> None:
    versions = list(RELEASES.items())
    for (_, before), (day, after) in pairwise(versions):
        old, new = release(shared_data, before), release(shared_data, after)
        found = sql(
            data,
            f"select change, document, previous_document from rag.corpus_changes where valid_from = '{day}'",
        )
        moved_to = {document for change, document, _ in found if change.startswith("renamed")}
        moved_from = {previous for change, _, previous in found if change.startswith("renamed")}
        assert {d for c, d, _ in found if c == "edited"} == {
            path for path in old.keys() & new.keys() if old[path] != new[path]
        }
        assert {d for c, d, _ in found if c == "added"} == new.keys() - old.keys() - moved_to
        assert {d for c, d, _ in found if c == "deleted"} == old.keys() - new.keys() - moved_from


def test_a_release_embeds_only_what_is_new(data: Path) -> None:
    rows = sql(data, "select chunks, texts_embedded from rag.index_versions order by valid_from")
    assert rows[0][0] == rows[0][1]
    assert all(embedded < chunks for chunks, embedded in rows[1:])


def test_exported_traces_become_calls_with_the_tokens_they_state(data: Path) -> None:
    calls = sql(
        data,
        "select model_requested, input_uncached + cache_read + cache_write, output_visible + reasoning, tokens_total from inference_log.inferences where tokens_total is not null",
    )
    assert calls
    for _, given, said, total in calls:
        assert given + said == total
    priced = sql(data, "select count(*) from costs.call_costs where price_status = 'priced' and cost_usd > 0")
    assert priced[0][0] >= 1


def test_known_queries_are_asked_of_every_release(data: Path) -> None:
    rows = sql(
        data, "select count(distinct index_version), count(distinct ranker) from rag.retrieval_quality"
    )
    assert rows == [(3, 3)]
