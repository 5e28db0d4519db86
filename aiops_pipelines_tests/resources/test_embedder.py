import numpy as np
import pytest

from aiops_pipelines.resources.embedder import EmbedderError, MiniLM, embedder

TEXTS = [
    "How do I get my money back?",
    "A refund is paid within five days of the return.",
    "The volcano erupted at dawn over the island.",
    "short",
    "long " * 600,
]


@pytest.fixture(scope="module")
def model():
    return embedder()


@pytest.fixture(scope="module")
def vectors(model):
    return model.embed(TEXTS)


def test_vectors_are_normalised_and_of_the_declared_dimension(model, vectors):
    assert vectors.shape == (5, model.dimension) == (5, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-6)


def test_a_paraphrase_is_nearer_than_another_topic(vectors):
    similar = vectors @ vectors.T
    assert similar[0, 1] > 0.4 > 0.1 > similar[0, 2]


def test_a_vector_does_not_depend_on_its_neighbours(model, vectors):
    alone = np.vstack([model.embed([text]) for text in TEXTS])
    assert np.abs(model.embed(TEXTS[::-1])[::-1] - vectors).max() < 1e-5
    assert np.abs(alone - vectors).max() < 1e-5


def test_text_past_the_window_is_cut(model, vectors):
    assert np.abs(model.embed(["long " * 700])[0] - vectors[4]).max() < 1e-6
    assert np.abs(model.embed(["long " * 100])[0] - vectors[4]).max() > 1e-4


def test_no_texts_give_no_vectors_and_an_empty_text_gives_one(model):
    assert model.embed([]).shape == (0, 384)
    assert np.isfinite(model.embed([""])).all()


def test_llama_index_gives_the_same_vectors(model, vectors):
    behind = model.as_llama_index()
    assert np.abs(np.array(behind.get_text_embedding_batch(TEXTS)) - vectors).max() < 1e-6
    assert np.abs(np.array(behind.get_query_embedding(TEXTS[0])) - vectors[0]).max() < 1e-6
    assert behind.model_name == "all-MiniLM-L6-v2"


def test_the_space_names_weights_and_dimension(model):
    space = model.space
    assert (space.provider, space.model, space.dimension, space.prefix) == (
        "onnxruntime",
        model.name,
        384,
        "",
    )
    assert space.weights_hash.startswith("8199be6f") and space.version == MiniLM().space.version


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(
        EmbedderError, match=r"No embedding model is called 'bert'; known are all-MiniLM-L6-v2\."
    ):
        embedder("bert")


def test_changed_files_do_not_keep_the_models_name():
    changed = MiniLM()
    changed.tokenizer_hash = "0" * 64
    with pytest.raises(EmbedderError, match=r"tokenizer\.json is not the model"):
        changed.embed(["x"])
