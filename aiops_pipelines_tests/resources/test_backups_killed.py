"""kill -9 and a full disk at every step: no folder looks like a backup, no data folder like a restored one."""

import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources import backups, restoring
from aiops_pipelines.resources.backups import make
from aiops_pipelines.resources.drills import drill
from aiops_pipelines.resources.restoring import restore
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System, load_system
from aiops_pipelines_tests.resources.audited_shop import NOW, audited
from aiops_pipelines_tests.resources.dying import MENDABLE, Run, dies_in
from aiops_pipelines_tests.resources.witnessed_shop import named

LIMIT = 400_000


def done(what: str, data: str, backup: str, step: str) -> None:
    if step == "disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    elif step:
        dies_in(
            *{
                "rows": (Warehouse, "_copy", 0),
                "files": (backups, "copied", 2),
                "manifest": (backups, "_synced", 0),
                "name": (shutil, "rmtree", 0),
                "first": (restoring, "copied", 0),
                "some": (restoring, "copied", 3),
                "known": (restoring, "_ahead", 0),
                "moved": (os, "rename", 1),
            }[step]
        )
    project = Project(Path(data))
    if what == "make":
        shop = load_system(project.systems / "shop.yaml", project.data)
        backups.make(project, Path(backup), [shop], "Mira", NOW)
    else:
        restoring.restore(project, Path(backup), {})


@pytest.fixture
def shop(project: Project, warehouse: Warehouse) -> System:
    system = named(project, [])
    audited(project, warehouse)
    return system


@pytest.fixture
def ran(in_a_child: Run) -> Callable[..., int]:
    def run(what: str, data: Path, backup: Path, step: str = "") -> int:
        return in_a_child(done, what, str(data), str(backup), step)

    return run


@pytest.mark.parametrize("step", ["rows", "files", "manifest"])
def test_a_backup_that_was_killed_is_none_and_the_next_one_clears_it_away(
    project: Project, shop: System, ran: Callable[..., int], tmp_path: Path, step: str
) -> None:
    target = tmp_path / "there" / "backup"
    assert ran("make", project.data, target, step) == -signal.SIGKILL
    (left,) = target.parent.iterdir()
    assert not target.exists() and left.name.startswith(".backup.unfinished-")
    assert ran("make", project.data, target) == 0
    assert [file.name for file in target.parent.iterdir()] == ["backup"]
    assert drill(project, target)[1][0].passed


def test_a_backup_that_is_killed_once_it_has_its_name_is_whole(
    project: Project, shop: System, ran: Callable[..., int], tmp_path: Path
) -> None:
    target = tmp_path / "backup"
    assert ran("make", project.data, target, "name") == -signal.SIGKILL
    assert [file.name for file in tmp_path.iterdir() if "backup" in file.name] == ["backup"]
    assert drill(project, target)[1][0].passed


def test_on_a_full_disk_there_is_no_backup_and_nothing_is_left(
    project: Project, shop: System, ran: Callable[..., int], tmp_path: Path
) -> None:
    target = tmp_path / "there" / "backup"
    assert ran("make", project.data, target, "disk") == MENDABLE
    assert list(target.parent.iterdir()) == []
    assert ran("make", project.data, target) == 0


@pytest.mark.parametrize("step", ["first", "some", "known", "disk"])
def test_a_restore_that_was_stopped_leaves_no_data_and_is_done_again(
    project: Project, shop: System, ran: Callable[..., int], tmp_path: Path, step: str
) -> None:
    make(project, tmp_path / "backup", [shop], "Mira", NOW)
    new = tmp_path / "new"
    code = ran("restore", new, tmp_path / "backup", step)
    assert code == (MENDABLE if step == "disk" else -signal.SIGKILL)
    assert all(file.name.startswith("restoring-") for file in new.iterdir())
    assert ran("restore", new, tmp_path / "backup") == 0
    assert {"warehouse", "audit", "systems"} == {file.name for file in new.iterdir()}


def test_a_restore_that_was_killed_among_the_moves_has_no_warehouse_and_is_refused_over_what_it_moved(
    project: Project, shop: System, ran: Callable[..., int], tmp_path: Path
) -> None:
    make(project, tmp_path / "backup", [shop], "Mira", NOW)
    new = Project(tmp_path / "new")
    assert ran("restore", new.data, tmp_path / "backup", "moved") == -signal.SIGKILL
    assert not new.warehouse.exists()
    assert ran("restore", new.data, tmp_path / "backup") == MENDABLE
    restore(Project(tmp_path / "another"), tmp_path / "backup", {})
