"""Any LlamaIndex embedding class, such as a provider's, behind the same protocol."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.rag.index_settings import EmbeddingClass
from aiops_pipelines.rag.ranking import Vectors
from aiops_pipelines.rag.versions import EmbeddingSpace
from aiops_pipelines.resources.dotted import DottedNameError, named
from aiops_pipelines.resources.embedders.base import EmbedderError, behind_llama_index
from aiops_pipelines.resources.tokenizer import count_tokens

if TYPE_CHECKING:
    from llama_index.core.embeddings import BaseEmbedding


class LlamaEmbedder:
    """An embedding model by its class and arguments, as a system's file gives them.

    Its weights are not ours to hash: the dated name stands for them, and the canaries watch it.
    """

    def __init__(self, settings: EmbeddingClass):
        self._settings = settings
        self.name = settings.model
        self.languages = frozenset(settings.languages) or None
        self.paid = settings.paid

    @property
    def space(self) -> EmbeddingSpace:
        """What makes these vectors comparable with each other and with no others."""
        s = self._settings
        return EmbeddingSpace(
            s.provider, s.model, s.dated_name, s.dimension, prefix=s.prefix, query_prefix=s.query_prefix
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised vector a passage, shape (texts, dimension).

        Raises:
            EmbedderError: the class cannot be made or called, or what it returns is no such vector.
        """
        if not texts:
            return np.empty((0, self._settings.dimension), dtype=np.float32)
        passages = [self._settings.prefix + text for text in texts]
        return self._asked(lambda: self._model.get_text_embedding_batch(passages), len(texts))

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of questions, with the space they live in."""
        if not texts:
            return Vectors(self.space.version, self.embed(texts))
        asked = [self._settings.query_prefix + text for text in texts]
        matrix = self._asked(lambda: [self._model.get_query_embedding(text) for text in asked], len(texts))
        return Vectors(self.space.version, matrix)

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Return how many tokens the provider would count; an estimate for other families than OpenAI's."""
        return sum(count_tokens(self._settings.prefix + text, self.name)[0] for text in texts)

    def as_llama_index(self) -> "BaseEmbedding":
        """Return the model behind LlamaIndex's interface, with prefixes put and vectors checked."""
        return behind_llama_index(self)

    def _asked(self, ask: Callable[[], Sequence[Sequence[float]]], expected: int) -> NDArray[np.float32]:
        try:
            vectors = np.array(ask(), dtype=np.float32)
        except EmbedderError:
            raise
        except Exception as error:
            raise EmbedderError(
                f"{self.name} of {self._settings.provider} did not answer: {error}"
            ) from error
        if vectors.shape != (expected, self._settings.dimension):
            raise EmbedderError(
                f"{self.name} returned vectors of shape {vectors.shape} for {expected} texts; "
                f"the system's file says dimension {self._settings.dimension}."
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise EmbedderError(
                f"{self.name} returned a vector without a direction; nothing is stored of it."
            )
        normalised: NDArray[np.float32] = vectors / lengths
        return normalised

    @cached_property
    def _model(self) -> Any:
        try:
            return named(self._settings.class_name)(**self._settings.arguments)
        except DottedNameError as error:
            raise EmbedderError(str(error)) from error
        except Exception as error:
            raise EmbedderError(
                f"{self._settings.class_name} cannot be made with the arguments of index.embedding: {error}"
            ) from error
