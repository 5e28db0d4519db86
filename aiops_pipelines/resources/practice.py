"""A copy of a project in which a week that never was is operated: what a game day is held on.

The copy has one system, keys and an audit log of its own, and announces to a file: nothing that is
practised is signed with the real key, told to anybody or published to readers. What a fault does to the calls
is said in `incidents.game_day`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from aiops_pipelines.incidents.game_day import WEEK, Outcome, outcome, planted, played_again
from aiops_pipelines.inference_log.aiops_jsonl import lines
from aiops_pipelines.inference_log.ingestion import AHEAD
from aiops_pipelines.inference_log.record import IS_CHAT
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.periods import midnight
from aiops_pipelines.project import Project
from aiops_pipelines.resources.first_file import sweep
from aiops_pipelines.resources.published import published, working
from aiops_pipelines.resources.warehouse import PRACTICE, Warehouse
from aiops_pipelines.systems import System, monday

GAME_DAYS = "incidents.game_days"
RUN = "from aiops_pipelines.cli import app; app()"
OWN = ("compliance.audit_log", "compliance.audit_checkpoints", "compliance.audit_verifications")
"""Tables that belong to a log signed with another key."""
LEFT_OUT = {"publish", "regimes", "notifications", "witnesses", "judge"}
"""Keys of a system's file by which something outside would be told, asked or paid."""
LOOKED_AFTER = timedelta(hours=6)
"""How long after a week it is looked at."""
SAID = 2_000
"""Characters of a failed run that are shown."""


class PracticeError(Mendable, RuntimeError):
    """A game day cannot be held; the message says why."""


@dataclass(frozen=True)
class Practice:
    """A project that was brought up to the start of a week, and the calls of the week as they would come."""

    system: System
    file: Path
    """The system's file in the real project."""
    folder: Path
    start: datetime
    calls: pl.DataFrame
    played: datetime
    """Monday's midnight of the week whose calls are played again."""

    def without_fault(self) -> dict[str, pl.DataFrame]:
        """Return signals and incidents of the week as nothing went wrong.

        Raises:
            PracticeError: the run failed.
        """
        return self._operated(self.calls)

    def with_fault(self, fault: str, without: Mapping[str, pl.DataFrame]) -> Outcome:
        """Return what came of a fault in the week.

        Raises:
            PracticeError: the run failed.
        """
        found = self._operated(planted(fault, self.calls, self.system.limits))
        return outcome(fault, self.start, without, found["signals"], found["incidents"])

    def _operated(self, calls: pl.DataFrame) -> dict[str, pl.DataFrame]:
        with tempfile.TemporaryDirectory(prefix="week-", dir=self.folder.parent) as name:
            data = Path(shutil.copytree(self.folder, Path(name) / "data", symlinks=True))
            write_calls(data, "week.jsonl", calls)
            write_system(self.system, self.file, data, self.start + WEEK + LOOKED_AFTER)
            operate(data)
            books = published(Project(data))
            tables = {"signals": "incidents.signals", "incidents": "incidents.incidents"}
            return {name: books.rows(table, system=self.system.name) for name, table in tables.items()}


@contextmanager
def practice(project: Project, system: System, file: Path, clock: datetime) -> Iterator[Practice]:
    """Yield a copy of the project, operated up to the start of the week after its log ends.

    The last week of the log that is over is played again, first for what is left of a week that is not, then
    for the week to practise.

    Raises:
        PracticeError: the log holds no whole week of calls, or a run failed.
        WarehouseError: nothing was run yet, or the warehouse is being written.
    """
    books = working(project)
    books.prepare()
    room = project.warehouse.parent
    sweep(room, PRACTICE)
    with tempfile.TemporaryDirectory(prefix=f"{PRACTICE}{os.getpid()}-", dir=room) as name:
        data = Path(name) / "data"
        copy = Project(data)
        copy.warehouse.parent.mkdir(parents=True)
        with books.snapshot(copy.warehouse):
            pass
        own = Warehouse(copy.warehouse, books.tables)
        with own.writing() as writer:
            for table in OWN:
                writer.replace(table, own.tables[table].empty(), system=system.name)
        now = system.now(clock)
        last, calls = last_week(own, system, now, max(now, clock))
        played, start = midnight(monday(calls["occurred_at"].min())), midnight(monday(last)) + WEEK  # type: ignore[arg-type]
        if project.runbooks.is_relative_to(project.data):
            shutil.copytree(project.runbooks, data / "runbooks")
        write_calls(data, "until.jsonl", played_again(calls, last, start if start > now else last))
        write_system(system, file, data, start)
        operate(data)
        week = played_again(calls, start - timedelta(microseconds=1), start + WEEK)
        yield Practice(system, file, data, start, week, played)


