"""Fixed texts whose vectors are kept: a model that changed behind its name is caught before it embeds.

A weights hash guards what is on this machine, and its engine is watched when something is to be embedded; a
provider can change what answers to a dated name, and is asked in every run.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aiops_pipelines.resources.embedder import Embedder, EmbedderError
from aiops_pipelines.resources.embedders.llama import LlamaEmbedder
from aiops_pipelines.resources.warehouse import Warehouse

TEXTS = (
    "How do I get my money back?",
    "A refund is paid to the card within five working days of the return.",
    "The volcano erupted at dawn; ash fell on three islands.",
    "def total(prices): return sum(price for price in prices if price > 0)",
    "| tier | price |\n| --- | --- |\n| small | 4.90 |\n| large | 12.50 |",
    "Wie lange wird ein Paket im Schließfach aufbewahrt?",
    "退货政策是什么?",
    "x",
)
LEAST_COSINE = 0.999
"""Other hardware moves a vector by less than 1e-5, requantising the same weights by 1e-2."""


class ModelChanged(EmbedderError):
    """A model returns other vectors than those stored under its name."""


class Canaries:
    """The canary vectors of every embedding space."""

    def __init__(self, warehouse: Warehouse):
        self._warehouse = warehouse

    def watching(self, model: Embedder, now: datetime) -> Embedder:
        """Return the model, which from now on compares itself with its canaries before it embeds anything.

        One whose weights are elsewhere is compared at once.

        Raises:
            ModelChanged: it returns other vectors than before; so does `embed`.
            EmbedderError: the model does not answer.
        """
        watched = _Watched(model, lambda: self.check(model, now))
        if isinstance(model, LlamaEmbedder):
            watched.check()
        return cast(Embedder, watched)

    def check(self, model: Embedder, now: datetime) -> None:
        """Compare a model with its canaries, or keep them when its space is new.

        Raises:
            ModelChanged: a canary's cosine to its stored vector is below 0.999; nothing may be embedded.
            EmbedderError: the model does not answer.
        """
        version = model.space.version
        kept = self._warehouse.rows("rag.embedding_canaries", embedding_version=version)
        present = {"passage": model.embed(TEXTS), "query": model.embed_queries(TEXTS).matrix}
        if kept.is_empty():
            self._register(version, present, now)
            return self._note(model, now, 1.0, "registered")
        least = min(self._least(kept, kind, vectors) for kind, vectors in present.items())
        if least >= LEAST_COSINE:
            return self._note(model, now, least, "unchanged")
        self._note(model, now, least, "changed")
        raise ModelChanged(
            f"{model.name} returns other vectors than when {version} was registered (cosine {least:.3f} of a "
            "fixed text), so nothing is embedded with it. Restore the model, or give the new one another "
            "dated_name and migrate to it: aiops migrate plan."
        )

    def _least(self, kept: pl.DataFrame, kind: str, present: NDArray[np.float32]) -> float:
        stored = dict(kept.filter(kind=kind).select("text", "vector").iter_rows())
        pairs = [
            (stored[text], vector) for text, vector in zip(TEXTS, present, strict=True) if text in stored
        ]
        if any(len(old) != len(new) for old, new in pairs):
            return -1.0
        return min((float(np.array(old, dtype=np.float32) @ new) for old, new in pairs), default=1.0)

    def _register(self, version: str, present: dict[str, NDArray[np.float32]], now: datetime) -> None:
        rows = [
            (version, text, kind, vector.tolist(), now)
            for kind, vectors in present.items()
            for text, vector in zip(TEXTS, vectors, strict=True)
        ]
        table = self._warehouse.tables["rag.embedding_canaries"]
        frame = pl.DataFrame(rows, schema=table.schema, orient="row")
        self._warehouse.replace("rag.embedding_canaries", frame, embedding_version=version)

    def _note(self, model: Embedder, now: datetime, least: float, status: str) -> None:
        table = self._warehouse.tables["rag.canary_checks"]
        version = model.space.version
        row = pl.DataFrame([(version, model.name, now, least, status)], schema=table.schema, orient="row")
        self._warehouse.replace("rag.canary_checks", row, embedding_version=version)


class _Watched:
    """A model that is checked once, before its first passage."""

    def __init__(self, model: Embedder, check: Callable[[], None]):
        self._model, self._check, self._checked = model, check, False

    def check(self) -> None:
        if not self._checked:
            self._check()
            self._checked = True

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.check()
        return self._model.embed(texts)

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)
