"""How an index is made, which way was in force when, and what was therefore served.

A recipe is an embedding space and the rules chunks are cut by. Recipes are switched by migrations
(`migration`); the names of spaces and indexes are `versions`.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from aiops_pipelines.rag.chunking import Chunking


@dataclass(frozen=True)
class Recipe:
    """How an index is made: the embedding model as a system's file gives it, its space and the chunking."""

    embedding: str
    embedding_version: str
    chunking: Chunking

    @property
    def keys(self) -> dict[str, str]:
        """The columns that tell indexes of this recipe from others."""
        return {"embedding_version": self.embedding_version, "chunker_version": self.chunking.version}


def recipe(row: dict[str, object]) -> Recipe:
    """Return the recipe that a row of `rag.active_indexes` or `rag.migrations` names."""
    chunking = Chunking.named(str(row["chunker_version"]))
    return Recipe(str(row["embedding"]), str(row["embedding_version"]), chunking)


def recipe_at(active: pl.DataFrame, moment: datetime) -> Recipe | None:
    """Return the recipe in force at a moment; before the first switch it is the first one's.

    Args:
        active: the `rag.active_indexes` rows of one system.
        moment: UTC-aware.
    """
    switches = active.sort("number")
    begun = switches.filter(pl.col("since") <= moment)
    rows = begun.tail(1) if begun.height else switches.head(1)
    return next((recipe(row) for row in rows.iter_rows(named=True)), None)


def served_versions(index_versions: pl.DataFrame, active: pl.DataFrame) -> pl.DataFrame:
    """Return the index versions that were ever served, `valid_from` being when each began to be.

    An index begins to be served when its corpus revision takes effect, or when its recipe is switched to,
    whichever is later; an index of a recipe that was not in force is left out, however new. Without any
    switch every index counts.

    Worked example: recipe A from 1 June, B from 10 July. A was built for revisions of 1 June and 1 July, B
    for that of 1 July: served are A of 1 June, A of 1 July, and B of 1 July from 10 July on.

    Args:
        index_versions: the `rag.index_versions` rows of one system.
        active: its `rag.active_indexes` rows.
    """
    switches = active.sort("number").to_dicts()
    found = [index_versions.clear()] if switches else [index_versions]
    for at, switch in enumerate(switches):
        end = switches[at + 1]["since"] if at + 1 < len(switches) else None
        own = index_versions.filter(
            pl.col("embedding_version") == switch["embedding_version"],
            pl.col("chunker_version") == switch["chunker_version"],
        ).sort("valid_from", "built_at")
        if end is not None:
            own = own.filter(pl.col("valid_from") < end)
        before = own.filter(pl.col("valid_from") <= switch["since"]).tail(1)
        begins = pl.lit(switch["since"], dtype=index_versions.schema["valid_from"]).alias("valid_from")
        found += [before.with_columns(begins) if at else before]
        found.append(own.filter(pl.col("valid_from") > switch["since"]))
    return pl.concat(found).sort("valid_from", "built_at", maintain_order=True)
