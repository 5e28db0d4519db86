"""From what an importer read to rows: what of a batch is stored, known or set aside.

Nothing here opens a file or a table. Personal data is masked here, before any row leaves.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import polars as pl

from aiops_pipelines.compliance.masking import masked_column, pseudonymised_column
from aiops_pipelines.compliance.privacy import TYPES, mask
from aiops_pipelines.inference_log.forgotten import forgotten
from aiops_pipelines.inference_log.plain_calls import PlainCalls
from aiops_pipelines.inference_log.priced_apart import with_priced_apart, with_stated_tier
from aiops_pipelines.inference_log.reading import Reading, log_file
from aiops_pipelines.inference_log.record import ANSWERED, SCHEMA, TOKEN_COLUMNS, Batch, Rejection
from aiops_pipelines.inference_log.redelivered import contradictions
from aiops_pipelines.inference_log.set_aside import QUARANTINE, aside_rows, refusal
from aiops_pipelines.inference_log.source import Source

AHEAD = timedelta(days=1)
"""How far a clock may run ahead of ours: a call dated later would be taken for weeks of silence before it."""
FREE_TEXT = ("query", "answer", "error_type", "endpoint", "user_group")
IDENTIFIERS = ("trace_id", "session_id", "user_id", "source_id")


@dataclass(frozen=True)
class Landing:
    """Rows to store: `inferences` and `quarantine` are new, `log_file` replaces the file's row.

    `known` counts calls that were there already, `refused` all lines that were set aside, by reason, `said`
    the scores on calls. `promised` is how many rows an export says its files hold, `forgotten` how many of
    the new calls are stored without texts and person, since these were erased before.
    """

    inferences: pl.DataFrame
    quarantine: pl.DataFrame
    log_file: pl.DataFrame
    reading: Reading
    ignored: Counter[str]
    known: int
    refused: Counter[str]
    said: int = 0
    promised: Mapping[str, int] = field(default_factory=dict)
    forgotten: int = 0


@dataclass
class Tally:
    """What came of some landings together."""

    stored: int = 0
    known: int = 0
    said: int = 0
    forgotten: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)

    def add(self, landing: Landing) -> None:
        """Count a landing in."""
        self.stored += landing.inferences.height
        self.known += landing.known
        self.said += landing.said
        self.forgotten += landing.forgotten
        self.refused.update(landing.refused)
        self.ignored.update(landing.ignored)

    def __str__(self) -> str:
        said = f"{self.stored} calls stored, {self.known} there already, {self.refused.total()} set aside"
        return f"{said}, {self.forgotten} of erased people without texts" if self.forgotten else said


def land(
    batch: Batch,
    reading: Reading,
    source: Source,
    known_ids: Collection[str] = (),
    known_rejections: Collection[str] = (),
    plain: PlainCalls | None = None,
    stored: pl.DataFrame | None = None,
) -> Landing:
    """Turn a batch into rows: each event id once, personal data masked, every line that is left out counted.

    Args:
        batch: what the importer read.
        reading: how far the file is read after this batch, with the counts of the batches before it.
        source: system, format, time and key.
        known_ids: event ids that are stored already; those of this batch suffice.
        known_rejections: line hashes of this file that are in the quarantine already; they are counted again,
            not stored again.
        plain: calls of the same lines that were read by the column, if any were.
        stored: the rows of `known_ids`, which calls that come again must not contradict.
    """
    plain = plain or PlainCalls.together([])
    calls = plain.beside(batch.records).calls
    kept, known, refused = first_of_each(calls, known_ids)
    ahead = _ahead(kept, source.present)
    if ahead:
        kept = kept.filter(pl.col("occurred_at") <= source.present + AHEAD)
    others = _contradicting(calls, stored, source)
    known -= len(others)
    rejections = [*batch.rejections, *sorted([*refused, *others, *ahead], key=lambda one: one.line)]
    aside = [
        row
        for row in aside_rows(rejections, reading.file.name, source)
        if row["line_hash"] not in known_rejections
    ]
    reading = replace(
        reading,
        rows_stored=reading.rows_stored + kept.height,
        rows_known=reading.rows_known + known,
        rows_quarantined=reading.rows_quarantined + len(rejections),
    )
    new = protected(with_stated_tier(with_priced_apart(kept)), source).with_columns(answered=ANSWERED)
    new, of_erased = forgotten(new, batch.traces, source)
    new = new.with_columns(
        system=pl.lit(source.system),
        source_format=pl.lit(source.format),
        source_file=pl.lit(reading.file.name),
        ingested_at=pl.lit(source.now, dtype=SCHEMA["ingested_at"]),
    )
    return Landing(
        new.select(SCHEMA.names()),
        pl.DataFrame(aside, schema=QUARANTINE, orient="row"),
        log_file(reading, source),
        reading,
        batch.ignored + plain.ignored,
        known,
        Counter(rejection.reason for rejection in rejections),
        len(batch.feedback),
        batch.promised,
        of_erased,
    )


def for_expectations(inferences: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with `tokens_sum` and `tokens_total_stated`, equal or both null where ambiguous."""
    stated = pl.col("token_convention") != "ambiguous"
    return inferences.with_columns(
        tokens_sum=pl.when(stated).then(pl.sum_horizontal(TOKEN_COLUMNS, ignore_nulls=False)),
        tokens_total_stated=pl.when(stated).then("tokens_total"),
    )


