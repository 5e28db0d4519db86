"""Is the audit log intact: rows against leaves, and leaves against signed roots and tiles.

Everything is recomputed from the leaf bytes; stored hashes and columns are claims to check. A log can show
that an entry was edited, inserted, removed or moved. It cannot show what never reached it, nor vouch for
entries after its newest checkpoint.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.audit_entry import PROJECTED, projection
from aiops_pipelines.compliance.checkpoint import Checkpoint
from aiops_pipelines.compliance.finding import Finding, capped
from aiops_pipelines.compliance.key_history import KeyHistory, NotInForce, key_history
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
    log: pl.DataFrame, checkpoints: Sequence[str], vkey: str, tiles: Mapping[str, bytes] | None = None
) -> list[Finding]:
    """All that is wrong with one system's log; an empty list means intact up to the newest checkpoint.

    `log` has the columns of SCHEMA, in any row order; `checkpoints` are signed notes of this log, `vkey` one
    of its verifier keys, `tiles` the contents of tile files by path. Raises ValueError for a frame of another
    schema.
    """
    rows = _typed(log).sort("entry_index", nulls_last=True, maintain_order=True)
    indexes, ids, leaves = (rows[column].to_list() for column in ("entry_index", "entry_id", "leaf"))
    hashes = [leaf_hash(data or b"") for data in leaves]
    placed = _placed(indexes, ids, leaves, hashes)
    keys, findings = key_history(
        ((index, placed.leaves[index] or b"") for index in sorted(placed.leaves)), vkey
    )
    signed, late, distrusted = _trusted(checkpoints, keys)
    findings += distrusted
    findings += _sequence(indexes, ids)
    findings += capped(_stored_hashes(rows, hashes), "rows whose leaf does not hash to the stored leaf_hash")
    findings += capped(_columns(rows, leaves), "columns that differ from their leaf")
    findings += capped(_systems(rows), "entries of another system")
    if rows.height and not checkpoints:
        message = "No checkpoint was given: nothing shows that no entry was removed or rewritten."
        findings.append(Finding("warning", None, None, None, message))
    if tiles:  # before the roots, for tiles tell which entry it was
        findings += against_tiles(placed, signed, confirmed_size(placed.hashes, signed), tiles)
    return [*findings, *_roots(placed, signed), *_out_of_force(placed, late)]


def _placed(
    indexes: Sequence[int | None],
    ids: Sequence[str | None],
    leaves: Sequence[bytes | None],
    hashes: Sequence[bytes],
) -> Rows:
    # Backwards, so that of several rows for one place the first stands for it.
    order = [
        row for row in reversed(range(len(indexes))) if (indexes[row] or 0) >= 0 and indexes[row] is not None
    ]
    places = [indexes[row] or 0 for row in order]
    return Rows(
        ids=dict(zip(places, (ids[row] for row in order), strict=True)),
        leaves=dict(zip(places, (leaves[row] for row in order), strict=True)),
        hashes=dict(zip(places, (hashes[row] for row in order), strict=True)),
        end=max(places, default=-1) + 1,
    )


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


def _sequence(indexes: Sequence[int | None], ids: Sequence[str | None]) -> list[Finding]:
    def places() -> Iterator[Finding]:
        expected = 0
        for index, entry_id in zip(indexes, ids, strict=True):
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
        for index, entry_id in zip(indexes, ids, strict=True):
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
