"""What one re-indexing did, in numbers: documents, chunks and the CPU time of each step."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import polars as pl

from aiops_pipelines.wording import count

DOCUMENTS = ("added", "edited", "renamed", "deleted", "unchanged")
CHUNKS = ("wanted", "new_texts", "embedded", "dropped")
STEPS = ("reading", "chunking", "embedding", "writing")


@dataclass(frozen=True)
class Report:
    """Counts by name; each document counts once, one that was renamed and edited as renamed.

    `wanted` are the distinct chunks of the index, `new_texts` those that no index in its space held before,
    `embedded` those embedded in this run (fewer, after one that was killed), `dropped` those of the index
    before that this one no longer holds.
    """

    documents: Counter[str] = field(default_factory=Counter)
    renamed_edited: int = 0
    chunks: Counter[str] = field(default_factory=Counter)
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    built: tuple[str, ...] = ()

    def after(self, before: Self) -> Self:
        """Return this report with that of an earlier state added; what stands now is the later's."""
        standing = {"unchanged"}
        documents = self.documents + Counter({k: n for k, n in before.documents.items() if k not in standing})
        chunks = self.chunks + Counter({k: n for k, n in before.chunks.items() if k != "wanted"})
        cpu_s, built = self._spent(before), before.built + self.built
        return type(self)(documents, self.renamed_edited + before.renamed_edited, chunks, cpu_s, built)

    def beside(self, other: Self) -> Self:
        """Return this report with what a second index of the same state took; its documents count once."""
        chunks = self.chunks + Counter({k: n for k, n in other.chunks.items() if k != "wanted"})
        built = self.built + other.built
        return type(self)(self.documents, self.renamed_edited, chunks, self._spent(other), built)

    def _spent(self, other: Self) -> dict[str, float]:
        return {name: self.cpu_s.get(name, 0.0) + other.cpu_s.get(name, 0.0) for name in STEPS}

    def as_data(self) -> dict[str, Any]:
        """Return plain data with every name present."""
        return {
            "documents": {name: self.documents[name] for name in DOCUMENTS},
            "chunks": {name: self.chunks[name] for name in CHUNKS},
            "cpu_s": {name: round(self.cpu_s.get(name, 0.0), 4) for name in STEPS},
            "renamed_edited": self.renamed_edited,
            "index_versions": list(self.built),
        }

    def sentences(self) -> list[str]:
        """Return the report in three sentences."""
        documents = ", ".join(f"{count(self.documents[name])} {name}" for name in DOCUMENTS)
        chunks = self.chunks
        return [
            f"Documents: {documents}.",
            f"Chunks: {count(chunks['wanted'])} wanted, {count(chunks['new_texts'])} new texts, "
            f"{count(chunks['embedded'])} embedded, {count(chunks['dropped'])} dropped.",
            "CPU: " + ", ".join(f"{self.cpu_s.get(name, 0.0):.2f} s {name}" for name in STEPS) + ".",
        ]


def document_counts(changes: pl.DataFrame, documents: int) -> tuple[Counter[str], int]:
    """Return the counts by kind of change, and how many of the renamed were edited too.

    Args:
        changes: rows of `rag.changes.corpus_changes`.
        documents: how many there are now.
    """
    kinds = Counter(changes["change"].to_list())
    both = kinds.pop("renamed_edited", 0)
    kinds["renamed"] += both
    kinds["unchanged"] = documents - sum(kinds[name] for name in ("added", "edited", "renamed"))
    return kinds, both
