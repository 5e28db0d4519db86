"""The search for a person: what counts as a find, and what is changed where one is."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance.erasure import sought
from aiops_pipelines.inference_log.log_settings import Logs
from aiops_pipelines.resources import leftovers
from aiops_pipelines.resources.leftovers import free_file, freed, hits, in_sources, in_tables
from aiops_pipelines.resources.report_pdf import report_pdf
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines_tests.bound_root import python
from aiops_pipelines_tests.resources.audited_shop import rows

ADA, TEXT = "ada-17", "Where is the parcel that was due on Monday?"
WANTED = sought([ADA], [TEXT])


def test_every_name_is_found_inside_of_texts_and_of_what_lists_hold(warehouse: Warehouse) -> None:
    acted = {"guardrail": "names", "category": f"about {ADA}", "action": "flag"}
    call = {"system": "shop", "event_id": "e1", "query": "Is cyd-19 there?", "guardrail_events": [acted]}
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", rows(warehouse, "inference_log.inferences", call))
    found = in_tables(warehouse, [], [], ["bob-18", "eve-20", "cyd-19", ADA])
    assert found == {f"inference_log.inferences.{column}": 1 for column in ("guardrail_events", "query")}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"{ADA}", 1),
        (f"of {ADA}, by {ADA}.", 2),
        (f"{ADA}7 x{ADA} _{ADA}", 0),
        (f"<{ADA}>", 1),
        (json.dumps({"said": f"{TEXT} Hello?"}), 1),
        ("nothing", 0),
        ("", 0),
    ],
)
def test_whole_identifiers_and_beginnings_of_texts_are_found(
    tmp_path: Path, content: str, found: int
) -> None:
    (tmp_path / "file").write_text(content)
    assert hits(tmp_path / "file", WANTED) == found
    assert hits(tmp_path / "gone", WANTED) == 0 and hits(tmp_path / "file", {}) == 0


@given(st.integers(0, 40), st.integers(8, 30), st.integers(0, 3))
def test_a_find_counts_once_wherever_a_block_ends(
    tmp_path_factory, offset: int, block: int, more: int
) -> None:
    file = tmp_path_factory.mktemp("blocks") / "file"
    file.write_bytes(b"." * offset + b" ".join([ADA.encode()] * (1 + more)) + b"..")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leftovers, "BLOCK", block)
        assert hits(file, sought([ADA], [])) == 1 + more


def test_a_person_is_found_in_a_pdf_that_carries_its_data(tmp_path: Path) -> None:
    page = f"<title>T</title><main><h1>H</h1><p>{ADA}</p></main>"
    report = {"system": {"owner": "o"}, "headline": "h", "read_until": "2026-09-07T06:00:00+00:00"}
    made = report_pdf(report, page, json.dumps({"said": ADA, "more": "." * 5_000}))
    (tmp_path / "a.pdf").write_bytes(made)
    (tmp_path / "b.pdf").write_text(f"no PDF, of {ADA}")
    assert ADA.encode() not in made  # its letters are numbers
    assert hits(tmp_path / "a.pdf", WANTED) == hits(tmp_path / "b.pdf", WANTED) == 1


def test_what_is_freed_holds_all_the_rest() -> None:
    content = f'{{"user": "{ADA}", "said": "{TEXT}", "other": "{ADA}7"}}'.encode()
    assert freed(content, WANTED) == f'{{"user": "[erased]", "said": "[erased]", "other": "{ADA}7"}}'.encode()
    assert freed(content, {}) == content


def test_a_database_is_freed_in_texts_and_blobs_and_in_its_free_pages(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table events (event text, body blob, n integer)")
        rows = [(f"{n} of {ADA} " * 40, f"{TEXT}".encode(), n) for n in range(200)]
        connection.executemany("insert into events values (?, ?, ?)", rows)
        connection.execute("delete from events where n < 100")
        connection.commit()
        assert hits(file, WANTED) + hits(tmp_path / "events.db-wal", WANTED)
    free_file(tmp_path / "events.db-wal" if not hits(file, WANTED) else file, WANTED)
    assert not [name for name in tmp_path.iterdir() if hits(name, WANTED)]
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("select count(*), sum(n), min(body) from events").fetchall() == [
            (100, sum(range(100, 200)), b"[erased]")
        ]


def test_what_takes_the_place_of_a_private_file_is_private_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, began = tmp_path / "run.log", list[int]()
    file.write_text(f"of {ADA}")
    file.chmod(0o600)
    chmod = Path.chmod

    def seen(self: Path, mode: int) -> None:
        began.append(self.stat().st_mode & 0o777)
        chmod(self, mode)

    monkeypatch.setattr(Path, "chmod", seen)
    free_file(file, WANTED)
    assert began == [0o600] and file.stat().st_mode & 0o777 == 0o600 and file.read_text() == "of [erased]"


def test_a_file_that_is_no_text_is_left_alone(tmp_path: Path) -> None:
    content = b"\xff\xfe" + ADA.encode()
    (tmp_path / "vectors.bin").write_bytes(content)
    with pytest.raises(UnicodeDecodeError):
        free_file(tmp_path / "vectors.bin", WANTED)
    assert (tmp_path / "vectors.bin").read_bytes() == content


def test_lines_of_logs_are_named_a_short_identifier_only_as_a_whole_value(tmp_path: Path) -> None:
    system = System(name="shop", title="Shop", inference_log=Logs(folder=tmp_path / "log"))
    (tmp_path / "log").mkdir()
    rows = [
        {"user": ADA},
        {"user": "u1"},
        {"user": "u12", "n": "of u1"},
        {"user": "bob"},
        {"said": f"I am {ADA}."},
    ]
    (tmp_path / "log" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "elsewhere.csv").write_text(f"event_id,user\ne1,bob\ne2,{ADA}\n")
    known = [str(tmp_path / "elsewhere.csv"), "gone.jsonl"]
    assert in_sources(system, known, [ADA]) == {"a.jsonl": [1, 5], known[0]: [2]}
    assert in_sources(system, known, ["u1"]) == {"a.jsonl": [2]}
    assert (
        in_sources(system.model_copy(update={"inference_log": Logs(folder=tmp_path / "no")}), [], [ADA]) == {}
    )


CLOSED = """
import sys
from pathlib import Path
from aiops_pipelines.project import Project
from aiops_pipelines.resources.leftovers import produced
project = Project(Path(sys.argv[1]))
print([file.name for file in produced(project, [])])
(project.data / "reports").chmod(0)
try:
    print([file.name for file in produced(project, [])])
except OSError as error:
    print(error.strerror)
"""


def test_a_folder_that_cannot_be_searched_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "june.html").touch()
    done = python(CLOSED, tmp_path, DAGSTER_HOME=str(tmp_path / "nowhere"))
    assert done.stdout.splitlines() == ["['june.html']", "Permission denied"], done.stderr
