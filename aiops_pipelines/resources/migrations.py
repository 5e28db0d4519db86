"""Migrations of an index to another embedding model or chunking: shadow build, comparison, switch, way back.

What makes one index as good as another is `rag.migration`. Nothing that is served changes before the switch,
which is one row in one transaction.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import polars as pl

from aiops_pipelines.rag import migration
from aiops_pipelines.rag.recipes import Recipe, recipe
from aiops_pipelines.resources import query_file
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.canaries import Canaries
from aiops_pipelines.resources.comparison import compare_indexes
from aiops_pipelines.resources.embedder import Embedder, EmbedderError
from aiops_pipelines.resources.index_book import IndexBook
from aiops_pipelines.resources.pace import Tell, quiet
from aiops_pipelines.resources.recipes import ACTIVE, MIGRATIONS, Recipes, configured
from aiops_pipelines.resources.shadow import embed_shadow, newest_snapshot
from aiops_pipelines.resources.switches import Decided, MigrationRefused, described, framed, switch
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

VERDICTS = "rag.migration_verdicts"
ROUNDS = 10
"""How often the corpus may move while a shadow is being built before it is said to move too fast."""
OPEN = ("building", "built")
Row = Mapping[str, Any]

__all__ = ["MigrationRefused", "Migrations", "described"]


class Migrations:
    """The migrations of one installation."""

    def __init__(self, warehouse: Warehouse, recipes: Recipes, book: AuditBook):
        self.recipes = recipes
        self._warehouse, self._book = warehouse, book

    def target(
        self,
        system: System,
        embedding: str | None,
        chunk_characters: int | None,
        chunk_strategy: str | None = None,
    ) -> Recipe:
        """Return the recipe to migrate to; what is not given is the system file's.

        With nothing given, an open migration goes on.

        Raises:
            MigrationRefused: that recipe is in force.
            EmbedderError: no model has this name.
        """
        row = self.latest(system.name)
        given = {"embedding": embedding, "chunk_characters": chunk_characters}
        given |= {"chunk_strategy": chunk_strategy}
        asked = {name: value for name, value in given.items() if value is not None}
        if not asked and row and row["status"] in OPEN:
            return recipe(dict(row))
        wanted = configured(system.index.model_copy(update=asked))
        self._refuse_the_same(system, wanted)
        return wanted

    def switches(self, system: str) -> Sequence[Row]:
        """Return every recipe that was in force, the last one being so now."""
        return self._warehouse.rows(ACTIVE, system=system).sort("number").to_dicts()

    def latest(self, system: str) -> Row | None:
        """Return the newest migration of a system, or None."""
        rows = self._warehouse.rows(MIGRATIONS, system=system).sort("started_at", "migration_id").tail(1)
        return next(rows.iter_rows(named=True), None)

    def verdicts(self, system: str, migration_id: str) -> Sequence[Row]:
        """Return what the last comparison of a migration found."""
        rows = self._warehouse.rows(VERDICTS, system=system, migration_id=migration_id)
        return rows.sort("sample", "measure").to_dicts()

    def start(
        self,
        system: System,
        target: Recipe,
        clock: datetime,
        tell: Tell = quiet,
        run: str = "aiops migrate start",
    ) -> Row:
        """Build the index of another recipe beside the one in force and compare them; return the migration.

        The same call goes on with a build that was killed. A migration to something else that is still open
        is abandoned; its vectors stay. When the corpus moves meanwhile, both indexes follow until it rests.
        `run` names the run that builds, so that an answer can be traced.

        Raises:
            MigrationRefused: the recipe is in force, or the corpus moves too fast.
            CorpusError: no document can be read.
            EmbedderError: a model cannot be used.
        """
        active = self._refuse_the_same(system, target)
        model = self.recipes.model(target)
        canaries, followed = Canaries(self._warehouse), [(target, model)]
        canaries.check(model, clock)
        with suppress(EmbedderError):  # where the old model is gone, its index stays as it is
            followed.insert(0, (active, canaries.watching(self.recipes.model(active), clock)))
        row = self._opened(system, active, target, clock)
        for _ in range(ROUNDS):
            embed_shadow(self._warehouse, system, model, target.chunking, clock, tell)
            if not any(self._moved(system, one, its_model, clock, run) for one, its_model in followed):
                break
        else:
            raise MigrationRefused(
                f"The corpus of {system.name} changed {ROUNDS} times while its shadow index was built; start "
                "again when it rests. What is embedded stays."
            )
        self._keep(row | {"status": "built", "built_at": clock})
        self.compare(system, clock, again=True, tell=tell)
        return self._open(system)

    def compare(
        self, system: System, clock: datetime, again: bool = False, tell: Tell = quiet
    ) -> Sequence[Row]:
        """Compare the index in force with the shadow index, unless these two were; return verdicts.

        `tell` is told which known queries cannot be asked.
        """
        for sentence in query_file.load(self._warehouse, system):
            tell(sentence)
        row = self._open(system)
        before, after = self._pair(system, row)
        done = self.verdicts(system.name, row["migration_id"])
        pair = {"index_before": before["index_version"], "index_after": after["index_version"]}
        if done and not again and all(pair.items() <= one.items() for one in done):
            return done
        found = compare_indexes(self._warehouse, system, before, after, clock)
        keys = {"system": system.name, "migration_id": row["migration_id"]}
        same = {name: pl.lit(value) for name, value in (keys | pair).items()}
        frame = found.with_columns(**same, margin=pl.lit(system.limits.margin), compared_at=pl.lit(clock))
        self._warehouse.replace(VERDICTS, frame, **keys)
        return self.verdicts(**keys)

    def promote(self, system: System, by: str, reason: str, force: bool, clock: datetime) -> Row:
        """Serve the shadow index from now on: one row in one transaction; return the switch.

        Raises:
            MigrationRefused: nothing is built, the shadow is behind the corpus, or it is not shown to be as
                good and nobody takes that on himself.
        """
        row = self._open(system)
        verdicts = self.compare(system, clock)
        found = migration.decision([one for one in verdicts if one["sample"] == migration.KNOWN])
        if found != migration.NOT_INFERIOR and not force:
            told = [one["reason"] for one in verdicts if one["sample"] == migration.KNOWN]
            said = " ".join(dict.fromkeys(told))
            raise MigrationRefused(
                f"The new index of {system.name} is not shown to be as good: {said} To serve it all the "
                "same: --force --reason TEXT --by NAME."
            )
        if force and not (reason.strip() and by.strip()):
            raise MigrationRefused("Against the gate a migration takes a --reason and a name, --by.")
        text = reason.strip() or f"The comparison says {found}."
        details = {one["measure"]: one["reason"] for one in verdicts} | {"forced": str(force)}
        decided = Decided("promoted", by, text, details)
        return self._switch(system, row, recipe(dict(row)), decided, clock)

    def rollback(self, system: System, by: str, reason: str, clock: datetime) -> Row:
        """Serve the index from before the last switch again; return the switch. Nothing is built.

        Raises:
            MigrationRefused: the last switch was none or was rolled back already, or no model has the space
                of the index before any more.
        """
        switches = self._warehouse.rows(ACTIVE, system=system.name).sort("number")
        row = self.latest(system.name)
        if switches.height < 2 or switches["migration_id"][-1] is None:
            raise MigrationRefused(f"{system.name} was never migrated, so there is nothing to roll back.")
        undone = self._warehouse.rows(
            MIGRATIONS, system=system.name, migration_id=switches["migration_id"][-1]
        ).row(0, named=True)
        if undone["status"] != "promoted":
            raise MigrationRefused(f"Migration {undone['migration_id']} is {undone['status']} already.")
        back = recipe(switches.row(-2, named=True))
        if self._gone(back):
            raise MigrationRefused(
                f"{system.name} cannot be rolled back: the index before was made in "
                f"{back.embedding_version} by {back.chunking.version}, and no model here has that space or "
                "nothing is cut by these rules any more. Install the package version that had them, or "
                "migrate on: aiops migrate plan."
            )
        if row and row["status"] in OPEN:
            self._keep(dict(row) | {"status": "abandoned", "decided_at": clock})
        decided = Decided("rolled back", by, reason.strip() or "Rolled back.")
        return self._switch(system, undone, back, decided, clock)

    def _refuse_the_same(self, system: System, target: Recipe) -> Recipe:
        """Return the recipe in force, unless the target is just that."""
        active = self.recipes.first(system)
        if target.keys == active.keys:
            raise MigrationRefused(
                f"{system.name} is served with {described(active)} already; name another "
                "--embedding, --chunk-characters or --chunk-strategy, or change index in its file."
            )
        return active

    def _open(self, system: System) -> Row:
        row = self.latest(system.name)
        if row is None or row["status"] not in OPEN:
            raise MigrationRefused(f"No migration of {system.name} is open; aiops migrate start begins one.")
        if row["status"] == "building":
            raise MigrationRefused(
                f"The shadow index of {system.name} is not whole yet; aiops migrate start goes on with it."
            )
        return row

    def _opened(self, system: System, active: Recipe, target: Recipe, clock: datetime) -> dict[str, Any]:
        row = self.latest(system.name)
        if row and row["status"] in OPEN:
            if recipe(dict(row)).keys == target.keys:
                return dict(row)
            self._keep(dict(row) | {"status": "abandoned", "decided_at": clock})
        number = self._warehouse.rows(MIGRATIONS, system=system.name).height + 1
        old = {f"previous_{name}": value for name, value in active.keys.items()}
        new: dict[str, Any] = {
            **target.keys,
            "embedding": target.embedding,
            "model": self.recipes.model(target).name,
        }
        new |= {"chunk_characters": target.chunking.characters, **old}
        times = {"started_at": clock, "built_at": None, "decided_at": None}
        return self._keep(
            {"system": system.name, "migration_id": f"mg-{number}", "status": "building", **new, **times}
        )

    def _moved(self, system: System, wanted: Recipe, model: Embedder, clock: datetime, run: str) -> bool:
        """Bring one index level with the newest state of the corpus; say whether it was behind."""
        book, snapshot = IndexBook(self._warehouse), newest_snapshot(system, clock)
        done = book.update(system.name, snapshot, clock, model, wanted.chunking, quiet, run)
        return done.index.height > 0

    def _pair(self, system: System, row: Row) -> tuple[Row, Row]:
        """Return the rows of the index in force and of the shadow, both level with the corpus.

        An index whose model is gone stays where it was; then the shadow alone has to be level.
        """
        versions = self._warehouse.rows("rag.index_versions", system=system.name).sort(
            "valid_from", "built_at"
        )
        active = self.recipes.first(system)
        before = versions.filter(**active.keys).row(-1, named=True)
        level = before["revision"]
        if self._gone(active):
            seen = self._warehouse.rows("rag.corpus_revisions", system=system.name).sort("valid_from")
            level = seen["revision"][-1]
        after = versions.filter(**recipe(dict(row)).keys, revision=level)
        if after.is_empty():
            raise MigrationRefused(
                f"The corpus of {system.name} has moved on from its shadow index; aiops migrate start brings "
                "it level."
            )
        return before, after.row(-1, named=True)

    def _gone(self, wanted: Recipe) -> bool:
        """Say that no model here has the space of a recipe any more."""
        try:
            self.recipes.model(wanted)
        except EmbedderError:
            return True
        return False

    def _switch(self, system: System, row: Row, wanted: Recipe, decided: Decided, clock: datetime) -> Row:
        model = self.recipes.model(wanted)
        return switch(self._warehouse, self._book, system, row, wanted, model.name, decided, clock)

    def _keep(self, row: Mapping[str, Any]) -> dict[str, Any]:
        keys = {"system": row["system"], "migration_id": row["migration_id"]}
        self._warehouse.replace(MIGRATIONS, framed(self._warehouse, MIGRATIONS, row), **keys)
        return dict(row)
