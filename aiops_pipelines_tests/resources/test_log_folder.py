"""Log files on disk: listed safely, read in bounded pieces, torn ends left for later."""

import gzip
import json
import os

import pytest
import zstandard

from aiops_pipelines.inference_log import aiops_jsonl, otlp_json
from aiops_pipelines.inference_log.ingestion import land
from aiops_pipelines.inference_log.reading import begin, plan
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.project import Project
from aiops_pipelines.resources.log_folder import LogFolder, LogFolderError
from aiops_pipelines_tests.bound_root import python
from aiops_pipelines_tests.inference_log.test_ingestion import NOW


def call(number):
    return json.dumps({"event_id": f"e{number}", "occurred_at": "2026-06-01T12:00:00Z"}).encode()


class Log:
    """One system's log as it is read again and again."""

    def __init__(self, path, read=aiops_jsonl.read):
        self.folder, self.read, self.rows, self.ids, self.aside = LogFolder(path), read, {}, [], []

    def ingest(self, piece_bytes=64_000_000):
        for file in self.folder.files()[0]:
            seen = self.rows.get(file.name)
            read_plan = plan(file, seen)
            reading = begin(file, read_plan, seen)
            for piece in self.folder.pieces(read_plan, reading, piece_bytes):
                source = Source("s", "f", NOW, b"k" * 32)
                landing = land(
                    self.read(piece.lines), piece.after(reading), source, set(self.ids), set(self.aside)
                )
                reading = landing.reading
                self.ids += landing.inferences["event_id"].to_list()
                self.aside += landing.quarantine["line_hash"].to_list()
                [self.rows[file.name]] = landing.log_file.rows(named=True)
        return self

    def counts(self, name):
        keys = ("lines_read", "rows_stored", "rows_known", "rows_quarantined", "waiting_bytes")
        return tuple(self.rows[name][key] for key in keys)


def test_log_files_are_listed_by_name_and_nothing_outside_is(tmp_path):
    outside = tmp_path / "outside.jsonl"
    outside.write_bytes(call(1))
    logs = tmp_path / "logs"
    (logs / "2026").mkdir(parents=True)
    for name in ("b.jsonl", "a.jsonl.gz", "2026/c.json", "notes.txt"):
        (logs / name).write_bytes(b"x")
    os.symlink(outside, logs / "escape.jsonl")
    os.symlink(logs / "b.jsonl", logs / "within.jsonl")
    os.symlink(logs / "nowhere", logs / "broken.jsonl")
    os.symlink(tmp_path, logs / "up")
    files, refused = LogFolder(logs).files()
    assert [file.name for file in files] == ["2026/c.json", "a.jsonl.gz", "b.jsonl", "within.jsonl"]
    assert set(refused) >= {"escape.jsonl", "broken.jsonl"}
    assert "leads out" in refused["escape.jsonl"]
    assert "up/outside.jsonl" not in {file.name for file in files}


def test_a_missing_folder_is_said(tmp_path):
    (tmp_path / "file").touch()
    for name in ("absent", "file"):
        with pytest.raises(LogFolderError, match=f"There is no log folder {name}; create it"):
            LogFolder(tmp_path / name).files()


LISTED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.resources.log_book import LogBook
from aiops_pipelines.project import Project
from aiops_pipelines.resources.log_folder import LogFolder, LogFolderError
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
folder, file, dbt = map(Path, sys.argv[1:])
source = Source("s", "aiops_jsonl", datetime(2026, 6, 8, tzinfo=UTC), bytes(32))
book = LogBook(Warehouse(file, declared_tables(dbt)), LogFolder(folder), source)
def tell():
    files, problems = book.listed()
    print([file.name for file in files], problems)
    for file in files:
        for landing in book.read(file):
            print(landing.log_file["rows_stored"].item())
tell()
for mode in (0, 0o444):
    (folder / "2026").chmod(mode)
    tell()
folder.chmod(0)
try:
    tell()
except LogFolderError as error:
    print(error)
