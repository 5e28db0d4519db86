"""Rows that a killed process had committed and the disk lost: the audit log says so, the log files give them back."""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_calls import new_entries
from aiops_pipelines.resources.audit_signing import LogForked
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.log_book import LogBook
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.resources.warehouse import Warehouse

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 6, 8, tzinfo=UTC)


class Shop:
    """A system's log files, read and entered into its audit log."""

    def __init__(self, data: Path, tables: dict[str, Table]):
        self.project = Project(data)
        self.warehouse = Warehouse(self.project.warehouse, tables, wait_seconds=5)
        self.book = AuditBook(self.project, self.warehouse, Keys(self.project.keys))

    def land(self, name: str, calls: int, hour: int) -> None:
        """Write a log file of calls that were made from an hour on."""
        at = NOON + timedelta(hours=hour)
        rows = [
            {"event_id": f"{name}{n}", "occurred_at": (at + timedelta(minutes=n)).isoformat(), "user_id": f"u{n % 3}", "query": f"Where is parcel {name}{n}?", "answer": "On its way."}
            for n in range(calls)
        ]  # fmt: skip
        (self.project.data / "log").mkdir(exist_ok=True)
        (self.project.data / "log" / f"{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows)
        )

    def work(self) -> int:
        """Read what is new in the log files, enter it and sign; return how much is signed."""
        source = Source("shop", "aiops_jsonl", NOW, self.book.whole_keys("shop").pepper("shop"))
        read = LogBook(self.warehouse, LogFolder(self.project.data / "log"), source)
        with self.warehouse.held():
            for file in read.listed()[0]:
                for _ in read.read(file):
                    pass
            self.book.append("shop", list(new_entries(self.warehouse, "shop", self.book.keys)))
            return self.book.sign("shop", NOW)

    def calls(self) -> list[str]:
        found = self.warehouse.read("select event_id from inference_log.inferences order by all")
        return found["event_id"].to_list()

    def findings(self) -> list[str]:
        return [finding.message for finding in self.book.verify("shop")[0]]


KILLED = """
import os, signal, sys
from pathlib import Path
from aiops_pipelines.project import Project
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines_tests.resources.test_lost_rows import Shop
shop = Shop(Path(sys.argv[1]), declared_tables(Project(Path()).dbt))
with shop.warehouse.held():
    for name, hour in zip(sys.argv[2::2], sys.argv[3::2]):
        shop.land(name, 40, int(hour))
        print(shop.work(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(data: Path, *landed: object) -> Path:
    """Let a process read these files and die; return the log of the warehouse, which holds what it wrote."""
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(data), *map(str, landed)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return Path(f"{Project(data).warehouse}.wal")


@pytest.fixture
def shop(tmp_path: Path, tables: dict[str, Table]) -> Shop:
    """A shop with ten calls, read, signed and at rest in the file."""
    made = Shop(tmp_path / "data", tables)
    made.project.data.mkdir()
    made.land("a", 10, 0)
    assert made.work() == 10 and made.findings() == []
    return made


def test_what_a_cut_write_ahead_log_lost_is_told_and_read_again(
    shop: Shop, tmp_path: Path, tables: dict[str, Table]
) -> None:
    log = killed(shop.project.data, "b", 1)
    size, lost_at = log.stat().st_size, []
    assert size > 10_000
    control = Shop(Path(shutil.copytree(shop.project.data, tmp_path / "control")), tables)
    found, _, root = control.book.verify("shop")
    assert found == []
    for cut in (0, size // 2, size - 1, size):
        data = Path(shutil.copytree(shop.project.data, tmp_path / f"cut_{cut}"))
        os.truncate(f"{Project(data).warehouse}.wal", cut)
        left = Shop(data, tables)
        entries = left.warehouse.rows("compliance.audit_log").height
        stored = left.warehouse.rows("inference_log.log_files")["rows_stored"].sum()
        assert stored == len(left.calls())  # how far a file is read is lost with what was read
        found = left.findings()
        if entries < 50:
            lost_at.append(cut)
            assert any(f"{50 - entries} " in message and "lost" in message for message in found), found
        else:
            assert found == []
        assert left.work() == 50
        assert left.findings() == [] and left.calls() == control.calls()
        assert left.book.verify("shop")[2] == root
    assert lost_at[:2] == [0, size // 2] and size not in lost_at


def test_a_log_that_cannot_be_made_the_same_again_is_not_signed(shop: Shop, tables: dict[str, Table]) -> None:
    """Calls that came late were entered last; read again together, they would stand before the others."""
    log = killed(shop.project.data, "late", 9, "early", 1)
    os.truncate(log, 0)
    left = Shop(shop.project.data, tables)
    assert any("80 " in message and "lost" in message for message in left.findings())
    with pytest.raises(LogForked, match=r"does not begin with what its published checkpoint of 90 signs"):
        left.work()
    assert len(left.calls()) == 90
    assert left.book.signed_size("shop") == 10 and left.findings() != []
