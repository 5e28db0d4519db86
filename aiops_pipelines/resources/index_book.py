"""The index of each system in the warehouse, brought up to date with its corpus.

What is wanted, new or different is decided in `rag`; here it is read, embedded and written. Vectors are kept
as they come; an index becomes visible as a whole or not at all.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from aiops_pipelines.periods import EPOCH, midnight
from aiops_pipelines.rag import reindex
from aiops_pipelines.rag.chunking import BY_STRUCTURE, Chunking
from aiops_pipelines.rag.legible import unreadable_to
from aiops_pipelines.rag.reindex_report import Report
from aiops_pipelines.rag.versions import index_version_id
from aiops_pipelines.resources import documents as corpora
from aiops_pipelines.resources.canaries import Canaries
from aiops_pipelines.resources.corpus_state import CorpusState, reader_version
from aiops_pipelines.resources.embedder import Embedder
from aiops_pipelines.resources.index_build import Build
from aiops_pipelines.resources.pace import CpuTime, Tell, quiet
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.screening import Screened, record, screen
from aiops_pipelines.resources.vectors import embed_missing
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.writer import Writer
from aiops_pipelines.systems import System

FIRST_SIGHT = midnight(EPOCH)
"""A plain folder has no history: its first state is taken to have stood since before the logs began."""


@dataclass(frozen=True)
class Update:
    """What an update did: the new row of `rag.index_versions`, if any, files set aside and figures."""

    index: pl.DataFrame
    skipped: tuple[corpora.Skipped, ...]
    report: Report
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """One index to bring up to date: for whom, with which state, when and how; `cpu` counts what it takes.

    `anew` reads and cuts everything, whatever is stored; only vectors that are there are kept.
    """

    system: str
    snapshot: corpora.Snapshot
    now: datetime
    model: Embedder
    chunking: Chunking
    tell: Tell
    run: str | None
    anew: bool = False
    cpu: CpuTime = field(default_factory=CpuTime)


@dataclass(frozen=True)
class Reindexed:
    """What bringing all states of a corpus up to date did."""

    index: pl.DataFrame
    skipped: Mapping[str, tuple[corpora.Skipped, ...]]
    report: Report
    warnings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def then(self, label: str, update: Update, beside: bool) -> "Reindexed":
        """Return this with the update of a later state added, or with one beside the last one's index."""
        skipped = {**self.skipped, label: update.skipped}
        warnings = {**self.warnings, label: update.warnings}
        report = self.report.beside(update.report) if beside else update.report.after(self.report)
        return Reindexed(pl.concat([self.index, update.index]), skipped, report, warnings)

    def problems(self) -> list[str]:
        """Return a sentence for each file that was not read, and what keeps others from being found."""
        kept = {True: "stays as it was indexed before", False: "is not indexed"}
        aside = [
            f"{label}/{file.document} {kept[file.standing]}. {file.reason}"
            for label, files in self.skipped.items()
            for file in files
        ]
        return aside + [f"{label}: {one}" for label, said in self.warnings.items() for one in said]


