"""A model that costs nothing: words hashed into a few dimensions, equal texts to equal vectors."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.rag.versions import EmbeddingSpace

DIMENSION = 16


class HashedWords:
    """Counts the texts it embeds."""

    name = "hashed-words"
    languages = None
    paid = False

    def __init__(self, prefix: str = "") -> None:
        self.embedded: list[str] = []
        self._prefix = prefix

    @property
    def space(self) -> EmbeddingSpace:
        return EmbeddingSpace("tests", self.name, "1", DIMENSION, prefix=self._prefix)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += texts
        vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in f"{self._prefix}{text}".split() or [""]:
                digest = hashlib.sha256(word.encode()).digest()
                vectors[row, digest[0] % DIMENSION] += 1 + digest[1] / 256
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
