"""kill -9 at every step of an erasure: asked for again, it ends like one that was not killed."""

import shutil
import signal
from pathlib import Path

import pytest

from aiops_pipelines.project import Project
from aiops_pipelines.resources import erasing, warehouse
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.erasing import Eraser
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.published import known_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.dying import Run, dies_in
from aiops_pipelines_tests.resources.test_erasing import ASKED, erase, made
from aiops_pipelines_tests.resources.two_people import NOW, OF_ADA, in_rows, named, publish, shop

__all__ = ["made"]
STEPS = ("files", "keys", "transaction", "sign", "rewrite", "after the rewrite", "publish", "search")


def killed(folder: str, step: str) -> None:
    dies_in(
        *{
            "files": (erasing, "free_file", 1),
            "keys": (Keys, "destroy", 1),
            "transaction": (erasing, "settled", 1),
            "sign": (AuditBook, "sign", 0),
            "rewrite": (warehouse.Warehouse, "rewrite", 0),
            "after the rewrite": (warehouse, "sync_folder", 0),
            "publish": (warehouse.Warehouse, "publish", 0),
            "search": (erasing, "in_tables", 0),
        }[step]
    )
    project = Project(Path(folder))
    books = Warehouse(project.warehouse, known_tables(project.dbt))
    erase(project, books, AuditBook(project, books, Keys(project.keys)))


@pytest.mark.parametrize("step", STEPS)
def test_what_is_killed_half_way_is_finished_when_it_is_asked_for_again(
    made: Path, project: Project, in_a_child: Run, step: str
) -> None:
    shutil.copytree(made, project.data)
    assert in_a_child(killed, str(project.data), step) == -signal.SIGKILL

    books = Warehouse(project.warehouse, known_tables(project.dbt))
    book, system = AuditBook(project, books, Keys(project.keys)), shop(project)
    eraser = Eraser(project, books, book, [system])
    (outcome,) = eraser.erase([system], ASKED, lambda: NOW, lambda: publish(project, books))
    assert outcome.left == {} and named(project, OF_ADA) == {} and in_rows(books, OF_ADA) == {}
    assert [one.severity for one in book.verify("shop")[0]] == ["note"]
    (row,) = books.rows("compliance.erasures").rows(named=True)
    assert (row["status"], row["calls"], row["left_over"]) == ("erased", 4, 0) and row["rewritten_at"]
    log = books.rows("compliance.audit_log")
    assert log.filter(log["kind"] == "decision.person_erased").height == 1