folder.chmod(0o755)
(folder / "2026").chmod(0o755)
tell()
"""


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(tmp_path):
    """A folder that is closed for a night must not read as a system that nobody calls."""
    logs = tmp_path / "logs"
    (logs / "2026").mkdir(parents=True)
    (logs / "a.jsonl").write_bytes(call(1) + b"\n")
    (logs / "2026" / "b.jsonl").write_bytes(call(2) + b"\n")
    done = python(LISTED, logs, tmp_path / "x.duckdb", Project(tmp_path).dbt)
    assert done.stdout.splitlines() == [
        *["['2026/b.jsonl', 'a.jsonl'] []", "1", "1"],
        "['a.jsonl'] ['2026/ is not read: it cannot be listed (Permission denied); let this user list it.']",
        "['a.jsonl'] ['2026/b.jsonl is not read: it cannot be read (PermissionError).']",
        "The log folder logs is not read: it cannot be listed (Permission denied); let this user list it.",
        "['2026/b.jsonl', 'a.jsonl'] []",
    ], done.stderr


def test_a_torn_last_line_waits_for_its_end(tmp_path):
    """C05: cut anywhere, the line is counted as waiting and stored once when its end arrives."""
    file, whole = tmp_path / "a.jsonl", call(1) + b"\n" + call(2) + b"\n"
    start = len(call(1)) + 1
    for cut in range(start, len(whole) - 1):
        file.write_bytes(whole[:cut])
        log = Log(tmp_path).ingest()
        assert log.counts("a.jsonl") == (1, 1, 0, 0, cut - start)
        file.write_bytes(whole)
        log.ingest()
        assert log.counts("a.jsonl") == (2, 2, 0, 0, 0)
        assert (log.ids, log.aside) == (["e1", "e2"], [])


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_a_whole_last_line_is_read_without_its_newline_which_ends_it_when_it_comes(tmp_path, ending):
    file = tmp_path / "a.jsonl"
    file.write_bytes(call(1) + ending + call(2))
    log = Log(tmp_path).ingest()
    assert log.counts("a.jsonl") == (2, 2, 0, 0, 0)
    with file.open("ab") as stream:
        stream.write(ending)
    assert log.ingest().counts("a.jsonl") == (2, 2, 0, 0, 0)
    with file.open("ab") as stream:
        stream.write(b"broken" + ending + call(3))
    assert log.ingest().counts("a.jsonl") == (4, 3, 0, 1, 0)
    assert (log.ids, len(log.aside)) == (["e1", "e2", "e3"], 1)


def test_a_call_that_is_written_behind_a_whole_last_line_is_read_too(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(call(1))
    log = Log(tmp_path).ingest()
    with file.open("ab") as stream:
        stream.write(call(2) + b"\n" + call(3) + b"\n")
    log.ingest()
    assert log.counts("a.jsonl") == (3, 3, 0, 0, 0)
    assert log.ids == ["e1", "e2", "e3"]


def test_a_grown_file_is_read_on_with_line_numbers(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(call(1) + b"\n\n" + call(2) + b"\n")
    log = Log(tmp_path).ingest()
    with file.open("ab") as stream:
        stream.write(b"broken\n" + call(3) + b"\n")
    [grown] = LogFolder(tmp_path).files()[0]
    read_plan = plan(grown, log.rows["a.jsonl"])
    [piece] = LogFolder(tmp_path).pieces(read_plan, begin(grown, read_plan, log.rows["a.jsonl"]))
    assert [number for number, _ in piece.lines] == [4, 5]
    assert log.ingest().counts("a.jsonl") == (5, 3, 0, 1, 0)


def test_pieces_are_bounded_and_their_counts_add_up(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"".join(call(i) + b"\n" for i in range(100)))
    [file] = LogFolder(tmp_path).files()[0]
    read_plan = plan(file, None)
    pieces = list(LogFolder(tmp_path).pieces(read_plan, begin(file, read_plan, None), piece_bytes=1_000))
    assert len(pieces) > 5
    assert all(sum(len(line) for _, line in piece.lines) < 1_200 for piece in pieces)
    assert Log(tmp_path).ingest(piece_bytes=1_000).counts("a.jsonl") == (100, 100, 0, 0, 0)


@pytest.mark.parametrize("piece_bytes", [700, 1_000, 100_000])
def test_pieces_end_where_a_portion_does(tmp_path, piece_bytes):
    (tmp_path / "a.jsonl").write_bytes(b"".join(call(i) + b"\n" for i in range(100)) + b"{torn")
    [file] = LogFolder(tmp_path).files()[0]
    read_plan = plan(file, None)
    pieces = list(LogFolder(tmp_path).pieces(read_plan, begin(file, read_plan, None), piece_bytes, 8))
    read = [piece.reading.lines_read for piece in pieces]
    assert {*range(8, 101, 8)} <= {*read}
    assert [line for piece in pieces for line in piece.lines] == [(i + 1, call(i)) for i in range(100)]
    assert pieces[-1].reading.waiting_bytes == 5


def test_a_rewritten_file_is_read_from_the_start(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(call(1) + b"\n" + call(2) + b"\n")
    log = Log(tmp_path).ingest()
    file.write_bytes(call(9) + b"\n" + call(2) + b"\n" + call(3) + b"\n")
    assert log.ingest().counts("a.jsonl") == (3, 2, 1, 0, 0)
    assert log.ids == ["e1", "e2", "e9", "e3"]


def test_an_unchanged_file_is_not_opened(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_bytes(call(1) + b"\n")
    log = Log(tmp_path).ingest()
    [found] = LogFolder(tmp_path).files()[0]
    file.unlink()
    read_plan = plan(found, log.rows["a.jsonl"])
    assert list(LogFolder(tmp_path).pieces(read_plan, begin(found, read_plan, log.rows["a.jsonl"]))) == []


packed_by = pytest.mark.parametrize(
    ("name", "pack"),
    [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstandard.ZstdCompressor(write_checksum=True).compress)],
)


@packed_by
def test_compressed_files_are_read_whole_and_a_cut_one_waits(tmp_path, name, pack):
    file = tmp_path / name
    lines = b"".join(call(i) + b"\n" for i in range(2_000))
    first, second = pack(lines[:90_000]), pack(lines[90_000:])  # as a writer that is started again appends
    whole = first + second
    file.write_bytes(whole[: len(first) + len(second) // 2])
    log = Log(tmp_path).ingest()
    before = len(log.ids)
    assert lines[:90_000].count(b"\n") <= before < 2_000
    assert log.aside == []
    file.write_bytes(whole)
    assert log.ingest().counts(name) == (2_000, 2_000 - before, before, 0, 0)


@packed_by
def test_an_unfinished_line_in_a_compressed_file_waits(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(call(1) + b"\n" + call(2)[:-1]))
    assert Log(tmp_path).ingest().counts(name) == (1, 1, 0, 0, len(call(2)) - 1)


@packed_by
def test_a_damaged_compressed_file_is_an_error_not_an_empty_log(tmp_path, name, pack):
    (tmp_path / name).write_bytes(b"this is not compressed")
    with pytest.raises(OSError):
        Log(tmp_path).ingest()
    whole = bytearray(pack(b"".join(call(i) + b"\n" for i in range(2_000))))
    whole[len(whole) // 2 : len(whole) // 2 + 40] = b"\xff" * 40
    (tmp_path / name).write_bytes(whole)
    with pytest.raises(OSError, match="damaged; replace it by a whole one"):
        Log(tmp_path).ingest()


@pytest.mark.parametrize("shape", ["{}", "{}\n", "[{}, {}]", "{}\n{}\n"])
def test_a_json_file_is_one_document_or_lines(tmp_path, shape):
    span = {"traceId": "t", "spanId": "s1", "startTimeUnixNano": "1780315200000000000"}
    span["attributes"] = [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}]
    requests = [
        json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span | {"spanId": f"s{i}"}]}]}]})
        for i in range(2)
    ]
    (tmp_path / "a.json").write_text(shape.replace("{}", "%s") % tuple(requests[: shape.count("{}")]))
    log = Log(tmp_path, otlp_json.read).ingest()
    assert log.ids == [f"t-s{i}" for i in range(shape.count("{}"))]


def test_an_indented_document_is_read_again_when_it_changes(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"resourceSpans": []}, indent=1)[:10])
    log = Log(tmp_path, otlp_json.read).ingest()
    assert log.counts("a.json")[3] == 1
    file.write_text(json.dumps({"resourceSpans": []}, indent=1))
    assert log.ingest().counts("a.json") == (1, 0, 0, 0, 0)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path):
    """C06: 70 MB without a newline, a good line before and after."""
    with (tmp_path / "a.jsonl").open("wb") as stream:
        stream.write(call(1) + b"\n")
        for _ in range(70):
            stream.write(b"x" * 1_000_000)
        stream.write(b"\n" + call(2) + b"\n")
    log = Log(tmp_path).ingest()
    assert log.ids == ["e1", "e2"]
    assert log.counts("a.jsonl") == (3, 2, 0, 1, 0)
