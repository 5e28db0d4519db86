"""What every embedding model does, and what the models share.

Only texts and vectors pass; which texts are embedded is `rag.reindex`, what a space is called is
`rag.versions`.
"""

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.mendable import Mendable
from aiops_pipelines.rag.ranking import Vectors
from aiops_pipelines.rag.versions import EmbeddingSpace

if TYPE_CHECKING:
    from llama_index.core.embeddings import BaseEmbedding


class EmbedderError(Mendable, ValueError):
    """An embedding model cannot be used; the message says what to do."""


class Embedder(Protocol):
    """An embedding model; nothing is loaded or called until the first text."""

    @property
    def name(self) -> str:
        """Name of the model, as a system's file gives it."""

    @property
    def space(self) -> EmbeddingSpace:
        """What makes its vectors comparable with each other and with no others."""

    @property
    def languages(self) -> frozenset[str] | None:
        """ISO 639-1 codes of the languages it was trained on, or None where nobody says."""

    @property
    def paid(self) -> bool:
        """Whether somebody is paid for every text."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised vector a passage, shape (texts, dimension).

        The same text always gets the same vector, whatever it is embedded together with.
        """

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of questions, with the space they live in."""

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Return how many tokens the model reads for these passages."""

    def as_llama_index(self) -> "BaseEmbedding":
        """Return the model behind LlamaIndex's embedding interface."""


def behind_llama_index(model: Embedder) -> "BaseEmbedding":
    """Return a model as a LlamaIndex embedding; index assets embed through `get_text_embedding_batch`.

    A batch is 2,048 texts, the most the interface takes: how to go about them is the model's business.
    """
    from llama_index.core.embeddings import BaseEmbedding

    class Behind(BaseEmbedding):  # type: ignore[misc]
        """LlamaIndex's embedding interface over one of our models."""

        def _get_query_embedding(self, query: str) -> list[float]:
            vector: list[float] = model.embed_queries([query]).matrix[0].tolist()
            return vector

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_text_embeddings([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            vectors: list[list[float]] = model.embed(texts).tolist()
            return vectors

    return Behind(model_name=model.name, embed_batch_size=2048)


def packaged(package: str, file: str) -> Path:
    """Return a file inside an installed package.

    Raises:
        EmbedderError: the package is missing.
    """
    found = find_spec(package)
    if found is None or found.origin is None:
        name = package.replace("_", "-")
        raise EmbedderError(f"The package {name} with the model's weights is missing; install it.")
    return Path(found.origin).with_name(file)


def verified(file: Path, expected: str) -> bytes:
    """Return a file's bytes if their SHA-256 is the expected one; a changed model must not keep its name.

    Raises:
        EmbedderError: it is another file.
    """
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != expected:
        raise EmbedderError(
            f"{file.name} is not the model this project was measured with; reinstall its package."
        )
    return data
