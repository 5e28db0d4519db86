"""A folder as a source: nothing outside it is opened, and what is read is one moment's."""

import inspect
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aiops_pipelines.resources.sources import folder as module
from aiops_pipelines.resources.sources.base import File
from aiops_pipelines.resources.sources.folder import Folder
from aiops_pipelines.resources.unreadable import NotNow, UnreadableFile


def write(folder: Path, **files: str) -> Folder:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Folder(folder)


def test_a_file_comes_with_its_size_and_time(tmp_path: Path) -> None:
    source = write(tmp_path, **{"in/a.md": "# a", ".hidden/b.md": "x", ".c.md": "x"})
    os.utime(tmp_path / "in/a.md", ns=(0, 1_780_000_000_123_456_789))
    assert source.files() == [File("in/a.md", 3, 1_780_000_000_123_456_789)]
    found = source.content(source.files()[0])
    assert (found.data, found.version) == (b"# a", None)
    assert found.modified_at == datetime(2026, 5, 28, 20, 26, 40, 123456, tzinfo=UTC)


def test_a_linked_file_inside_moves_with_its_target(tmp_path: Path) -> None:
    source = write(tmp_path, **{"real.md": "# a"})
    (tmp_path / "link.md").symlink_to("real.md")
    before = {file.document: file for file in source.files()}
    os.utime(tmp_path / "real.md", ns=(0, 1))
    after = {file.document: file for file in source.files()}
    assert before["link.md"].modified_ns != after["link.md"].modified_ns == 1
    assert source.content(after["link.md"]).data == b"# a"


@pytest.mark.parametrize("swap", ["file", "folder"])
def test_a_link_that_takes_a_files_place_after_it_was_listed_is_not_followed(
    tmp_path: Path, swap: str
) -> None:
    write(tmp_path / "secrets", **{"one.md": "secret"})
    source = write(tmp_path / "corpus", **{"in/one.md": "# open"})
    (listed,) = source.files()
    assert source.content(listed).data == b"# open"
    (tmp_path / "corpus/in/one.md").unlink()
    if swap == "file":
        (tmp_path / "corpus/in/one.md").symlink_to(tmp_path / "secrets/one.md")
    else:
        (tmp_path / "corpus/in").rmdir()
        (tmp_path / "corpus/in").symlink_to(tmp_path / "secrets")
    with pytest.raises(UnreadableFile, match="leaves the corpus folder"):
        source.content(listed)


def test_a_link_that_is_swapped_between_the_check_and_the_opening_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check sees a file and the opening meets a link: only O_NOFOLLOW on each step stands in between."""
    write(tmp_path / "secrets", **{"one.md": "secret"})
    source = write(tmp_path / "corpus", **{"in/one.md": "# open"})
    (listed,) = source.files()
    opened = module._open_below

    def swapped(root: str, parts: list[str]) -> int:
        (tmp_path / "corpus/in").rename(tmp_path / "corpus/was")
        (tmp_path / "corpus/in").symlink_to(tmp_path / "secrets")
        return opened(root, parts)

    monkeypatch.setattr(module, "_open_below", swapped)
    with pytest.raises(UnreadableFile, match="leaves the corpus folder"):
        source.content(listed)


def test_a_pipe_that_takes_a_files_place_holds_nobody_up(tmp_path: Path) -> None:
    source = write(tmp_path, **{"a.md": "# a"})
    (listed,) = source.files()
    (tmp_path / "a.md").unlink()
    os.mkfifo(tmp_path / "a.md")
    with pytest.raises(UnreadableFile, match="not a file"):
        source.content(listed)


def test_a_name_that_leads_out_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path, **{"secret.md": "secret"})
    source = write(tmp_path / "corpus", **{"a.md": "# a"})
    for name in ("../secret.md", "in/../../secret.md", str(tmp_path / "secret.md")):
        with pytest.raises(UnreadableFile):
            source.content(File(name, 6))


def test_a_device_is_not_opened(tmp_path: Path) -> None:
    source = write(tmp_path, **{"a.md": "# a"})
    (tmp_path / "zero.md").symlink_to("/dev/zero")
    assert [file.refusal != "" for file in sorted(source.files(), key=lambda f: f.document)] == [False, True]
    with pytest.raises(UnreadableFile, match="leaves"):
        source.content(File("zero.md", 1))


def test_a_file_that_is_being_written_is_tried_again_and_then_left_for_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path, **{"a.md": "one"})
    (listed,) = source.files()
    real, moments = os.fstat, iter(range(1, 100))
    fidget = 2  # the time moves at the first two looks, so the first attempt fails

    def fstat(handle: int) -> os.stat_result:
        moment = next(moments)
        if moment <= fidget:
            os.utime(tmp_path / "a.md", ns=(0, moment))
        return real(handle)

    monkeypatch.setattr(module.os, "fstat", fstat)
    assert source.content(listed).data == b"one"  # the second attempt
    fidget = 1_000
    with pytest.raises(NotNow, match="changed while it was read"):
        source.content(listed)


def test_a_file_that_vanishes_may_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path, **{"a.md": "one"})
    (listed,) = source.files()
    (tmp_path / "a.md").unlink()
    with pytest.raises(NotNow, match="vanished"):
        source.content(listed)
    monkeypatch.setattr(module, "PAUSE_S", 0.2)  # an editor that replaces a file is between two steps
    threading.Timer(0.05, lambda: write(tmp_path, **{"a.md": "two"})).start()
    assert source.content(listed).data == b"two"


def test_a_file_that_grew_past_the_limit_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    source = write(tmp_path, **{"a.md": "x" * 10, "b.md": "x" * 11})
    files = {file.document: file for file in source.files()}
    assert len(source.content(files["a.md"]).data) == 10
    with pytest.raises(UnreadableFile, match="more than 20 MB"):
        source.content(files["b.md"])


def test_a_folder_deeper_than_python_calls_is_walked(tmp_path: Path) -> None:
    source = write(tmp_path, **{"a.md": "# a"})
    (tmp_path / "/".join(["d"] * 200)).mkdir(parents=True)
    write(tmp_path / "/".join(["d"] * 200), **{"b.md": "# b"})
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        assert len(source.files()) == 2
    finally:
        sys.setrecursionlimit(before)


def test_the_state_moves_with_names_sizes_and_times_alone(tmp_path: Path) -> None:
    source = write(tmp_path, **{"a.md": "one", "sub/b.md": "two"})
    first = source.state()
    assert source.state() == first
    os.utime(tmp_path / "a.md", ns=(0, 1))
    second = source.state()
    (tmp_path / "sub/b.md").rename(tmp_path / "sub/c.md")
    third = source.state()
    (tmp_path / "a.md").unlink()
    assert len({first, second, third, source.state()}) == 4
