"""Folders that may not be read or written, and data folders under another path than their own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiops_pipelines_tests.bound_root import aiops as bound
from aiops_pipelines_tests.commands.small_run import refused, stored, write_inputs, write_system

pytestmark = pytest.mark.skipif(os.name == "nt", reason="permissions are POSIX")


@contextmanager
def closed(mode: int, *folders: Path) -> Iterator[None]:
    """Take rights on folders away for a while."""
    for folder in folders:
        folder.chmod(mode)
    try:
        yield
    finally:
        for folder in folders:
            folder.chmod(0o755)


def contents(data: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in sorted(data.rglob("*")) if file.is_file()}


def test_a_data_folder_that_cannot_be_written_is_looked_at_and_left_as_it_is(data):
    before = contents(data)
    folders = [data, *(path for path in data.rglob("*") if path.is_dir())]
    importing = ("import", "--system", "support", data / "log" / "june.jsonl")
    with closed(0o555, *folders):
        looked, ran, imported = bound(data, "status"), bound(data, "run"), bound(data, *importing)
    assert (looked.returncode, looked.stderr) == (0, "")
    assert "support" in looked.stdout and "Incidents" in looked.stdout
    assert ran.returncode == 1
    assert ran.stderr.split() == (
        f"{data}/dagster cannot be used: Permission denied; let this user read and write it.".split()
    )
    assert imported.returncode == 1 and "Traceback" not in imported.stderr
    assert "Permission denied" in imported.stderr
    assert contents(data) == before
    done = bound(data, *importing)
    assert done.returncode == 0, done.stderr
    assert "30 calls" in done.stdout and stored(data).rows("inference_log.inferences").height == 30


@pytest.mark.parametrize(
    ("mode", "name"), [(0o000, "systems"), (0o444, "support.yaml")], ids=["not listed", "not entered"]
)
def test_a_folder_of_systems_that_cannot_be_read_is_not_taken_for_an_empty_one(data, mode, name):
    with closed(mode, data / "systems"):
        told = bound(data, "status")
    assert told.returncode == 1 and "No system is configured" not in told.stderr
    assert f"{name} cannot be used: Permission denied; let this user read" in told.stderr


def test_a_data_folder_that_is_not_there_is_made_by_init_alone(aiops, tmp_path):
    absent = tmp_path / "absent"
    for command in (("status",), ("run",), ("import", "x.jsonl", "--system", "support")):
        refused(aiops(absent, *command), "No system is configured", "aiops init")
    assert not absent.exists()
    assert aiops(absent, "init", "support").code == 0


def test_a_relative_path_and_a_link_lead_to_the_same_data(aiops, tmp_path, monkeypatch):
    write_inputs(tmp_path / "real")
    write_system(tmp_path / "real", inference_log={"folder": str(tmp_path / "link" / "log")})
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for path, said in ((Path("../link"), "Stored 30 calls"), (tmp_path / "real", "Already there 30 calls")):
        answer = aiops(path, "import", str(tmp_path / "real/log/june.jsonl"), "--system", "support")
        assert answer.code == 0 and said in answer.text
    assert stored(tmp_path / "real").rows("inference_log.log_files")["source_file"].to_list() == [
        "june.jsonl"
    ]
    assert not list((tmp_path / "elsewhere").iterdir())
