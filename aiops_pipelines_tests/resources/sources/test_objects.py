"""An object store as a source, on fsspec's own memory, local and zip stores."""

import os
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from aiops_pipelines.rag.index_settings import Corpus
from aiops_pipelines.resources.documents import read, snapshots
from aiops_pipelines.resources.sources import objects as module
from aiops_pipelines.resources.sources.base import CorpusError
from aiops_pipelines.resources.sources.folder import CLOSED
from aiops_pipelines.resources.sources.objects import Objects
from aiops_pipelines.resources.unreadable import NotNow, UnreadableFile


@pytest.fixture
def memory() -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pipe(
        {"/bucket/docs/fees.md": b"# Fees", "/bucket/docs/in/hours.md": b"# Hours", "/bucket/x.md": b"x"}
    )
    store.pipe({"/bucket/docs/.hidden.md": b"x"})
    yield store
    store.store.clear()


def test_a_prefix_is_read_and_nothing_beside_it(memory: Any) -> None:
    source = Objects("memory://bucket/docs")
    files = {file.document: file for file in source.files()}
    assert {name: file.size_bytes for name, file in files.items()} == {"fees.md": 6, "in/hours.md": 7}
    assert source.content(files["in/hours.md"]).data == b"# Hours"


def test_the_state_moves_with_an_object(memory: Any) -> None:
    source = Objects("memory://bucket/docs/")
    first = source.state()
    assert source.state() == first
    memory.pipe("/bucket/docs/fees.md", b"# FEES")
    assert source.state() != first


def test_an_object_that_moves_after_it_was_listed_is_left_for_the_next_run(memory: Any) -> None:
    source = Objects("memory://bucket/docs")
    files = {file.document: file for file in source.files()}
    memory.pipe("/bucket/docs/fees.md", b"# FEES")
    with pytest.raises(NotNow, match="changed"):
        source.content(files["fees.md"])
    memory.rm("/bucket/docs/in/hours.md")
    with pytest.raises(NotNow, match="vanished"):
        source.content(files["in/hours.md"])


def test_a_zip_is_a_store_whose_names_lead_nowhere_else(tmp_path: Path) -> None:
    archive = tmp_path / "docs.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("handbook/leave.md", (2026, 6, 1, 8, 30, 0)), "# Leave")
        file.writestr("../../etc/passwd.md", "# out")
    (snapshot,) = snapshots(Corpus(url=f"zip://::{archive.as_uri()}"))
    documents, skipped = read(snapshot)
    assert [d.document for d in documents] == ["handbook/leave.md"]
    (leave,) = (file for file in snapshot.source.files() if file.document == "handbook/leave.md")
    assert snapshot.source.content(leave).modified_at == datetime(2026, 6, 1, 8, 30, tzinfo=UTC)
    assert all("leads out" in file.reason for file in skipped)


def test_a_local_store_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("# a")
    os.utime(tmp_path / "docs/a.md", ns=(0, 1_780_000_000_000_000_000))
    (tmp_path / "secret.md").write_text("secret")
    (tmp_path / "docs/out.md").symlink_to(tmp_path / "secret.md")
    source = Objects((tmp_path / "docs").as_uri())
    files = {file.document: file for file in source.files()}
    assert files["out.md"].refusal and not files["a.md"].refusal
    assert source.content(files["a.md"]).modified_at == datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)


def test_an_etag_is_the_version_and_moves_the_file() -> None:
    info = {"size": 3, "type": "file", "ETag": '"abc"', "LastModified": datetime(2026, 6, 1, 2, tzinfo=UTC)}
    one = module._file("a.md", info)
    assert (one.etag, one.modified_ns) == ("abc", 1_780_279_200 * 10**9)
    assert module._file("a.md", info | {"ETag": '"abd"'}) != one


def test_a_big_object_is_not_read_to_its_end(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 6)
    source = Objects("memory://bucket/docs")
    files = {file.document: file for file in source.files()}
    assert source.content(files["fees.md"]).data == b"# Fees"
    with pytest.raises(UnreadableFile, match="more than"):
        source.content(files["in/hours.md"])


def test_a_missing_package_is_named() -> None:
    with pytest.raises(CorpusError, match=r"read s3://; install the package s3fs"):
        Objects("s3://bucket/docs").files()
    with pytest.raises(CorpusError, match=r"No object store is called nonsense://; change corpus\.url"):
        Objects("nonsense://bucket/docs").files()


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[str]:
    """A server of two pages with an index that says no size; one of them it does not give out."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/fees.md").write_text("# Fees")
    (tmp_path / "secret.md").write_text("# Secret")

    class Handler(SimpleHTTPRequestHandler):
        def send_head(self) -> Any:
            if "secret" in self.path:
                return self.send_error(HTTPStatus.FORBIDDEN)
            return super().send_head()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_pages_of_a_web_server_are_read_though_their_listing_says_no_size(web_server: str) -> None:
    source = Objects(web_server)
    files = {file.document: file for file in source.files()}
    assert source.content(files["in/fees.md"]).data == b"# Fees" and files["in/fees.md"].etag
    assert (files["secret.md"].closed, files["secret.md"].refusal) == (True, CLOSED)


def test_what_a_store_says_is_not_repeated(monkeypatch: pytest.MonkeyPatch, memory: Any) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError("GET https://bucket?X-Signature=secret")

    source = Objects("memory://bucket/docs")
    files = source.files()
    monkeypatch.setattr(type(memory), "find", denied)
    monkeypatch.setattr(type(memory), "cat_file", denied)
    with pytest.raises(CorpusError) as listing:
        source.files()
    with pytest.raises(NotNow) as reading:
        source.content(files[0])
    for error in (listing, reading):
        assert "secret" not in str(error.value) and "PermissionError" in str(error.value)
