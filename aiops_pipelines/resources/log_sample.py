"""A first look at a system's log files, read with its importer, before anything is stored.

What is missing in them is said in `system_check`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from aiops_pipelines.inference_log.formats import importer
from aiops_pipelines.inference_log.log_settings import Logs
from aiops_pipelines.inference_log.reading import begin, plan
from aiops_pipelines.inference_log.record import TOKEN_COLUMNS, Batch
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.systems import monday

LINES_READ = 200_000
PIECE_BYTES = 4_000_000


@dataclass
class LogSample:
    """What the log files hold; counts are of different calls.

    `models` maps provider and model of the calls with usage to the latest of them; either may be None.
    """

    files: int = 0
    unread: dict[str, str] = field(default_factory=dict)
    lines: int = 0
    capped: bool = False
    rejected: int = 0
    first_rejection: str = ""
    production: Counter[date] = field(default_factory=Counter)
    known: Counter[date] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None
    models: dict[tuple[str | None, str | None], datetime] = field(default_factory=dict)
    calls_of_model: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        """Calls read."""
        return self.production.total() + self.known.total()

    @property
    def weeks(self) -> list[date]:
        """Mondays of the weeks with a call."""
        return sorted({*self.production, *self.known})


def log_sample(logs: Logs, limit: int = LINES_READ) -> LogSample:
    """Read the log files in order of their names, up to a number of lines.

    Raises:
        LogFolderError: there is no such folder, or it cannot be listed.
    """
    folder = LogFolder(logs.folder)
    files, refused = folder.files()
    sample, seen = LogSample(len(files), dict(refused)), set[str]()
    for file in files:
        whole = plan(file, None)
        try:
            for piece in folder.pieces(whole, begin(file, whole, None), PIECE_BYTES):
                lines = piece.lines[: limit - sample.lines]
                sample.lines += len(lines)
                sample.capped |= len(lines) < len(piece.lines)
                _count(sample, importer(logs.format, logs.mapping)(lines), file.name, seen)
                if sample.capped:
                    return sample
        except OSError as error:
            sample.unread[file.name] = f"it cannot be read ({error})"
    return sample


def _count(sample: LogSample, batch: Batch, file: str, seen: set[str]) -> None:
    for rejection in batch.rejections:
        sample.rejected += 1
        sample.first_rejection = (
            sample.first_rejection or f"line {rejection.line} of {file}: {rejection.reason}"
        )
    for record in _new(batch, seen):
        at = record["occurred_at"]
        (sample.known if record["known_query_id"] else sample.production)[monday(at)] += 1
        sample.first, sample.last = min(sample.first or at, at), max(sample.last or at, at)
        if any(record[name] is not None for name in TOKEN_COLUMNS):
            model = (record["provider"], record["model_served"] or record["model_requested"])
            sample.models[model] = max(sample.models.get(model, at), at)
            sample.calls_of_model[model] += 1


def _new(batch: Batch, seen: set[str]) -> Iterator[Mapping[str, Any]]:
    for record in batch.records:
        if record["event_id"] not in seen:
            seen.add(record["event_id"])
            yield record
