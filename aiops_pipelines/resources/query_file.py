"""The file of a system's known queries: read into the warehouse, and added to line by line.

What a line means is `rag.known_queries`, how queries are drafted `rag.drafting`.
"""

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.rag.drafting import Draft, drafted
from aiops_pipelines.rag.known_queries import (
    JUDGEMENTS,
    KNOWN_QUERIES,
    adversarial_queries,
    attacks_in_force,
    in_force,
    parse_known_queries,
)
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.first_file import write_whole
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System


class DraftRefused(Mendable, ValueError):
    """Queries cannot be drafted or signed off; the message says why and what to do."""


class QueryFileError(Mendable, ValueError):
    """The file of known queries cannot be used; the message says what to change."""


def content(file: Path) -> str:
    """Return the text of a file of known queries, without a byte order mark.

    Raises:
        QueryFileError: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise QueryFileError(
            f"The known queries {file.name} cannot be read: byte {error.start + 1} is not UTF-8; convert the "
            "file to UTF-8."
        ) from error
    except OSError as error:
        raise QueryFileError(
            f"The known queries {file.name} cannot be read: {error.strerror}; mend it or change "
            "known_queries."
        ) from error


def read(system: System, drafts: bool = False) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Return known queries, judgements and a sentence for each problem; without a usable file no rows.

    With `drafts` the queries are those that nobody has signed off.
    """
    try:
        known, judged, problems = parse_known_queries(system.name, _told(system), drafts)
    except QueryFileError as error:
        return pl.DataFrame(schema=KNOWN_QUERIES), pl.DataFrame(schema=JUDGEMENTS), [str(error)]
    assert system.known_queries
    return known, judged, [f"{system.known_queries.name}: {sentence}" for sentence in problems]


def load(warehouse: Warehouse, system: System) -> list[str]:
    """Bring the tables level with the file and return the problems; where it cannot be used they stay."""
    try:
        _told(system)
    except QueryFileError as error:
        return [str(error)]
    known, judged, problems = read(system)
    hostile = adversarial_queries(system.name, _told(system))
    waiting, of_waiting, _ = read(system, drafts=True)
    waiting = waiting.drop("signed_off_by", "retired")
    waiting = waiting.join(of_waiting, on=["system", "query_id", "valid_from"])
    with warehouse.writing() as writer:
        writer.replace("rag.drafted_queries", waiting, system=system.name)
        writer.replace("rag.adversarial_queries", hostile, system=system.name)
        writer.replace("rag.known_queries", known, system=system.name)
        writer.replace("rag.judgements", judged, system=system.name)
    return problems


def _told(system: System) -> list[str]:
    """Return the lines of a system's file; a line ends where JSON lines do, not at U+2028 inside a text."""
    file = system.known_queries
    if file is None:
        raise QueryFileError(
            "No known queries are configured, so nothing can be compared with the truth; write "
            "known_queries in its file."
        )
    if not file.exists():
        raise QueryFileError(f"{file.name} does not exist; restore it or change known_queries.")
    return content(file).split("\n")


def draft(system: System, texts: Mapping[str, str], count: int, at: datetime) -> list[Draft]:
    """Append drafts from the texts of a corpus to the file and return them; those that it has are left out.

    Raises:
        DraftRefused: no file is configured.
        QueryFileError: the file cannot be read.
        OSError: the file cannot be written.
    """
    known = {row["query_id"] for row in _rows(system)}
    found = [one for one in drafted(texts, count + len(known)) if one.query_id not in known][:count]
    _append(system, [_line(one, at) for one in found])
    return found


