import hashlib
import sys
import types

import numpy as np
import pytest
from llama_index.core.embeddings import BaseEmbedding

from aiops_pipelines.rag.index_settings import EmbeddingClass
from aiops_pipelines.rag.ranking import MixedSpaces, dense
from aiops_pipelines.resources.dotted import DottedNameError, named
from aiops_pipelines.resources.embedder import MODELS, EmbedderError, MiniLM, MultilingualE5, embedder

TEXTS = [
    "How do I get my money back?",
    "A refund is paid within five days of the return.",
    "The volcano erupted at dawn over the island.",
    "short",
    "long " * 600,
]


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request):
    return embedder(request.param)


@pytest.fixture(scope="module")
def vectors(model):
    return model.embed(TEXTS)


def test_vectors_are_normalised_and_of_the_declared_dimension(model, vectors):
    assert vectors.shape == (5, model.dimension) == (5, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-6)


def test_a_paraphrase_is_nearer_than_another_topic(vectors):
    similar = vectors @ vectors.T
    assert similar[0, 1] > similar[0, 2] + 0.05


def test_a_vector_does_not_depend_on_its_neighbours(model, vectors):
    alone = np.vstack([model.embed([text]) for text in TEXTS])
    assert np.array_equal(model.embed(TEXTS[::-1])[::-1], vectors)
    assert np.array_equal(alone, vectors)


def test_minilm_cuts_text_past_its_window():
    cut, longer, shorter = MiniLM().embed(["long " * 600, "long " * 700, "long " * 100])
    assert np.array_equal(cut, longer) and np.abs(cut - shorter).max() > 1e-4


def test_tokens_are_those_the_model_reads(model):
    expected = {"all-MiniLM-L6-v2": 3 + 256, "multilingual-e5-small": None}[model.name]
    found = model.count_tokens(["short", "long " * 600])
    assert found == expected if expected else found > 600


def test_no_texts_give_no_vectors_and_an_empty_text_gives_one(model):
    assert model.embed([]).shape == (0, 384)
    assert model.embed_queries([]).matrix.shape == (0, 384)
    assert np.isfinite(model.embed([""])).all()


def test_text_that_c_would_cut_or_refuse_is_read_to_its_end():
    model = MultilingualE5()
    cut, whole, half = model.embed(["before", "before\0after the end", "half a character \ud800"])
    assert np.abs(cut - whole).max() > 0.01 and np.isfinite(half).all()


def test_llama_index_gives_the_same_vectors(model, vectors):
    behind = model.as_llama_index()
    assert np.abs(np.array(behind.get_text_embedding_batch(TEXTS)) - vectors).max() < 1e-6
    asked = model.embed_queries(TEXTS[:1])
    assert np.abs(np.array(behind.get_query_embedding(TEXTS[0])) - asked.matrix[0]).max() < 1e-6
    assert behind.model_name == model.name and asked.space == model.space.version


def test_two_models_of_one_dimension_do_not_meet():
    mini, e5 = embedder("all-MiniLM-L6-v2"), embedder("multilingual-e5-small")
    assert mini.space.dimension == e5.space.dimension and mini.space.version != e5.space.version
    chunks = mini.embed_queries(TEXTS[:2])
    assert dense(["a", "b"], chunks, mini.embed_queries(TEXTS[:1]), 1)[0][0][0] == "a"
    with pytest.raises(MixedSpaces):
        dense(["a", "b"], chunks, e5.embed_queries(TEXTS[:1]), 1)


def test_e5_tells_questions_from_passages_and_reads_other_languages():
    model = MultilingualE5()
    assert np.abs(model.embed_queries(["refund"]).matrix - model.embed(["refund"])).max() > 1e-3
    german, english, other = model.embed(
        ["Wie bekomme ich mein Geld zurück?", "How do I get my money back?", "The volcano erupted at dawn."]
    )
    assert german @ english > german @ other + 0.1
    assert "zh" in model.languages and "zh" not in MiniLM().languages


def test_the_space_names_weights_and_dimension():
    model = MiniLM()
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
        EmbedderError,
        match=r"No embedding model is called 'bert'; known are all-MiniLM-L6-v2, multilingual-e5-small\.",
    ):
        embedder("bert")


def test_changed_files_do_not_keep_the_models_name():
    changed = MiniLM()
    changed.tokenizer_hash = "0" * 64
    with pytest.raises(EmbedderError, match=r"tokenizer\.json is not the model"):
        changed.embed(["x"])


class FakeProvider(BaseEmbedding):
    """A provider's class with an endpoint in this process: the vector of a text is its hash."""

    endpoint: str
    batches: list[int] = []  # noqa: RUF012 - pydantic copies it for each instance

    def _get_text_embeddings(self, texts):
        if self.endpoint == "down":
            raise ConnectionError("no route to host")
        self.batches.append(len(texts))
        length = 3 if self.endpoint == "short" else 4
        vectors = [[b / 7 for b in hashlib.sha256(text.encode()).digest()[:length]] for text in texts]
        return [[0.0] * 4 for _ in texts] if self.endpoint == "zero" else vectors

    def _get_text_embedding(self, text):
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query):
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)


@pytest.fixture
def provider(monkeypatch):
    module = types.ModuleType("fake_provider")
    module.FakeProvider = FakeProvider
    monkeypatch.setitem(sys.modules, "fake_provider", module)

    def made(endpoint="up", **changed):
        named_so = {"class": "fake_provider.FakeProvider", "provider": "fake", "model": "embed-large"}
        settings = named_so | {"dated_name": "embed-large-2026-05-01", "dimension": 4, "query_prefix": "q: "}
        arguments = {"arguments": {"endpoint": endpoint}}
        return EmbeddingClass.model_validate(settings | arguments | changed)

    return made


def test_any_llama_index_class_stands_behind_the_same_protocol(provider):
    model = embedder(provider())
    vectors = model.embed(["one", "two"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-6)
    assert np.array_equal(model.embed_queries(["one"]).matrix, model.embed(["q: one"]))
    assert (model.space.provider, model.space.weights_hash) == ("fake", "embed-large-2026-05-01")
    assert model.space.version != embedder(provider(dated_name="embed-large-2026-06-01")).space.version
    assert model.count_tokens(["hello world"]) == 2 and model.paid
    assert (
        np.abs(np.array(model.as_llama_index().get_text_embedding_batch(["one"])) - vectors[0]).max() < 1e-6
    )
    again = embedder(provider().model_dump_json(by_alias=True))
    assert again.space == model.space and np.array_equal(again.embed(["one"])[0], vectors[0])


@pytest.mark.parametrize(
    ("endpoint", "sentence"),
    [
        ("down", "embed-large of fake did not answer: no route to host"),
        ("short", r"shape \(1, 3\) for 1 texts; the system's file says dimension 4"),
        ("zero", "without a direction"),
    ],
)
def test_a_provider_that_fails_is_a_sentence(provider, endpoint, sentence):
    with pytest.raises(EmbedderError, match=sentence):
        embedder(provider(endpoint)).embed(["one"])


def test_a_class_that_is_not_there_says_what_to_install(provider):
    with pytest.raises(EmbedderError, match="cannot be imported; install the package of nowhere"):
        embedder(provider(**{"class": "nowhere.Embedding"})).embed(["one"])
    with pytest.raises(EmbedderError, match="cannot be made with the arguments"):
        embedder(provider(arguments={"endpoint": [1]})).embed(["one"])
    with pytest.raises(DottedNameError, match=r"json holds no Nothing; correct json\.Nothing"):
        named("json.Nothing")
    assert named("json.JSONDecoder.decode").__name__ == "decode"
