"""How far a log file is read, and where to go on: a file that only grew is read on, a rewritten one anew."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from aiops_pipelines.inference_log.source import Source

HEAD_BYTES = 4_096
LOG_FILES = pl.Schema(
    {
        **dict.fromkeys(("system", "source_file"), pl.String()),
        **dict.fromkeys(
            ("size_bytes", "modified_ns", "bytes_read", "waiting_bytes", "lines_read"), pl.Int64()
        ),
        **dict.fromkeys(("rows_stored", "rows_known", "rows_quarantined"), pl.Int64()),
        "head_hash": pl.String(),
        "read_at": pl.Datetime("us", "UTC"),
    }
)


@dataclass(frozen=True)
class LogFile:
    """A log file as it lies there: `head` is its first HEAD_BYTES, `appended` whether it grows by lines.

    A compressed file, and one that may be a single JSON document, is read whole whenever it changes.
    """

    name: str
    size_bytes: int
    modified_ns: int
    head: bytes
    appended: bool = True
    compressed: bool = False


@dataclass(frozen=True)
class ReadPlan:
    """What to read of a file: nothing, on from an offset, or all of it from the start."""

    action: Literal["skip", "continue", "start"]
    offset: int = 0
    lines_read: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Reading:
    """How far a file is read: one row of `inference_log.log_files` without system and time."""

    file: LogFile
    bytes_read: int = 0
    waiting_bytes: int = 0
    lines_read: int = 0
    rows_stored: int = 0
    rows_known: int = 0
    rows_quarantined: int = 0


def head_hash(head: bytes, bytes_read: int) -> str:
    """Return the SHA-256, hex, of the first bytes that were read, at most HEAD_BYTES."""
    return hashlib.sha256(head[:bytes_read]).hexdigest()


def plan(file: LogFile, seen: Mapping[str, Any] | None) -> ReadPlan:
    """Decide what to read of a file, given its row of `inference_log.log_files`.

    A file that only grew is read on. One whose start or length does not fit what was read was rewritten, and
    is read from its start; event ids keep that from storing a call twice.
    """
    if seen is None:
        return ReadPlan("start", reason="new file")
    if (file.size_bytes, file.modified_ns) == (seen["size_bytes"], seen["modified_ns"]):
        return ReadPlan("skip", seen["bytes_read"], seen["lines_read"], "unchanged")
    if not file.appended:
        return ReadPlan("start", reason="changed")
    if file.size_bytes < seen["bytes_read"] or head_hash(file.head, seen["bytes_read"]) != seen["head_hash"]:
        return ReadPlan("start", reason="rewritten")
    if file.size_bytes == seen["size_bytes"]:
        return ReadPlan("start", reason="changed")
    return ReadPlan("continue", seen["bytes_read"], seen["lines_read"], "grown")


def begin(file: LogFile, read_plan: ReadPlan, seen: Mapping[str, Any] | None) -> Reading:
    """Return how far a file is read when the plan starts: its counts go on, or begin again from 0."""
    if seen is None or read_plan.action == "start":
        return Reading(file)
    counts = ("bytes_read", "waiting_bytes", "lines_read", "rows_stored", "rows_known", "rows_quarantined")
    return Reading(file, *(seen[name] for name in counts))


def log_file(reading: Reading, source: Source) -> pl.DataFrame:
    """Return the file's row of `inference_log.log_files`."""
    file = reading.file
    row = {
        "system": source.system,
        "source_file": file.name,
        "size_bytes": file.size_bytes,
        "modified_ns": file.modified_ns,
        **{name: getattr(reading, name) for name in LOG_FILES if hasattr(reading, name)},
        "head_hash": head_hash(file.head, reading.bytes_read),
        "read_at": source.now,
    }
    return pl.DataFrame([row], schema=LOG_FILES, orient="row")