def sign_off(system: System, book: AuditBook, names: Collection[str], by: str, now: datetime) -> list[str]:
    """Append drafts as known queries, signed, and enter that into the audit log; return their ids.

    The log comes first: a decision that is logged and not carried out does no harm.

    Args:
        system: whose file it is.
        book: the audit logs.
        names: ids of the drafts; none means all that wait.
        by: who signs.
        now: from when they count, UTC-aware.

    Raises:
        DraftRefused: nobody signs, or a name is no draft that waits.
        QueryFileError: the file cannot be read.
    """
    if not by.strip():
        raise DraftRefused("A draft is signed off by somebody; give their name with --by.")
    newest = {row["query_id"]: row for row in _rows(system)}
    waiting = set(read(system, drafts=True)[0]["query_id"])
    if unknown := sorted(set(names) - waiting):
        raise DraftRefused(f"{unknown[0]} is no draft of {system.name} that waits to be signed off.")
    signed = sorted(set(names) or waiting)
    if not signed:
        raise DraftRefused(f"No draft of {system.name} waits to be signed off.")
    lines = [newest[name] | {"valid_from": now.isoformat(), "signed_off_by": by.strip()} for name in signed]
    summary = f"{len(signed)} drafted queries were signed off as known queries."
    details = {"queries": ", ".join(signed)}
    book.append(
        system.name,
        [decision_entry(system.name, "known_queries_signed_off", now, by.strip(), summary, details)],
    )
    _append(system, lines)
    return signed


def retire(
    system: System, book: AuditBook, names: Collection[str], by: str, reason: str, now: datetime
) -> list[str]:
    """Append that known queries are asked no more, and enter that into the audit log; return their ids.

    The log comes first, as with `sign_off`. Verdicts of the week of `now` and later leave them out.

    Raises:
        DraftRefused: nobody says so, or without a reason; or a name is no known query that is asked now.
        QueryFileError: the file cannot be read.
    """
    if not by.strip() or not reason.strip():
        raise DraftRefused("A query is retired by somebody and for a reason; give --by and --reason.")
    hostile = attacks_in_force(adversarial_queries(system.name, _told(system)), now)
    asked = {*in_force(*read(system)[:2], now)[0]["query_id"], *hostile["query_id"]}
    if unknown := sorted(set(names) - asked):
        raise DraftRefused(f"{unknown[0]} is no known query of {system.name} that is asked now.")
    newest = {row["query_id"]: row for row in _rows(system)}
    gone = sorted(set(names))
    lines = [
        {"query_id": name, "query": newest[name]["query"], "valid_from": now.isoformat(), "retired": True}
        for name in gone
    ]
    summary = f"{len(gone)} known queries were retired: {reason.strip()}"
    details = {"queries": ", ".join(gone), "reason": reason.strip()}
    book.append(
        system.name, [decision_entry(system.name, "known_queries_retired", now, by.strip(), summary, details)]
    )
    _append(system, lines)
    return gone


def _line(one: Draft, at: datetime) -> dict[str, Any]:
    folder, _, name = one.document.rpartition("/")
    return {
        "query_id": one.query_id,
        "query": one.query,
        "valid_from": at.isoformat(),
        "reference_answer": one.answer,
        "relevant": [{"document": one.document, "grade": 2}],
        "tags": [folder.split("/")[0]] if folder and name else [],
        "synthetic": True,
        "lexical_overlap": round(one.in_document, 3),
    }


def _rows(system: System) -> list[dict[str, Any]]:
    """Return the lines of the file that are JSON objects with a query_id."""
    if system.known_queries is None:
        raise DraftRefused(
            f"{system.name} has no file for known queries; add known_queries: queries/{system.name}.jsonl to "
            "its file."
        )
    found = []
    if system.known_queries.exists():
        for line in _told(system):
            with suppress(ValueError, RecursionError):
                row = json.loads(line)
                found += [row] if isinstance(row, dict) and isinstance(row.get("query_id"), str) else []
    return found


def _append(system: System, rows: list[dict[str, Any]]) -> None:
    """Write the file again with more lines, and put it in place of the old one at once."""
    assert system.known_queries
    file = system.known_queries.resolve()  # a link stays one
    old = content(file) if file.exists() else ""
    old += "\n" if old and not old.endswith("\n") else ""
    write_whole(file, (old + "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)).encode())
