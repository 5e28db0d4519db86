"""kill -9 at every step of an erasure: asked for again, it ends like one that was not killed."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.erasing import Eraser
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.published import known_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.test_erasing import ASKED, erase, made
from aiops_pipelines_tests.resources.two_people import NOW, OF_ADA, in_rows, named, publish, shop

__all__ = ["made"]
STEPS = ("files", "keys", "transaction", "sign", "rewrite", "after the rewrite", "publish", "search")
CHILD = """
import os, sys, traceback
from pathlib import Path
from aiops_pipelines_tests.resources.dying import dies_in
from aiops_pipelines_tests.resources.test_erasing_killed import erase_in

def killed(folder, step):
    from aiops_pipelines.resources import erasing, warehouse
    from aiops_pipelines.resources.audit_book import AuditBook
    from aiops_pipelines.resources.keys import Keys
    dies_in(*{
        "files": (erasing, "free_file", 1),
        "keys": (Keys, "destroy", 1),
        "transaction": (erasing, "settled", 1),
        "sign": (AuditBook, "sign", 0),
        "rewrite": (warehouse.Warehouse, "rewrite", 0),
        "after the rewrite": (warehouse, "sync_folder", 0),
        "publish": (warehouse.Warehouse, "publish", 0),
        "search": (erasing, "in_tables", 0),
    }[step])
    erase_in(folder)

for line in sys.stdin:  # each is a process of its own, without importing everything again
    folder, step = line.rstrip("\\n").split("\\t")
    pid = os.fork()
    if not pid:
        try:
            killed(folder, step)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def erase_in(folder: str) -> None:
    project = Project(Path(folder))
    warehouse = Warehouse(project.warehouse, known_tables(project.dbt))
    erase(project, warehouse, AuditBook(project, warehouse, Keys(project.keys)))


@pytest.fixture(scope="module")
def children() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "ignore", "-c", CHILD]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.mark.parametrize("step", STEPS)
def test_what_is_killed_half_way_is_finished_when_it_is_asked_for_again(
    made: Path, project: Project, children: subprocess.Popen[str], step: str
) -> None:
    shutil.copytree(made, project.data)
    assert children.stdin and children.stdout
    children.stdin.write(f"{project.data}\t{step}\n")
    children.stdin.flush()
    assert int(children.stdout.readline()) == -signal.SIGKILL

    warehouse = Warehouse(project.warehouse, known_tables(project.dbt))
    book, system = AuditBook(project, warehouse, Keys(project.keys)), shop(project)
    eraser = Eraser(project, warehouse, book, [system])
    (outcome,) = eraser.erase([system], ASKED, NOW, lambda: publish(project, warehouse))
    assert outcome.left == {} and named(project, OF_ADA) == {} and in_rows(warehouse, OF_ADA) == {}
    assert [one.severity for one in book.verify("shop")[0]] == ["note"]
    (row,) = warehouse.rows("compliance.erasures").rows(named=True)
    assert (row["status"], row["calls"], row["left_over"]) == ("erased", 4, 0) and row["rewritten_at"]
    log = warehouse.rows("compliance.audit_log")
    assert log.filter(log["kind"] == "decision.person_erased").height == 1
