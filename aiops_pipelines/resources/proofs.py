"""What can be shown about a system's audit log at any time: that it verifies, and its newest checkpoint.

What is verified is `compliance.integrity`; signing belongs to the runs.
"""

import hashlib
import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiops_pipelines.compliance.editions import tampered
from aiops_pipelines.compliance.finding import Finding, intact
from aiops_pipelines.compliance.quorum import Witnessing
from aiops_pipelines.document import Tone
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_signing import origin
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.published import working
from aiops_pipelines.resources.report_pdf import attached
from aiops_pipelines.resources.warehouse import Warehouse, WarehouseError
from aiops_pipelines.wording import count, inert

KEPT: tuple[Tone, str] = ("plain", "Held against what was kept elsewhere too.")
UNKEPT: tuple[Tone, str] = (
    "unknown",
    "Not held against a checkpoint that somebody kept elsewhere (--kept FILE): whoever has the signing key "
    "could have written another log.",
)
_NOTE = re.compile(
    '[^\\s"<>]+\n[0-9]+\n[A-Za-z0-9+/]{43}=\n(?:time [0-9]+\n)?\n(?:\u2014 [^\n ]+ [A-Za-z0-9+/=]+\n?)+'
)
"""A signed note as `checkpoint.sign` writes it, in the midst of other text."""
TONES: dict[str, Tone] = {"error": "bad", "warning": "warn", "note": "unknown"}


UNWITNESSED = 3


class NothingKept(Mendable, ValueError):
    """A file that holds no checkpoint; the message says which."""


@dataclass(frozen=True)
class Proof:
    """What recomputing one log found; `root` is its Merkle root, base64, `kept` how many notes were kept."""

    system: str
    entries: int
    root: str
    findings: tuple[Finding, ...]
    witnessing: Witnessing
    kept: int = 0

    @property
    def intact(self) -> bool:
        """True when nothing is wrong."""
        return intact(self.findings)

    @property
    def exit_code(self) -> int:
        """What `aiops audit verify` ends with: 1 where something is wrong, 3 where only witnesses miss."""
        return 1 if not self.intact else UNWITNESSED if self.witnessing.unmet else 0

    def lines(self) -> Iterator[tuple[Tone, str]]:
        """Yield the proof in sentences, each with its tone."""
        if not self.entries and self.intact and not self.kept:
            yield "unknown", "The log has no entry yet, so there is nothing to verify."
            if self.witnessing.named:
                yield self._witnessed()
            yield from self._found()
            return
        tree = f"{count(self.entries)} entries, Merkle root {self.root}"
        whole: tuple[Tone, str] = ("good", f"Intact: {tree}.")
        if self.witnessing.unmet:
            whole = ("warn", f"Intact in itself: {tree}.")
        yield whole if self.intact else ("bad", f"NOT intact: {tree}.")
        yield self._witnessed()
        if self.kept or not self.witnessing.met:
            yield KEPT if self.kept else UNKEPT
        yield from self._found()

    def _witnessed(self) -> tuple[Tone, str]:
        heard = self.witnessing
        return "good" if heard.met else "bad" if heard.unmet else "unknown", inert(heard.sentence)

    def _found(self) -> Iterator[tuple[Tone, str]]:
        for finding in self.findings:
            yield TONES[finding.severity], inert(finding.message)


def verified(project: Project, system: str, kept: Sequence[str] = ()) -> Proof:
    """Recompute a system's whole log from the working file, the tile files and the signed checkpoints.

    Args:
        project: where they are.
        system: its name.
        kept: signed notes that somebody kept elsewhere.

    Raises:
        WarehouseError: nothing was run yet.
    """
    warehouse = working(project)
    book = AuditBook(project, warehouse, Keys(project.keys))
    findings, entries, root = book.verify(system, kept)
    heard = book.signing(system).witnessing()
    found = (*findings, *heard.findings, *edited(project, warehouse, system))
    return Proof(system, entries, root, found, heard, len(kept))


def edited(project: Project, warehouse: Warehouse, system: str) -> Iterator[Finding]:
    """Yield the published reports and amendments whose files are not as they were."""

    def digest(name: str) -> str | None:
        file = project.data / name
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None

    for table in ("compliance.compliance_reports", "compliance.report_amendments"):
        for row in warehouse.rows(table, system=system).iter_rows(named=True):
            for problem in tampered(row, digest):
                yield Finding("error", None, None, None, problem)


def kept_notes(file: Path, system: str) -> list[str]:
    """Return the checkpoints of a system printed in a file: a signed note, or a report as HTML, PDF or JSON.

    Raises:
        NothingKept: there is none.
    """
    data = file.suffix in (".json", ".pdf")
    content = attached(file.read_bytes()) if file.suffix == ".pdf" else file.read_bytes()
    text = content.decode(errors="replace")
    text = "\n".join(_texts(text)) if data else html.unescape(text)
    found = [f"{note.rstrip()}\n" for note in _NOTE.findall(text) if note.startswith(f"{origin(system)}\n")]
    if not found:
        raise NothingKept(f"{file.name} holds no checkpoint of {system}.")
    return list(dict.fromkeys(found))


def _texts(data: str) -> Iterator[str]:
    try:
        values = [json.loads(data)]
    except json.JSONDecodeError:
        return
    while values:
        value = values.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            values += value.values() if isinstance(value, dict) else value


def newest_checkpoint(project: Project, system: str) -> tuple[str, str]:
    """Return the newest signed note and the key to verify it with.

    Raises:
        WarehouseError: nothing was signed yet.
    """
    folder = project.audit / system
    if not (folder / "checkpoint").is_file():
        raise WarehouseError(f"No checkpoint of {system} is signed yet; a run signs one: aiops run")
    note, keys = ((folder / name).read_text(encoding="utf-8") for name in ("checkpoint", "keys.txt"))
    return note, keys