def keep(books: Warehouse, held: Practice, came: Outcome, held_at: datetime) -> None:
    """Store what came of a fault of a game day."""
    about = {"system": held.system.name, "week": held.start.date(), "played": held.played.date()}
    row = asdict(came) | {"causes": list(came.causes), "held_at": held_at} | about
    with books.writing() as writer:
        writer.append(GAME_DAYS, pl.DataFrame([row], schema=books.tables[GAME_DAYS].schema))


def last_week(
    books: Warehouse, system: System, now: datetime, present: datetime
) -> tuple[datetime, pl.DataFrame]:
    """Return when the log ends, and the calls of the last week that has calls and is over.

    Calls that are dated more than a day after the present are of a clock that was wrong, and end no log.

    Raises:
        PracticeError: there is no such week.
    """
    found = books.read(
        "select max(occurred_at) as last from inference_log.inferences where system = ? and occurred_at < ?",
        [system.name, (present + AHEAD).replace(tzinfo=None)],
    )
    last: datetime | None = found["last"][0]
    whole = (
        last
        and books.read(
            "select max(date_trunc('week', occurred_at))::date as week from inference_log.inferences "
            "where system = ? and occurred_at < ?",
            [system.name, midnight(monday(now)).replace(tzinfo=None)],
        )["week"][0]
    )
    if last is None or whole is None:
        raise PracticeError(f"{system.name} has no whole week of calls yet, and a game day plays one again.")
    calls = books.read(
        "select * from inference_log.inferences where system = ? "
        "and date_trunc('week', occurred_at)::date = ? order by occurred_at, event_id",
        [system.name, whole],
    )
    if not calls.filter(IS_CHAT).height:
        raise PracticeError(f"The week of {whole} has no chat in it, and a game day plays those again.")
    return last, calls


def write_calls(data: Path, name: str, calls: pl.DataFrame) -> None:
    """Write calls to the log folder of a practice, under ids of their own."""
    folder = data / "inference_log"
    folder.mkdir(exist_ok=True)
    numbered = calls.with_columns(event_id=pl.format("game-day-{}-{}", pl.lit(name), pl.int_range(pl.len())))
    (folder / name).write_text("".join(f"{line}\n" for line in lines(numbered)), encoding="utf-8")


def write_system(system: System, file: Path, data: Path, as_of: datetime) -> None:
    """Write a system's file for a practice that ends at a moment: nobody is told, nothing is published."""
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    content = {key: value for key, value in content.items() if key not in LEFT_OUT}
    content |= {"as_of": as_of.isoformat(), "inference_log": {"folder": "inference_log"}}
    if system.corpus and system.corpus.folder and not system.corpus.git:
        content["corpus"]["folder"] = str(system.corpus.folder)
    elif system.corpus and system.corpus.git:
        content["corpus"]["git"] = system.corpus.git
    if system.known_queries:
        content["known_queries"] = str(system.known_queries)
    folder = data / "systems"
    folder.mkdir(exist_ok=True)
    (folder / f"{system.name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def operate(data: Path) -> None:
    """Do what is due in a data folder, in a process of its own.

    Raises:
        PracticeError: it failed; the message has its last words.
    """
    environment = {key: value for key, value in os.environ.items() if key != "DAGSTER_HOME"}
    ran = subprocess.run(
        [sys.executable, "-c", RUN, "run"],
        env=environment | {"AIOPS_DATA": str(data)},
        cwd=data,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise PracticeError(f"The practice could not be run: {(ran.stdout + ran.stderr)[-SAID:].strip()}")
