"""A person erased from a system's tables, from what was derived from them and from the bytes of the files.

The order makes it safe to be killed: derived files and keys first, then one transaction with the entry in
the audit log, then the files written anew. Asked for again, it goes on. Files of the team's own are named and
not touched.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from aiops_pipelines.compliance.audit_entry import decision_entry
from aiops_pipelines.compliance.erasure import LOOKED_FOR, sought
from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.compliance.retention import REFUSED, erasure_entries, spans
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.monitoring.baseline import KEY, fingerprint
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_calls import new_entries
from aiops_pipelines.resources.completion import BOOKS, settled
from aiops_pipelines.resources.holds import HOLDS, active, held_calls
from aiops_pipelines.resources.leftovers import free_file, hits, in_sources, in_tables, produced
from aiops_pipelines.resources.people import erased_marks
from aiops_pipelines.resources.person import OBSERVED, QUARANTINE, Person
from aiops_pipelines.resources.text_deletion import rewrite
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.writer import Writer
from aiops_pipelines.systems import System
from aiops_pipelines.wording import listed

ERASURES, BASELINES = "compliance.erasures", "monitoring.baselines"
BASELINES_OF = f"select * from {BASELINES} where system = ?"
BOOKED = ["system", "cadence", "period"]
INDEXES = """
    select entry_index, event_id from compliance.audit_log where system = ? and kind = 'inference'
    order by entry_index
