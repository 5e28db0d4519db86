"""Is the audit log intact: rows against leaves, and leaves against signed roots and tiles.

Everything is recomputed from the leaf bytes; stored hashes and columns are claims to check. A log can show
that an entry was edited, inserted, removed or moved. It cannot show what never reached it, nor vouch for
entries after its newest checkpoint.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.audit_entry import PROJECTED, projection
from aiops_pipelines.compliance.checkpoint import Checkpoint
from aiops_pipelines.compliance.finding import Capped, Finding, capped
from aiops_pipelines.compliance.key_history import KeyHistory, NotInForce, key_history, may_change_keys
from aiops_pipelines.compliance.merkle import leaf_hash, roots_at
from aiops_pipelines.compliance.signed_note import NoteInvalid
from aiops_pipelines.compliance.tile_integrity import Rows, against_tiles, confirmed_size
from aiops_pipelines.wording import some

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"
SCHEMA: dict[str, Any] = {
    "system": pl.String,
    "entry_index": pl.Int64,
    "entry_id": pl.String,
    "kind": pl.String,
    "occurred_at": pl.Datetime("us", "UTC"),
    "leaf": pl.Binary,
    "leaf_hash": pl.Binary,
    "event_id": pl.String,
    "actor": pl.String,
    "model_served": pl.String,
    "prompt_version": pl.String,
    "index_version": pl.String,
    "latency_ms": pl.Int64,
    "cost_micro_usd": pl.Int64,
    "cost_status": pl.String,
    "input_commitment": pl.String,
    "output_commitment": pl.String,
    "pii_counts": pl.String,
    "summary": pl.String,
}


def verify(
    log: pl.DataFrame | Iterable[pl.DataFrame],
    checkpoints: Sequence[str],
    vkey: str,
    tiles: Mapping[str, bytes] | None = None,
) -> list[Finding]:
    """All that is wrong with one system's log; an empty list means intact up to the newest checkpoint.

    `log` has the columns of SCHEMA: a frame in any row order, or portions that follow one another by
    entry_index, null last, of which one is held at a time. `checkpoints` are signed notes of this log, `vkey`
    one of its verifier keys, `tiles` the contents of tile files by path. Raises ValueError for a frame of
    another schema.
    """
    read = _Read()
    for portion in [log] if isinstance(log, pl.DataFrame) else log:
        read.add(_typed(portion).sort("entry_index", nulls_last=True, maintain_order=True))
    rows = pl.concat(read.rows)
    placed = Rows(read.hashes, _ids(rows), max(read.hashes, default=-1) + 1)
    keys, findings = key_history(read.about_keys, vkey)
    signed, late, distrusted = _trusted(checkpoints, keys)
    findings += distrusted
    findings += _sequence(rows)
    findings += read.hashed_wrong.told("rows whose leaf does not hash to the stored leaf_hash")
    findings += read.columns_wrong.told("columns that differ from their leaf")
    findings += capped(_systems(rows), "entries of another system")
    if rows.height and not checkpoints:
        message = "No checkpoint was given: nothing shows that no entry was removed or rewritten."
        findings.append(Finding("warning", None, None, None, message))
    if tiles:  # before the roots, for tiles tell which entry it was
        findings += against_tiles(placed, signed, confirmed_size(placed.hashes, signed), tiles)
    return [*findings, *_roots(placed, signed), *_out_of_force(placed, late)]


KEPT = ("entry_index", "entry_id", "system")


@dataclass
class _Read:
    """What is kept of the rows that were gone through: KEPT of each, and the hash of its leaf."""

    rows: list[pl.DataFrame] = field(default_factory=lambda: [_kept(pl.DataFrame(schema=SCHEMA))])
    hashes: dict[int, bytes] = field(default_factory=dict)
    about_keys: list[tuple[int, bytes]] = field(default_factory=list)
    hashed_wrong: Capped = field(default_factory=Capped)
    columns_wrong: Capped = field(default_factory=Capped)

    def add(self, rows: pl.DataFrame) -> None:
        """Go through the next rows. Of several for one place the first stands for it."""
        leaves = rows["leaf"].to_list()
        hashes = [leaf_hash(data or b"") for data in leaves]
        for index, data, hashed in zip(rows["entry_index"], leaves, hashes, strict=True):
            if index is None or index < 0 or index in self.hashes:
                continue
            self.hashes[index] = hashed
            if may_change_keys(data or b""):
                self.about_keys.append((index, data))
        self.hashed_wrong.add(_stored_hashes(rows, hashes))
        self.columns_wrong.add(_columns(rows, leaves))
        self.rows.append(_kept(rows))


def _kept(rows: pl.DataFrame) -> pl.DataFrame:
    """Return KEPT as a copy: texts that are only selected keep those of whole rows, eight times as much."""
    return pl.DataFrame({name: pl.Series(rows[name].to_list(), dtype=SCHEMA[name]) for name in KEPT})


def _ids(rows: pl.DataFrame) -> Callable[[int], str | None]:
    """Return what looks up the id of the first row for a place."""
    placed = rows.drop_nulls("entry_index")

    def id_at(index: int) -> str | None:
        entry_id: str | None = placed["entry_id"][int(placed["entry_index"].search_sorted(index, "left"))]
        return entry_id

    return id_at


def _typed(log: pl.DataFrame) -> pl.DataFrame:
    for column, expected in SCHEMA.items():
        found = log.schema.get(column)
        zoned = isinstance(found, pl.Datetime) and found.time_unit == "us" and found.time_zone is not None
        if found != expected and not (column == "occurred_at" and zoned):
            raise ValueError(
                f"audit_log.{column} is {found or 'missing'} and should be {expected}: read it as such."
            )
    return log.select(*SCHEMA).with_columns(pl.col("occurred_at").dt.convert_time_zone("UTC"))


def _trusted(
    checkpoints: Sequence[str], keys: KeyHistory
) -> tuple[list[Checkpoint], list[NotInForce], list[Finding]]:
    signed: list[Checkpoint] = []
    late: list[NotInForce] = []
    findings: list[Finding] = []
    for position, note in enumerate(checkpoints):
        try:
            signed.append(keys.verify(note))
        except NotInForce as error:
            late.append(error)
        except NoteInvalid as error:
            findings.append(
                Finding("error", None, None, None, f"Checkpoint {position} cannot be trusted: {error}")
            )
    return sorted(signed, key=lambda checkpoint: checkpoint.size), late, findings


def _out_of_force(placed: Rows, late: Sequence[NotInForce]) -> Iterator[Finding]:
    """Name the checkpoints of keys that were not in force.

    One that was signed before its key was revoked, and says what the log says, is no forgery.
    """
    roots = roots_at(placed.hashes, [error.signed.size for error in late])
    for error in late:
        signed = error.signed
        before = signed.size <= error.honest and roots.get(signed.size) == signed.root
        said = "It proves nothing any more" if before else "Whoever has that key signed it"
        message = f"A checkpoint is not counted. {error} {said}."
        yield Finding("note" if before else "error", None, None, None, message)


def _sequence(rows: pl.DataFrame) -> list[Finding]:
    def places() -> Iterator[Finding]:
        expected = 0
        for index, entry_id in rows.select("entry_index", "entry_id").iter_rows():
            if index is None or index < 0:
                yield Finding(
                    "error", index, entry_id, "entry_index", f"{entry_id} has the entry_index {index}."
                )
            elif index < expected:
                yield Finding(
                    "error", index, entry_id, "entry_index", f"Entry {index} is there more than once."
                )
            else:
                if index > expected:
                    yield _gap(expected, index - 1)
                expected = index + 1

    def twice() -> Iterator[Finding]:
        seen: dict[str | None, int | None] = {}
        repeated = rows.filter(pl.col("entry_id").is_duplicated())
        for index, entry_id in repeated.select("entry_index", "entry_id").iter_rows():
            if entry_id in seen:
                message = f"Entry {index} has the id {entry_id} of entry {seen[entry_id]}."
                yield Finding("error", index, entry_id, "entry_id", message)
            seen.setdefault(entry_id, index)

    return [*capped(places(), "gaps and repeated places"), *capped(twice(), "repeated ids")]


def _gap(start: int, end: int) -> Finding:
    which = f"Entry {start} is" if start == end else f"Entries {start} to {end} ({end - start + 1:,}) are"
    return Finding("error", start, None, "entry_index", f"{which} missing.")


def _stored_hashes(rows: pl.DataFrame, hashes: Sequence[bytes]) -> Iterator[Finding]:
    differs = rows["leaf"].is_null() | rows["leaf_hash"].ne_missing(pl.Series(hashes, dtype=pl.Binary))
    for index, entry_id in rows.filter(differs).select("entry_index", "entry_id").iter_rows():
        message = (
            f"Entry {index} ({entry_id}): the leaf does not hash to its leaf_hash; one of them was edited."
        )
        yield Finding("error", index, entry_id, "leaf", message)


def _columns(rows: pl.DataFrame, leaves: Sequence[bytes | None]) -> Iterator[Finding]:
    stored = rows.select(PROJECTED).with_columns(pl.col("occurred_at").dt.strftime(TIME_FORMAT)).iter_rows()
    for index, data, row in zip(rows["entry_index"], leaves, stored, strict=True):
        try:
            expected = projection(leaf.decode(data or b""))
        except leaf.LeafInvalid as error:
            message = f"Entry {index} ({row[1]}) has no readable leaf: {error}"
            yield Finding("error", index, row[1], "leaf", message)
            continue
        if row != expected:
            for column, value, said in zip(PROJECTED, row, expected, strict=True):
                if value != said:
                    message = f"{column} of entry {index} ({row[1]}) is {value!r} and its leaf says {said!r}."
                    yield Finding("error", index, row[1], column, message)


def _systems(rows: pl.DataFrame) -> Iterator[Finding]:
    if rows.is_empty():
        return
    usual = rows["system"].mode().sort()[0]
    strangers = rows.filter(pl.col("system").ne_missing(usual)).select("entry_index", "entry_id", "system")
    for index, entry_id, system in strangers.iter_rows():
        message = f"Entry {index} ({entry_id}) is of another system, {system}."
        yield Finding("error", index, entry_id, "system", message)


def _roots(placed: Rows, signed: Sequence[Checkpoint]) -> Iterator[Finding]:
    roots = roots_at(placed.hashes, [checkpoint.size for checkpoint in signed])
    confirmed = wrong = 0
    for checkpoint in signed:
        if roots.get(checkpoint.size) == checkpoint.root:
            confirmed = checkpoint.size
        elif checkpoint.size in roots and (wrong := wrong + 1) == 1:
            where = (
                f"an entry from {confirmed} to {checkpoint.size - 1} was edited, inserted, removed or moved"
            )
            message = f"The root of the first {checkpoint.size:,} entries is not the signed one: {where}."
            yield Finding("error", None, None, None, message)
    if wrong > 1:
        message = (
            f"{some(wrong - 1, 'later checkpoint')} sign{'s' if wrong == 2 else ''} another root as well."
        )
        yield Finding("error", None, None, None, message)
    if signed and (lost := signed[-1].size - placed.end) > 0:
        what = f"{lost:,} {'entry' if lost == 1 else 'entries'} lost"
        message = f"{what}: a checkpoint signs {signed[-1].size:,} and the log ends after {placed.end:,}."
        yield Finding("error", placed.end, None, None, message)
