"""Which embedding model and chunking each system's index is made with, and the models themselves.

A system's file says what a new system starts with; from then on `rag.active_indexes` says what is in force.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl

from aiops_pipelines.periods import EPOCH, midnight
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.rag.index_settings import Index
from aiops_pipelines.rag.recipes import Recipe, recipe, recipe_at, served_versions
from aiops_pipelines.resources.embedder import MODELS, Embedder, EmbedderError, embedder
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

ACTIVE, MIGRATIONS = "rag.active_indexes", "rag.migrations"
WARM = timedelta(days=14)
"""How long the recipe before is kept level with the corpus after a switch, so that rolling back is whole."""


def configured(index: Index) -> Recipe:
    """Return the recipe that a system's file names."""
    given = index.embedding
    stored = given if isinstance(given, str) else given.model_dump_json(by_alias=True)
    return Recipe(
        stored, embedder(given).space.version, Chunking(index.chunk_characters, index.chunk_strategy)
    )


def file_differs(warehouse: Warehouse, system: System) -> str | None:
    """Say that a system's file names another recipe than the one in force, or nothing.

    Raises:
        EmbedderError: the model of its file cannot be used.
    """
    active = Recipes(warehouse).active(system.name)
    named = configured(system.index)
    if active is None or active.keys == named.keys:
        return None
    return (
        f"Its file asks for {embedder(system.index.embedding).name} and "
        f"{named.chunking.described}, but the index in force is made otherwise; the file "
        f"counts for a new system only. To change to it: aiops migrate plan {system.name}"
    )


class Recipes:
    """The recipes of one installation; each model is made once."""

    def __init__(self, warehouse: Warehouse):
        self._warehouse = warehouse
        self._models: dict[str, Embedder] = {}

    def active(self, system: str) -> Recipe | None:
        """Return the recipe in force, or None for a system that was never indexed."""
        last = self._warehouse.rows(ACTIVE, system=system).sort("number").tail(1)
        return next((recipe(row) for row in last.iter_rows(named=True)), None)

    def first(self, system: System) -> Recipe:
        """Return the recipe in force; a system without one starts with that of its file.

        A system that was indexed before recipes were recorded keeps that of its newest index, unless no model
        known here has its space: nothing can be embedded in it any more.

        Raises:
            EmbedderError: the model of its file cannot be used.
        """
        if found := self.active(system.name):
            return found
        start = self._of_newest_index(system) or configured(system.index)
        model = self.model(start)
        row = (system.name, 1, midnight(EPOCH), model.name, start.embedding, start.embedding_version)
        chosen = (start.chunking.characters, start.chunking.version, None, "configuration", "The first one.")
        frame = pl.DataFrame([row + chosen], schema=self._warehouse.tables[ACTIVE].schema, orient="row")
        self._warehouse.replace(ACTIVE, frame, system=system.name)
        return start

    def of_state(
        self, system: System, begun: datetime | None, newest: bool, clock: datetime
    ) -> Iterator[tuple[Recipe, Embedder]]:
        """Yield the recipes, each with its model, that a state of the corpus is to be indexed by.

        The newest state: the recipe in force first, then those of open migrations and, for two weeks after a
        switch, the one before. An older one: the recipe in force when it began. What is not in force and has
        no model any more is left out, and its indexes stay as they are.

        Raises:
            EmbedderError: the model of the recipe in force is not here.
        """
        active = self._renewed(system, self.first(system), clock)
        if newest:
            yield active, self.model(active)
            others = self._beside(system, clock)
        else:
            switches = self._warehouse.rows(ACTIVE, system=system.name)
            others = [recipe_at(switches, begun or midnight(EPOCH)) or active]
        for one in others:
            if not (newest and one == active):
                with suppress(EmbedderError):
                    model = self.model(one)
                    yield one, model

    def _renewed(self, system: System, active: Recipe, clock: datetime) -> Recipe:
        """Return the recipe in force, switched to the rules of today where its own are gone."""
        if not active.chunking.gone:
            return active
        renewed = replace(active, chunking=active.chunking.renewed)
        switches = self._warehouse.rows(ACTIVE, system=system.name).sort("number")
        last = switches.tail(1)
        reason = f"Rules {active.chunking.version} are gone; {renewed.chunking.version} follow them."
        switch = last.with_columns(
            pl.col("number") + 1,
            since=pl.lit(clock, dtype=last.schema["since"]),
            chunker_version=pl.lit(renewed.chunking.version),
            migration_id=pl.lit(None, pl.String),
            decided_by=pl.lit("upgrade"),
            reason=pl.lit(reason),
        )
        self._warehouse.replace(ACTIVE, pl.concat([switches, switch]), system=system.name)
        return renewed

    def _beside(self, system: System, clock: datetime) -> list[Recipe]:
        built = self._warehouse.rows(MIGRATIONS, system=system.name, status="built").sort("started_at")
        kept = [recipe(row) for row in built.iter_rows(named=True)]
        switches = self._warehouse.rows(ACTIVE, system=system.name).sort("number")
        if switches.height > 1 and clock - self._switched_at(system.name) <= WARM:
            kept.append(recipe(switches.row(-2, named=True)))
        return list(dict.fromkeys(kept))

    def served(self, system: str) -> pl.DataFrame:
        """Return the rows of `rag.index_versions` that were ever served, from when each was."""
        versions = self._warehouse.rows("rag.index_versions", system=system)
        return served_versions(versions, self._warehouse.rows(ACTIVE, system=system))

    def model(self, wanted: Recipe) -> Embedder:
        """Return the model of a recipe.

        Raises:
            EmbedderError: what has this name now is another model than the one of the recipe's space, or
                nothing can be cut by its rules any more.
        """
        if rules := wanted.chunking.gone:
            raise EmbedderError(f"Nothing is cut by the rules {rules} any more; migrate: aiops migrate plan.")
        model = self._made(wanted.embedding)
        if model.space.version != wanted.embedding_version:
            raise EmbedderError(
                f"{model.name} as installed is {model.space.version}, the index was made with "
                f"{wanted.embedding_version}; install the package version it was made with, or migrate: "
                "aiops migrate plan."
            )
        return model

    def model_of(self, system: str, embedding_version: str) -> Embedder | None:
        """Return the model of a space that a system's indexes were made in, or None where none has it now."""
        given = [
            embedding
            for table in (ACTIVE, MIGRATIONS)
            for embedding in self._warehouse.rows(table, system=system)["embedding"].unique().sort()
        ]
        for name in dict.fromkeys([*given, *MODELS]):
            model = self._made(name)
            if model.space.version == embedding_version:
                return model
        return None

    def _made(self, embedding: str) -> Embedder:
        if embedding not in self._models:
            self._models[embedding] = embedder(embedding)
        return self._models[embedding]

    def _of_newest_index(self, system: System) -> Recipe | None:
        rows = self._warehouse.rows("rag.index_versions", system=system.name).sort("valid_from", "built_at")
        own = configured(system.index)
        for version, rules in rows.select("embedding_version", "chunker_version").tail(1).iter_rows():
            with suppress(ValueError):  # cut by rules that are gone
                chunking = Chunking.named(rules)
                for name in (own.embedding, *MODELS):
                    if self._made(name).space.version == version:
                        return Recipe(name, version, chunking)
        return None

    def _switched_at(self, system: str) -> datetime:
        moments = self._warehouse.rows(MIGRATIONS, system=system)["decided_at"].drop_nulls()
        latest = moments.max()
        return latest if isinstance(latest, datetime) else midnight(EPOCH)