"""
LINE = ["system", "source_file", "source_line", "line_hash"]


class ErasureError(Mendable, ValueError):
    """A person cannot be erased; the message says why."""


@dataclass(frozen=True)
class Request:
    """Who is to be erased, as logs name them, who decided it and why, and when it was asked for."""

    user_id: str
    by: str = ""
    reason: str = ""
    asked_on: date | None = None


@dataclass
class Outcome:
    """What came of a request in one system: rows by table, holds that refused it, what names the person yet.

    `left` are places that are produced here, by column or file; `sources` lines of the team's own log files,
    none of one that cannot be read. `erased_at` is when the person was erased, now or before.
    """

    system: str
    rows: dict[str, int] = field(default_factory=dict)
    holds: tuple[str, ...] = ()
    left: dict[str, int] = field(default_factory=dict)
    sources: dict[str, list[int]] = field(default_factory=dict)
    erased_at: datetime | None = None


class Eraser:
    """Requests of one installation; `systems` are all of its systems, for their folders."""

    def __init__(self, project: Project, warehouse: Warehouse, book: AuditBook, systems: Sequence[System]):
        self._project, self._warehouse, self._book, self._systems = project, warehouse, book, systems

    def look(self, system: System, request: Request, clock: datetime) -> Outcome:
        """Say what would go, and what holds it; nothing is changed.

        Raises:
            SigningKeyMissing: the audit log cannot be continued.
        """
        with self._warehouse.held():
            return self._look(Person(self._warehouse, self._book, system, request.user_id), clock)

    def _look(self, person: Person, clock: datetime) -> Outcome:
        name = person.system.name
        seen = self._warehouse.rows("inference_log.log_files", system=name)["source_file"]
        sources = in_sources(person.system, seen, [person.given, person.stored])
        rows = {table: frame.height for table, (frame, _) in person.changes(clock).items()}
        if lines := person.set_aside(sources).height:
            rows[QUARANTINE] = lines
        held = held_calls(self._warehouse, self._book, name).join(person.calls, on="event_id", how="semi")
        # without a call there is no moment that a hold could leave out
        everybody = pl.col("person").is_null() & person.calls.is_empty()
        mine = (pl.col("person") == person.marks[0]).fill_null(value=False)
        named = active(self._warehouse, name).filter(mine | everybody)
        return Outcome(name, rows, tuple(sorted({*held["hold_id"], *named["hold_id"]})), sources=sources)

    def erase(
        self,
        systems: Sequence[System],
        request: Request,
        now: Callable[[], datetime],
        publish: Callable[[], object],
    ) -> list[Outcome]:
        """Erase a person from these systems, or refuse where a hold forbids it; both are logged.

        Args:
            systems: where to look for the person.
            request: the request.
            now: the clock, UTC; the erasure's time is read when nobody else can open the warehouse, so no
                backup from before is of a later time.
            publish: makes the copy for analysts anew.

        Raises:
            ErasureError: nobody decides, there is no reason, or nothing names the person.
            SigningKeyMissing, LogForked: an audit log of these cannot be continued; nothing was changed.
        """
        _justified(request, now())
        request = replace(request, reason=mask(request.reason)[0])
        outcomes, wanted, people = [], dict[bytes, bool](), []
        with self._warehouse.held():
            clock = now()
            for person, outcome, known in self._concerned(systems, request, clock):
                outcomes.append(outcome)
                if outcome.holds:
                    self._refuse(person, outcome, request, clock)
                    continue
                people.append(person)
                wanted |= sought(person.identifiers, person.own_texts)
                if outcome.rows or not known:
                    self._carry_out(person, outcome, request, clock, wanted)
        if not outcomes:
            where = listed([system.name for system in systems])
            raise ErasureError(
                f"No table and no log file of {where} names {request.user_id}: is it spelled so?"
            )
        if people:
            self._finish(people, outcomes, wanted, clock, publish)
        return outcomes

    def _concerned(
        self, systems: Sequence[System], request: Request, clock: datetime
    ) -> list[tuple[Person, Outcome, bool]]:
        """Return where the person is or was, and whether they were erased there before.

        The logs of all these are found to be continued before the first is changed.
        """
        found = []
        for system in systems:
            person = Person(self._warehouse, self._book, system, request.user_id)
            outcome = self._look(person, clock)
            known = person.marks[0] in erased_marks(self._warehouse, system.name)
            if outcome.rows or any(outcome.sources.values()) or known:
                self._book.signing(system.name).continued()
                found.append((person, outcome, known))
        return found

    def _row(
        self, person: Person, outcome: Outcome, request: Request, entry: Mapping[str, Any]
    ) -> pl.DataFrame:
        schema = self._warehouse.tables[ERASURES].schema
        row = dict.fromkeys(schema) | {
            "system": outcome.system,
            "erasure_id": f"ERA-{entry['entry_id'].removeprefix('decision:')[:8]}",
            "marks": None if outcome.holds else person.marks,
            "status": "refused" if outcome.holds else "erased",
            "asked_on": request.asked_on,
            "decided_at": datetime.fromisoformat(entry["occurred_at"]),
            **{"decided_by": request.by.strip(), "reason": request.reason.strip()},
            **{"calls": person.calls.height, "holds": list(outcome.holds)},
        }
        return pl.DataFrame([row], schema=schema)

    def _refuse(self, person: Person, outcome: Outcome, request: Request, clock: datetime) -> None:
        now, name = person.system.now(clock), outcome.system
        details = {
            "reason": request.reason.strip(),
            "holds": list(outcome.holds),
            "calls": person.calls.height,
        }
        summary = f"The erasure of one person was refused because of {listed(list(outcome.holds))}."
        entry = decision_entry(name, REFUSED, now, request.by.strip(), summary, details)
        row = self._row(person, outcome, request, entry)
        keys = {"system": name, "erasure_id": row["erasure_id"][0]}
        self._book.append(name, [entry], lambda writer: writer.replace(ERASURES, row, **keys))
        self._book.sign(name, now)

    def _carry_out(
        self,
        person: Person,
        outcome: Outcome,
        request: Request,
        clock: datetime,
        wanted: Mapping[bytes, bool],
    ) -> None:
        name, now = outcome.system, person.system.now(clock)
        # or they would have none
        self._book.append(name, new_entries(self._warehouse, name, self._book.keys))
        self._free_files(wanted)
        self._destroy_keys(person)
        changes, lines = person.changes(now), person.set_aside(outcome.sources)
        counts = {table.replace(".", "_"): rows for table, rows in outcome.rows.items()}
        counts |= {"calls": person.calls.height}
        entries = list(
            erasure_entries(
                name, now, request.by.strip(), request.reason.strip(), self._spans(person), counts
            )
        )
        row = self._row(person, outcome, request, entries[0])
        sound = self._fingerprinted(self._warehouse, name)
        before = settled(self._warehouse, person.system).filter(pl.col("inputs") == pl.col("now"))
        holds = self._warehouse.rows(HOLDS, system=name).filter(pl.col("person") == person.marks[0])
        released = holds.select("system", "hold_id", person=pl.lit(None, pl.String))

        def along(writer: Writer) -> None:
            for table, (frame, keys) in changes.items():
                writer.update(table, frame, keys)
            writer.delete_matching(QUARANTINE, lines, LINE)
            writer.append(QUARANTINE, person.blanked(lines))
            self._fingerprints(writer, name, sound)
            writer.update(HOLDS, released, ["system", "hold_id"])
            after = settled(writer, person.system).join(before, on=BOOKED, how="semi")
            writer.update(BOOKS, after.select(*BOOKED, inputs="now"), BOOKED)
            writer.append(ERASURES, row)

        self._book.append(name, entries, along)

    def _destroy_keys(self, person: Person) -> None:
        """Destroy the secrets that closed the person's entries; that of a session of several people stays."""
        shared = person.calls.filter(~pl.col("session_alone"))["session_id"].drop_nulls().to_list()
        for subject in {*person.calls["subject"], person.stored} - {*shared}:
            self._book.keys.destroy(person.system.name, subject)

    def _spans(self, person: Person) -> list[str]:
        rows = self._warehouse.read(INDEXES, [person.system.name])
        theirs = rows["event_id"].is_in(person.calls["event_id"].implode())
        return spans(zip(rows["entry_index"], theirs, strict=True))

    def _fingerprints(self, writer: Writer, system: str, before: pl.DataFrame) -> None:
        """Make the fingerprints of frozen baselines again, which are over whose scores they are too.

        One that did not fit before was edited, and stays as it is, or an erasure would cover that up.
        """
        frozen = before.join(writer.read(BASELINES_OF, [system]), on=[*KEY, "fingerprint"], how="semi")
        after = self._fingerprinted(writer, system).join(frozen, on=KEY, how="semi")
        writer.update(BASELINES, after, KEY)

    @staticmethod
    def _fingerprinted(rows: Warehouse | Writer, system: str) -> pl.DataFrame:
        """Return the fingerprint of each baseline's scores as they are now."""
        observed = rows.read(f"select * from {OBSERVED} where system = ?", [system])
        found = [
            (*key, fingerprint(scores)) for key, scores in observed.partition_by(KEY, as_dict=True).items()
        ]
        return pl.DataFrame(found, schema=dict.fromkeys([*KEY, "fingerprint"], pl.String), orient="row")

    def _free_files(self, wanted: Mapping[bytes, bool]) -> None:
        """Free what was derived: logs, pages, Dagster's storage. What cannot be freed is found at the end."""
        for file in produced(self._project, self._systems):
            if not self._evidence(file) and hits(file, wanted):
                with suppress(OSError, sqlite3.Error, UnicodeDecodeError):
                    free_file(file, wanted)

    def _evidence(self, file: Path) -> bool:
        """Say whether a file proves something as it is, or is written anew by DuckDB."""
        inside = [self._project.audit, self._project.keys]
        published = file.parent.name == "monthly" and file.is_relative_to(self._project.reports)
        return published or ".duckdb" in file.name or any(file.is_relative_to(folder) for folder in inside)

    def _finish(
        self,
        people: Sequence[Person],
        outcomes: Sequence[Outcome],
        wanted: Mapping[bytes, bool],
        clock: datetime,
        publish: Callable[[], object],
    ) -> None:
        """Write the files anew, search everything for the person and keep what was found."""
        for person in people:
            self._book.sign(person.system.name, person.system.now(clock))
        rewrite(self._warehouse, clock)
        copy = self._project.published
        for abandoned in copy.parent.glob(f"{copy.stem}.new-*"):
            abandoned.unlink()
        publish()
        names = list(dict.fromkeys(one for person in people for one in person.identifiers))
        starts = [text[:LOOKED_FOR] for person in people for text in person.own_texts]
        users = list(dict.fromkeys(one for person in people for one in (person.stored, person.given)))
        left = in_tables(self._warehouse, names, starts, users)
        for file in produced(self._project, self._systems):
            if count := hits(file, wanted):
                left[os.path.relpath(file, self._project.data)] = count
        for person in people:
            outcome = next(one for one in outcomes if one.system == person.system.name)
            outcome.left = left
            rows = self._warehouse.rows(ERASURES, system=outcome.system, status="erased")
            mine = rows.filter(pl.col("marks").list.contains(person.marks[0]))
            outcome.erased_at = max(mine["decided_at"], default=None)
            found = mine.select("system", "erasure_id").with_columns(
                scanned_at=pl.lit(clock),
                left_over=pl.lit(len(left)),
                in_sources=pl.lit(sum(map(len, outcome.sources.values()))),
            )
            with self._warehouse.writing() as writer:
                writer.update(ERASURES, found, ["system", "erasure_id"])


def _justified(request: Request, clock: datetime) -> None:
    if not request.user_id.strip():
        raise ErasureError("Say who is to be erased: --user ID, as the logs name the user.")
    if not (request.by.strip() and request.reason.strip()):
        raise ErasureError("A person is erased by somebody and for a reason: --by NAME --reason TEXT.")
    if request.user_id.strip() in f"{request.reason} {request.by}":
        raise ErasureError(
            "The reason names the person, and the audit log keeps it for good; say it without."
        )
    if request.asked_on and request.asked_on > clock.date():
        raise ErasureError(f"The person cannot have asked on {request.asked_on}, which is to come.")
