"""kill -9 and a full disk at every step: no folder looks like a backup, no data folder like a restored one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources.backups import make
from aiops_pipelines.resources.drills import drill
from aiops_pipelines.resources.restoring import restore
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines_tests.resources.audited_shop import NOW, audited
from aiops_pipelines_tests.resources.witnessed_shop import named

MENDABLE, LIMIT = 3, 400_000
CHILD = """
import os, resource, shutil, sys, traceback
from pathlib import Path
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.project import Project
from aiops_pipelines.systems import load_system
from aiops_pipelines_tests.resources.audited_shop import NOW
from aiops_pipelines_tests.resources.dying import dies_in
from aiops_pipelines_tests.resources.test_backups_killed import LIMIT, MENDABLE

def done(what, data, backup, step):
    from aiops_pipelines.resources import backups, restoring, warehouse
    if step == "disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    elif step:
        dies_in(*{
            "rows": (warehouse.Warehouse, "_copy", 0),
            "files": (backups, "copied", 2),
            "manifest": (backups, "_synced", 0),
            "name": (shutil, "rmtree", 0),
            "first": (restoring, "copied", 0),
            "some": (restoring, "copied", 3),
            "known": (restoring, "_ahead", 0),
            "moved": (os, "rename", 1),
        }[step])
    project = Project(Path(data))
    if what == "make":
        backups.make(project, Path(backup), [load_system(project.systems / "shop.yaml", project.data)], "Mira", NOW)
    else:
        restoring.restore(project, Path(backup), {})

for line in sys.stdin:  # each is a process of its own, without importing everything again
    pid = os.fork()
    if not pid:
        try:
            done(*line.rstrip("\\n").split("\\t"))
            os._exit(0)
        except Mendable as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(MENDABLE)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
Children = subprocess.Popen[str]


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    command = [sys.executable, "-W", "ignore", "-c", CHILD]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def shop(project: Project, warehouse: Warehouse) -> System:
    system = named(project, [])
    audited(project, warehouse)
    return system


def ran(children: Children, what: str, data: Path, backup: Path, step: str = "") -> int:
    assert children.stdin and children.stdout
    children.stdin.write(f"{what}\t{data}\t{backup}\t{step}\n")
    children.stdin.flush()
    return int(children.stdout.readline())


@pytest.mark.parametrize("step", ["rows", "files", "manifest"])
def test_a_backup_that_was_killed_is_none_and_the_next_one_clears_it_away(
    project: Project, shop: System, children: Children, tmp_path: Path, step: str
) -> None:
    target = tmp_path / "there" / "backup"
    assert ran(children, "make", project.data, target, step) == -signal.SIGKILL
    (left,) = target.parent.iterdir()
    assert not target.exists() and left.name.startswith(".backup.unfinished-")
    assert ran(children, "make", project.data, target) == 0
    assert [file.name for file in target.parent.iterdir()] == ["backup"]
    assert drill(project, target)[1][0].passed


def test_a_backup_that_is_killed_once_it_has_its_name_is_whole(
    project: Project, shop: System, children: Children, tmp_path: Path
) -> None:
    target = tmp_path / "backup"
    assert ran(children, "make", project.data, target, "name") == -signal.SIGKILL
    assert [file.name for file in tmp_path.iterdir() if "backup" in file.name] == ["backup"]
    assert drill(project, target)[1][0].passed


def test_on_a_full_disk_there_is_no_backup_and_nothing_is_left(
    project: Project, shop: System, children: Children, tmp_path: Path
) -> None:
    target = tmp_path / "there" / "backup"
    assert ran(children, "make", project.data, target, "disk") == MENDABLE
    assert list(target.parent.iterdir()) == []
    assert ran(children, "make", project.data, target) == 0


@pytest.mark.parametrize("step", ["first", "some", "known", "disk"])
def test_a_restore_that_was_stopped_leaves_no_data_and_is_done_again(
    project: Project, shop: System, children: Children, tmp_path: Path, step: str
) -> None:
    make(project, tmp_path / "backup", [shop], "Mira", NOW)
    new = tmp_path / "new"
    code = ran(children, "restore", new, tmp_path / "backup", step)
    assert code == (MENDABLE if step == "disk" else -signal.SIGKILL)
    assert all(file.name.startswith("restoring-") for file in new.iterdir())
    assert ran(children, "restore", new, tmp_path / "backup") == 0
    assert {"warehouse", "audit", "systems"} == {file.name for file in new.iterdir()}


def test_a_restore_that_was_killed_among_the_moves_has_no_warehouse_and_is_refused_over_what_it_moved(
    project: Project, shop: System, children: Children, tmp_path: Path
) -> None:
    make(project, tmp_path / "backup", [shop], "Mira", NOW)
    new = Project(tmp_path / "new")
    assert ran(children, "restore", new.data, tmp_path / "backup", "moved") == -signal.SIGKILL
    assert not new.warehouse.exists()
    assert ran(children, "restore", new.data, tmp_path / "backup") == MENDABLE
    restore(Project(tmp_path / "another"), tmp_path / "backup", {})
