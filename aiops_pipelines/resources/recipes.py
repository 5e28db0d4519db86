"""Which embedding model and chunking each system's index is made with, and the models themselves.

A system's file says what a new system starts with; from then on `rag.active_indexes` says what is in force.
"""

from datetime import datetime, timedelta

import polars as pl

from aiops_pipelines.periods import EPOCH, midnight
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.rag.recipes import Recipe, recipe, recipe_at, served_versions
from aiops_pipelines.resources.embedder import MODELS, Embedder, EmbedderError, embedder
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import Index, System

ACTIVE, MIGRATIONS = "rag.active_indexes", "rag.migrations"
WARM = timedelta(days=14)
"""How long the recipe before is kept level with the corpus after a switch, so that rolling back is whole."""


def configured(index: Index) -> Recipe:
    """Return the recipe that a system's file names."""
    given = index.embedding
    stored = given if isinstance(given, str) else given.model_dump_json(by_alias=True)
    return Recipe(stored, embedder(given).space.version, Chunking(index.chunk_characters))


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

        A system that was indexed before recipes were recorded keeps the one of its newest index.

        Raises:
            EmbedderError: the newest index was made with a model that is not known here.
        """
        if found := self.active(system.name):
            return found
        newest = self._warehouse.rows("rag.index_versions", system=system.name).sort("built_at").tail(1)
        start = self._of_index(newest) if newest.height else configured(system.index)
        model = self.model(start)
        row = (system.name, 1, midnight(EPOCH), model.name, start.embedding, start.embedding_version)
        chosen = (start.chunking.characters, start.chunking.version, None, "configuration", "The first one.")
        frame = pl.DataFrame([row + chosen], schema=self._warehouse.tables[ACTIVE].schema, orient="row")
        self._warehouse.replace(ACTIVE, frame, system=system.name)
        return start

    def at(self, system: str, moment: datetime) -> Recipe | None:
        """Return the recipe in force at a moment, or None for a system that was never indexed."""
        return recipe_at(self._warehouse.rows(ACTIVE, system=system), moment)

    def kept_level(self, system: System, clock: datetime) -> list[Recipe]:
        """Return the recipes to bring level with the corpus: in force first, then shadows and the last."""
        kept = [self.first(system)]
        for row in self._warehouse.rows(MIGRATIONS, system=system.name).iter_rows(named=True):
            if row["status"] == "built":
                kept.append(recipe(row))
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
            EmbedderError: what has this name now is another model than the one of the recipe's space.
        """
        model = self._models.setdefault(wanted.embedding, embedder(wanted.embedding))
        if model.space.version != wanted.embedding_version:
            raise EmbedderError(
                f"{model.name} as installed is {model.space.version}, the index was made with "
                f"{wanted.embedding_version}; install the package version it was made with, or migrate: "
                "aiops migrate plan."
            )
        return model

    def model_of(self, system: str, embedding_version: str) -> Embedder:
        """Return the model of an embedding space that a system's indexes were made in.

        Raises:
            EmbedderError: no model known here has this space.
        """
        for table in (ACTIVE, MIGRATIONS):
            rows = self._warehouse.rows(table, system=system, embedding_version=embedding_version)
            for row in rows.head(1).iter_rows(named=True):
                return self.model(recipe(row))
        return self.model(Recipe(_named(embedding_version), embedding_version, Chunking()))

    def _of_index(self, newest: pl.DataFrame) -> Recipe:
        version, rules = newest.select("embedding_version", "chunker_version").row(0)
        size = rules.removeprefix(Chunking().version).removeprefix("-")
        return Recipe(_named(version), version, Chunking(int(size)) if size else Chunking())

    def _switched_at(self, system: str) -> datetime:
        moments = self._warehouse.rows(MIGRATIONS, system=system)["decided_at"].drop_nulls()
        latest = moments.max()
        return latest if isinstance(latest, datetime) else midnight(EPOCH)


def _named(embedding_version: str) -> str:
    for name, make in MODELS.items():
        if make().space.version == embedding_version:
            return name
    raise EmbedderError(
        f"No embedding model known here has the space {embedding_version}; restore its package or settings."
    )
