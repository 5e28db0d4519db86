"""The auditor's bundle: a folder that verifies without this project, of a whole log or of single entries.

Beside the evidence it holds `verify.py` and `tlog.py`, which need Python alone, and `VERIFY.md`, which says
what is what.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from aiops_pipelines.compliance import tlog_proof
from aiops_pipelines.compliance.commitment import nonce, opens
from aiops_pipelines.compliance.key_history import KINDS
from aiops_pipelines.compliance.quorum import tlog_policy
from aiops_pipelines.compliance.records import subject_of
from aiops_pipelines.compliance.signed_note import NoteInvalid
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.proofs import newest_checkpoint
from aiops_pipelines.resources.warehouse import Warehouse

TEMPLATES = Path(__file__).parent / "templates"
TEXTS = {"query": "input_commitment", "answer": "output_commitment"}
Files = dict[str, bytes]


class NoBundle(Mendable, RuntimeError):
    """A bundle that cannot be made; the message says why."""


class Bundle:
    """What is to be handed to somebody about one system's log, as files by path."""

    def __init__(self, project: Project, warehouse: Warehouse, system: str):
        self._project, self._warehouse, self._system = project, warehouse, system
        self._signing = AuditBook(project, warehouse, Keys(project.keys)).signing(system)
        self._files, (self._history, _) = self._signing.files, self._signing.history()
        self._note, self._key = newest_checkpoint(project, system)
        self.size = self._signed_size(self._note)

    def whole(self) -> Iterator[Files]:
        """Yield every entry, by the portion for a million take 1 GB, every checkpoint and every report."""
        places = self._log()["entry_index"]
        notes = {name: text.encode() for name, text in self._files.checkpoints().items()}
        yield self._head() | notes | self._reports()
        yield from self._signing.bundles(places, 0)

    def single(self, entries: Sequence[str], opened: bool, keys: Keys) -> Files:
        """Return these entries, each proved to be in the log, and no other.

        Args:
            entries: ids of entries or of the calls they are about.
            opened: whether question and answer lie beside an entry, with the secret that opens it.
            keys: those of the people the calls are about.

        Raises:
            NoBundle: the log holds no such entry.
        """
        rows = self._log("leaf", "leaf_hash", "entry_id", "event_id", "kind", *TEXTS.values())
        hashes, files = rows["leaf_hash"].to_list(), self._head()
        for row in rows.filter(pl.col("kind").is_in(KINDS)).iter_rows(named=True):
            files |= self._proved("keys", row["entry_index"], {"leaf": row["leaf"].decode()}, hashes)
        for wanted in entries:
            found = rows.filter((pl.col("entry_id") == wanted) | (pl.col("event_id") == wanted))
            if found.is_empty():
                raise NoBundle(f"No signed entry of {self._system} has the id {wanted}.")
            for row in found.iter_rows(named=True):
                said: dict[str, Any] = {"leaf": row["leaf"].decode()}
                if opened and row["event_id"]:
                    said["opened"] = self._opened(row, keys)
                files |= self._proved("entries", row["entry_index"], said, hashes)
        return files

    def since(self, kept: Sequence[str]) -> Files:
        """Return the proofs that the log only grew since these checkpoints."""
        hashes = self._log("leaf_hash")["leaf_hash"].to_list()
        sizes = {self._signed_size(note) for note in kept}
        return {
            f"consistency/{size}.proof": tlog_proof.consistency(hashes, size, self.size, self._note).encode()
            for size in sorted(sizes)
            if 0 < size < self.size
        }

    def _proved(self, folder: str, index: int, said: dict[str, Any], hashes: Sequence[bytes]) -> Files:
        proof = tlog_proof.inclusion(hashes, index, self.size, self._note)
        content = json.dumps({"index": index} | said, indent=1).encode()
        return {f"{folder}/{index}.json": content, f"{folder}/{index}.tlog-proof": proof.encode()}

    def _signed_size(self, note: str) -> int:
        try:
            return self._history.verify(note).size
        except NoteInvalid as error:
            raise NoBundle(f"A checkpoint of {self._system} cannot be trusted: {error}") from None

    def _log(self, *columns: str) -> pl.DataFrame:
        names = ", ".join(("entry_index", *columns))
        rows = self._warehouse.read(
            f"select {names} from compliance.audit_log where system = ? and entry_index < ? "
            "order by entry_index",
            [self._system, self.size],
        )
        if rows["entry_index"].to_list() != list(range(self.size)):
            raise NoBundle(f"The log of {self._system} lacks signed entries: aiops audit verify names them.")
        return rows

    def _head(self) -> Files:
        names = ("verify.py", "tlog.py", "VERIFY.md")
        head = {"checkpoint": self._note.encode(), "keys.txt": self._key.encode()}
        if (policy := self._signing.policy).places:
            head["policy.txt"] = tlog_policy(self._history.current, policy).encode()
        return head | {name: (TEMPLATES / name).read_bytes() for name in names}

    def _reports(self) -> Files:
        folder = self._project.reports / self._system / "monthly"
        files = [file for file in folder.glob("*") if file.suffix in (".html", ".json", ".pdf")]
        return {file.relative_to(self._project.data).as_posix(): file.read_bytes() for file in files}

    def _opened(self, row: Mapping[str, Any], keys: Keys) -> dict[str, dict[str, str]]:
        call = self._warehouse.rows("inference_log.inferences", system=self._system, event_id=row["event_id"])
        if call.is_empty():
            raise NoBundle(f"The texts of {row['event_id']} are gone, so its entry cannot be opened.")
        said, opened = call.row(0, named=True), {}
        secret = keys.kept_subject(self._system, subject_of(said))
        for field, commitment in TEXTS.items():
            if row[commitment] is None:
                continue
            known = nonce(secret, row["entry_id"], field) if secret and said[field] is not None else b""
            if not known or not opens(known, said[field].encode(), bytes.fromhex(row[commitment])):
                raise NoBundle(
                    f"The {field} of {row['event_id']} is not what was logged, or its key is gone."
                )
            opened[field] = {"nonce": known.hex(), "text": said[field]}
        return opened


def write(folder: Path, portions: Iterable[Files]) -> None:
    """Write a bundle, portion by portion, into a new or empty folder.

    Raises:
        NoBundle: something is in the folder already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NoBundle(f"{folder} is not empty; give a new folder, so that nothing old is handed over.")
    for name, content in chain.from_iterable(files.items() for files in portions):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