class IndexBook:
    """The indexes of one installation."""

    def __init__(self, warehouse: Warehouse):
        self._warehouse = warehouse
        self._tables = warehouse.tables

    def reindex(
        self,
        system: System,
        now: datetime,
        tell: Tell = quiet,
        run: str | None = None,
        anew: bool = False,
    ) -> Reindexed:
        """Bring a system's index up to date with every state of its corpus, the oldest first.

        Each state is indexed by the recipe in force at its time; beside the newest one's index those of open
        and of recent migrations follow. `run` names the run that does it, so that an answer can be traced.
        With `anew` everything is read and cut again, whatever is stored.

        Raises:
            CorpusError: a folder cannot be used; the states before it are done.
            EmbedderError: the model cannot be used, or is not what it was.
        """
        if system.corpus is None:
            raise corpora.CorpusError(
                "No corpus is configured, so nothing is indexed; add corpus to its file."
            )
        recipes, canaries = Recipes(self._warehouse), Canaries(self._warehouse)
        snapshots = corpora.snapshots(system.corpus, system.now(now))
        snapshots[-1] = self._in_force(system.name, snapshots, now)
        done = Reindexed(self._tables["rag.index_versions"].empty(), {}, Report())
        for snapshot in snapshots:
            beside = False
            for recipe, model in recipes.of_state(
                system, snapshot.valid_from, snapshot == snapshots[-1], now
            ):
                watched = canaries.watching(model, now)
                update = self.update(system.name, snapshot, now, watched, recipe.chunking, tell, run, anew)
                done, beside = done.then(snapshot.label, update, beside), True
        return done

    def _in_force(
        self, system: str, snapshots: Sequence[corpora.Snapshot], now: datetime
    ) -> corpora.Snapshot:
        """Return the newest state; it begins now where a later one was indexed that is no longer there."""
        newest, labels = snapshots[-1], {snapshot.label for snapshot in snapshots}
        history = self._warehouse.rows("rag.corpus_revisions", system=system).sort("valid_from")
        for last in history.tail(1).iter_rows(named=True):
            if newest.valid_from and newest.valid_from <= last["valid_from"] and last["label"] not in labels:
                return replace(newest, valid_from=now)
        return newest

    def update(
        self,
        system: str,
        snapshot: corpora.Snapshot,
        now: datetime,
        model: Embedder,
        chunking: Chunking = BY_STRUCTURE,
        tell: Tell = quiet,
        run: str | None = None,
        anew: bool = False,
    ) -> Update:
        """Bring the index up to date with one state of the corpus; nothing is read when no file moved.

        It is built in the space of `model` from chunks cut by `chunking`; an index of the same state in
        another space or by other rules does not count as built. `tell` is told how far long work has come.

        Raises:
            CorpusError: no document can be read; the index stays as it is.
            EmbedderError: the model cannot be used.
        """
        with self._warehouse.held(frugal=True):
            order = Order(system, snapshot, now, model, chunking, tell, run, anew)
            with order.cpu.of("reading"):
                files = self._warehouse.rows("rag.source_files", system=system)
                if anew:  # the time of no file is known, so each is opened
                    files = files.with_columns(modified_ns=pl.lit(None, pl.Int64))
                state = CorpusState(system, snapshot, files, self._tables["rag.source_files"], tell)
                history = self._warehouse.rows("rag.corpus_revisions", system=system).sort("valid_from")
            return self._bring(order, state, history)

    def _bring(
        self,
        order: Order,
        state: CorpusState,
        history: pl.DataFrame,
        screened: Screened | None = None,
        whole: Build | None = None,
    ) -> Update:
        """Bring one index level with a state; after screening, with that of the `whole` less what is held."""
        system, label, model, chunking = order.system, order.snapshot.label, order.model, order.chunking
        with order.cpu.of("reading"):
            seen = history.filter(label=label).tail(1)
            begun = order.snapshot.valid_from
            seen = seen.filter(pl.col("valid_from") >= begun) if begun else seen  # else it is back again
            same = seen.height > 0 and (not state.moved or seen["revision"][0] == state.revision)
            base = self._base(system, seen["revision"][0], model, chunking) if same else None
        made = (model.space.version, reader_version())
        standing = base and (base["embedding_version"], base["reader_version"]) == made
        current = base and base["valid_from"] >= seen["valid_from"][0]  # else it stood before
        if base and standing and current and not order.anew:
            return self._level(order, state, seen, base, screened)
        valid_from = begun or (order.now if history.height else FIRST_SIGHT)
        if same or (begun and seen.height):  # built anew or edited in place, so no new state in time
            valid_from = seen["valid_from"][0]
        origin = seen["revision"][0] if seen.height else _before(history, valid_from)
        if not base and whole and whole.origin == origin:
            base = whole.base
        elif not base and origin:
            base = self._base(system, origin, model, chunking)
        of = (self._warehouse, system, state, model, chunking, order.tell)
        build = Build(*of, origin, base, order.run, order.anew, whole)
        return self._carry_out(order, build, valid_from, history, screened)

    def _base(self, system: str, revision: str, model: Embedder, chunking: Chunking) -> dict[str, Any] | None:
        sql = (
            "select index_version, embedding_version, coalesce(reader_version, '') as reader_version, "
            "chunks, valid_from from rag.index_versions where system = ? and revision = ? "
            "and chunker_version = ? order by embedding_version = ? desc, built_at desc limit 1"
        )
        keys = [system, revision, chunking.version, model.space.version]
        return next(self._warehouse.read(sql, keys).iter_rows(named=True), None)

    def _level(
        self,
        order: Order,
        state: CorpusState,
        seen: pl.DataFrame,
        base: dict[str, Any],
        screened: Screened | None,
    ) -> Update:
        """Note the files that were touched, held or set aside, without a change to any document."""
        with order.cpu.of("writing"):
            if state.moved:
                system, label = order.system, order.snapshot.label
                keys = {"system": system, "revision": state.revision}
                noted = seen.with_columns(skipped=pl.lit(len(state.aside)))
                with self._warehouse.writing() as writer:
                    writer.replace(
                        "rag.corpus_revisions", noted, **keys, label=label, valid_from=seen["valid_from"][0]
                    )
                    self._note(writer, order, state, screened)
        documents = Counter({"unchanged": state.documents.height})
        counts = Counter(wanted=int(base["chunks"]), embedded=screened.embedded if screened else 0)
        report = Report(documents, chunks=counts, cpu_s=order.cpu.seconds)
        empty = self._tables["rag.index_versions"].empty()
        return Update(empty, state.skipped, report, _warnings(state, order.model))

    def _carry_out(
        self,
        order: Order,
        build: Build,
        valid_from: datetime,
        history: pl.DataFrame,
        screened: Screened | None,
    ) -> Update:
        cpu, now = order.cpu, order.now
        with cpu.of("chunking"):
            missing = build.missing()
        with cpu.of("embedding"):
            embedded = embed_missing(self._warehouse, build.model, missing, build.tell)
        if screened is None and build.state.moved:
            with cpu.of("writing"):  # what is written is looked at first
                screened = screen(build, now, embedded)
            if held := screened.held():
                rest = build.state.holding(held, build.stood)
                return self._bring(order, rest, history, screened, build)
        with cpu.of("chunking"):
            changes, before = build.changes(build.origin), _before(history, valid_from)
            dated = changes if before == build.origin else build.changes(before)
            new = build.new()
        embedded = screened.embedded if screened else embedded
        version = index_version_id(build.wanted, build.chunking.version, build.space)
        chunks = build.chunks.height
        sizes = (build.state.documents.height, chunks, new, now)
        identity = (build.system, version, build.state.revision, valid_from, build.chunking.version)
        index = self._row("rag.index_versions", (*identity, build.space, reader_version(), *sizes, build.run))
        with cpu.of("writing"):
            self._write(order, build, index, dated, screened)
        counts = Counter(wanted=chunks, new_texts=new, embedded=embedded, dropped=build.dropped())
        report = Report(*build.counts(changes), counts, cpu.seconds, (version,))
        return Update(index, build.state.skipped, report, _warnings(build.state, build.model))

    def _write(
        self,
        order: Order,
        build: Build,
        index: pl.DataFrame,
        changes: pl.DataFrame,
        screened: Screened | None,
    ) -> None:
        system, state, label = build.system, build.state, order.snapshot.label
        version, revision, valid_from = index.select("index_version", "revision", "valid_from").row(0)
        keys = {"system": system, "revision": revision}
        of = {name: pl.lit(value) for name, value in keys.items()}
        seen = (system, revision, label, valid_from, state.documents.height, len(state.aside))
        space = build.model.space
        registered = (space.version, space.provider, space.model, space.weights_hash, space.dimension)
        prefixes = (space.normalised, space.prefix, space.query_prefix)
        known_space = (*registered, *prefixes, build.chunking.version, index["built_at"][0])
        places = reindex.index_chunks(system, version, build.wanted)
        with self._warehouse.writing() as writer:
            if label == corpora.PLAIN:
                writer.delete("rag.corpus_revisions", **keys, valid_from=valid_from)
            else:  # a dated snapshot that was edited in place has one state, the latest
                writer.delete("rag.corpus_revisions", system=system, label=label, valid_from=valid_from)
            writer.append("rag.corpus_revisions", self._row("rag.corpus_revisions", seen))
            dated = changes.with_columns(**of, valid_from=pl.lit(valid_from))
            writer.replace("rag.corpus_changes", dated, **keys, valid_from=valid_from)
            writer.append("rag.chunks", reindex.chunks(system, build.untold, build.chunking))
            if not build.base or build.base["embedding_version"] != build.space:
                writer.append_new(
                    "rag.embedding_versions",
                    self._row("rag.embedding_versions", known_space),
                    ["embedding_version", "chunker_version"],
                )
            writer.replace("rag.index_chunks", places, system=system, index_version=version)
            writer.replace("rag.index_versions", index, **keys, index_version=version, valid_from=valid_from)
            self._note(writer, order, state, screened)

    def _note(self, writer: Writer, order: Order, state: CorpusState, screened: Screened | None) -> None:
        """Write what the source holds, with the times it says, and what of it was set aside or found."""
        keys = {"system": order.system, "revision": state.revision}
        of = {name: pl.lit(value) for name, value in keys.items()}
        writer.replace("rag.source_files", state.files, system=order.system, label=order.snapshot.label)
        writer.replace("rag.documents", state.documents.with_columns(**of), **keys)
        writer.replace("rag.skipped_documents", self._aside(keys, state), **keys)
        record(writer, self._tables, order.system, state, screened, order.now)

    def _aside(self, keys: dict[str, str], state: CorpusState) -> pl.DataFrame:
        rows = [(*keys.values(), file.document, file.reason) for file in state.aside]
        return self._row("rag.skipped_documents", *rows)

    def _row(self, table: str, *rows: tuple[object, ...]) -> pl.DataFrame:
        return pl.DataFrame(list(rows), schema=self._tables[table].schema, orient="row")


def _before(history: pl.DataFrame, valid_from: datetime) -> str | None:
    """Return the revision that stood before a moment, or nothing."""
    known = history.select("revision", "valid_from").iter_rows()
    return next((revision for revision, since in reversed([*known]) if since < valid_from), None)


def _warnings(state: CorpusState, model: Embedder) -> tuple[str, ...]:
    return tuple(unreadable_to(state.documents, model.name, model.languages))