def first_of_each(
    calls: pl.DataFrame, known_ids: Collection[str]
) -> tuple[pl.DataFrame, int, list[Rejection]]:
    """Keep the first call of each event id; the rest is known, or refused if it says something else."""
    total = calls.height
    if known_ids:
        calls = calls.filter(~pl.col("event_id").is_in(pl.Series(list(known_ids), dtype=pl.String).implode()))
    known = total - calls.height
    refused = []
    suspects = calls.filter(pl.col("event_id").str.contains("@", literal=True))
    if named := [row for row in suspects.rows(named=True) if mask(row["event_id"], ())[1]["EMAIL"]]:
        reason = "event_id holds an e-mail address; identify calls by something that names nobody."
        refused = [refusal(row, reason) for row in named]
        calls = calls.filter(
            ~pl.col("event_id").is_in(pl.Series([row["event_id"] for row in named]).implode())
        )
    again = calls.filter(~pl.col("event_id").is_first_distinct())
    if again.height:
        first = calls.filter(pl.col("event_id").is_first_distinct())
        same = first.filter(pl.col("event_id").is_in(again["event_id"].unique().implode()))
        kept = {row["event_id"]: row for row in same.rows(named=True)}
        for row in again.iter_rows(named=True):
            if kept[row["event_id"]] | {"source_line": 0} == row | {"source_line": 0}:
                known += 1
            else:
                refused.append(refusal(row, "same event_id, other content"))
        calls = first
    return calls, known, refused


def _ahead(calls: pl.DataFrame, present: datetime) -> list[Rejection]:
    """Return the calls that are dated more than a day after the present."""
    late = calls.filter(pl.col("occurred_at") > present + AHEAD)
    reason = "occurred_at lies more than a day ahead; the clock of the source is wrong."
    return [refusal(row, reason) for row in late.rows(named=True)]


def _contradicting(calls: pl.DataFrame, stored: pl.DataFrame | None, source: Source) -> list[Rejection]:
    """Return the calls that say something else than what is stored under their ids."""
    if stored is None or stored.is_empty():
        return []
    again = calls.join(stored, on="event_id", how="semi", maintain_order="left")
    masked = protected(again, source)
    differs = contradictions(masked, stored, source.format)
    if differs.list.len().sum():  # or what is masked now was none yet when it was stored
        stored = protected(stored, source)
        differs = contradictions(_untyped(masked), _untyped(stored), source.format)
    said = again.with_columns(differs)
    return [
        refusal(
            {name: row[name] for name in ("event_id", *row["differs"], "source_line")},
            f"stored already with another {', '.join(row['differs'])}",
        )
        for row in said.filter(pl.col("differs").list.len() > 0).rows(named=True)
    ]


def _untyped(calls: pl.DataFrame) -> pl.DataFrame:
    """Return masked calls without the types of what was masked: a number may have been taken for another."""
    return calls.with_columns(pl.col(FREE_TEXT).str.replace_all(rf"\[(?:{'|'.join(TYPES)})\]", "[]"))


def protected(calls: pl.DataFrame, source: Source) -> pl.DataFrame:
    """Return the calls with personal data masked, and what was masked counted by call in `pii_counts`."""
    found: dict[int, Counter[str]] = {}
    columns = [masked_column(calls[name], source.regions, found) for name in FREE_TEXT]
    columns += [pseudonymised_column(calls[name], source.key, found, source.regions) for name in IDENTIFIERS]
    # Bare counts must not be taken for national phone numbers.
    columns.append(masked_column(calls["usage_raw"], (), found))
    columns.append(_masked_verdicts(calls["guardrail_events"], source.regions, found))
    counts = ["{}"] * calls.height
    for row, hits in found.items():
        counts[row] = json.dumps(dict(sorted(hits.items())))
    return calls.with_columns(*columns, pii_counts=pl.Series(counts, dtype=pl.String))


def _masked_verdicts(
    verdicts: pl.Series, regions: Sequence[str], found: dict[int, Counter[str]]
) -> pl.Series:
    if verdicts.list.len().sum() == 0:
        return verdicts
    rows = verdicts.to_list()
    for row, entries in enumerate(rows):
        for entry in entries or ():
            for name, text in entry.items():
                entry[name], hits = mask(text, regions) if text else (text, Counter[str]())
                if hits:
                    found.setdefault(row, Counter()).update(hits)
    return pl.Series(verdicts.name, rows, dtype=verdicts.dtype)
