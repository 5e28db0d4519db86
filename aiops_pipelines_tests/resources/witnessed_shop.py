"""A shop whose log has witnesses: entries, the file that names them, and what an attacker does to both."""

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.witness import Witness
from aiops_pipelines.systems import System, load_system

NOW = datetime(2026, 6, 8, tzinfo=UTC)
WITNESSED_AT = 1_780_900_000
"""8 June 2026 06:26:40 UTC: witnesses have a clock of their own."""


def entries(start: int, end: int) -> list[dict[str, Any]]:
    return [
        decision_entry("shop", "noted", NOW + timedelta(minutes=n), "us", f"Number {n}.", {})
        for n in range(start, end)
    ]


def book(project: Project, warehouse: Warehouse) -> AuditBook:
    return AuditBook(project, warehouse, Keys(project.keys))


@pytest.fixture
def witness_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every witness of this process have the same time."""
    monkeypatch.setattr("aiops_pipelines.resources.witness.unix_now", lambda: WITNESSED_AT)


def witness(folder: Path, name: str = "example.com/w1") -> Witness:
    made = Witness(folder)
    made.create(name)
    return made


def named(project: Project, places: Iterable[dict[str, Any]], quorum: int = 1) -> System:
    """Write the shop's file with these witnesses."""
    content = {
        "name": "shop",
        "title": "Shop",
        "inference_log": {"folder": "logs"},
        "witnesses": {"quorum": quorum, "places": list(places)},
    }
    file = project.systems / "shop.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content))
    return load_system(file, project.data)


def in_folder(kept: Witness) -> dict[str, Any]:
    return {"vkey": kept.vkey, "folder": str(kept.folder)}


def grow(log: AuditBook, start: int, end: int, now: datetime = NOW) -> int:
    log.append("shop", entries(start, end))
    return log.sign("shop", now)


def drop_tail(project: Project, warehouse: Warehouse, size: int) -> None:
    """Leave the first entries and what was signed of them, as if there had never been more."""
    with warehouse.writing() as writer:
        writer._connection.execute("delete from compliance.audit_log where entry_index >= ?", [size])
        writer._connection.execute("delete from compliance.audit_checkpoints where tree_size > ?", [size])
    folder = project.audit / "shop"
    shutil.copyfile(folder / f"checkpoints/{size}.note", folder / "checkpoint")
    for file in (folder / "checkpoints").glob("*.note"):
        if int(file.stem) > size:
            file.unlink()
    shutil.rmtree(folder / "tile")


def found(log: AuditBook) -> list[str]:
    return [finding.message for finding in log.verify("shop")[0] if finding.severity != "note"]
