"""The embedding models by name; each is one file of `embedders`.

LlamaIndex's embedding interface lies over all of them; which model a system uses is `recipes`.
"""

import json
from collections.abc import Callable
from functools import cache

from pydantic import ValidationError

from aiops_pipelines.rag.index_settings import EmbeddingClass
from aiops_pipelines.resources.embedders.base import Embedder, EmbedderError
from aiops_pipelines.resources.embedders.e5 import MultilingualE5
from aiops_pipelines.resources.embedders.llama import LlamaEmbedder
from aiops_pipelines.resources.embedders.minilm import MiniLM

__all__ = ["MODELS", "Embedder", "EmbedderError", "MiniLM", "MultilingualE5", "embedder"]

MODELS: dict[str, Callable[[], Embedder]] = {MiniLM.name: MiniLM, MultilingualE5.name: MultilingualE5}


def embedder(model: str | EmbeddingClass = MiniLM.name) -> Embedder:
    """Return an embedding model by name or class; nothing is loaded until the first text.

    A class may also be given as the JSON that the tables keep of it (`EmbeddingClass.model_dump_json`).

    Raises:
        EmbedderError: no model has this name.
    """
    if isinstance(model, EmbeddingClass):
        return LlamaEmbedder(model)
    if model.startswith("{"):
        try:
            return LlamaEmbedder(EmbeddingClass.model_validate(json.loads(model)))
        except (ValueError, ValidationError) as error:
            raise EmbedderError(
                f"The stored settings of an embedding class cannot be read: {error}"
            ) from error
    if model not in MODELS:
        raise EmbedderError(f"No embedding model is called {model!r}; known are {', '.join(sorted(MODELS))}.")
    return _by_name(model)


@cache
def _by_name(model: str) -> Embedder:
    """Keep one of each: its weights are read once a process."""
    return MODELS[model]()
