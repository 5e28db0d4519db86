"""What can be shown about a system's audit log at any time: that it verifies, and its newest checkpoint.

What is verified is `compliance.integrity`; signing belongs to the runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aiops_pipelines.compliance.finding import Finding, intact
from aiops_pipelines.document import Tone
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.published import working
from aiops_pipelines.resources.warehouse import WarehouseError
from aiops_pipelines.wording import count, inert

TONES: dict[str, Tone] = {"error": "bad", "warning": "warn", "note": "unknown"}


@dataclass(frozen=True)
class Proof:
    """What recomputing one log found; `root` is its Merkle root, base64."""

    system: str
    entries: int
    root: str
    findings: tuple[Finding, ...]

    @property
    def intact(self) -> bool:
        """True when nothing is wrong."""
        return intact(self.findings)

    def lines(self) -> Iterator[tuple[Tone, str]]:
        """Yield the proof in sentences, each with its tone."""
        if not self.entries and self.intact:
            yield "unknown", "The log has no entry yet, so there is nothing to verify."
            return
        tree = f"{count(self.entries)} entries, Merkle root {self.root}"
        yield ("good", f"Intact: {tree}.") if self.intact else ("bad", f"NOT intact: {tree}.")
        for finding in self.findings:
            yield TONES[finding.severity], inert(finding.message)


def verified(project: Project, system: str) -> Proof:
    """Recompute a system's whole log from the working file, the tile files and the signed checkpoints.

    Raises:
        WarehouseError: nothing was run yet, or the key that signed the log is gone.
    """
    warehouse = working(project)
    if not (project.keys / system / "checkpoint.pem").exists():  # else the book would make a new key
        if warehouse.rows("compliance.audit_log", system=system).is_empty():
            return Proof(system, 0, "", ())
        raise WarehouseError(
            f"The key that signed the log of {system} is missing; restore {project.keys} from its backup."
        )
    findings, entries, root = AuditBook(project, warehouse, Keys(project.keys)).verify(system)
    return Proof(system, entries, root, tuple(findings))


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
