"""Sweeps over made corpora: where no way of cutting is better, and where one really is."""

import hashlib

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.rag import sweep
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.rag.metrics import QRELS
from aiops_pipelines.rag.passages import Sentences
from aiops_pipelines.rag.ranking import Vectors

SIZES = (
    Chunking(300),
    Chunking(300, "sentences"),
    Chunking(600),
    Chunking(600, "overlapping"),
    Chunking(1_200),
)
DIMENSION = 64


def made_corpus(rng, documents=24, sentences=30):
    words = ["".join(rng.choice(list("abcdefghij"), 5)) for _ in range(300)]
    return {
        f"d{n:02}": " ".join(f"{' '.join(rng.choice(words, 9)).capitalize()}." for _ in range(sentences))
        for n in range(documents)
    }


def questions(rng, corpus, count=60):
    """One sentence of one document each; none is asked twice, which would count one query as two."""
    all_of_them = [(name, one) for name, text in corpus.items() for one in text.split(". ")[1:-1]]
    return {f"q{n:02}": all_of_them[at] for n, at in enumerate(rng.permutation(len(all_of_them))[:count])}


def at_random(seed):
    """Vectors that say nothing: each text another direction, whatever is in it."""

    def embed(texts):
        rows = [hashlib.sha256(f"{seed} {text}".encode()).digest() for text in texts]
        noise = np.array([np.random.default_rng(list(row)).standard_normal(8) for row in rows])
        return Vectors("made", (noise / np.linalg.norm(noise, axis=1, keepdims=True)).astype(np.float32))

    return embed


def by_words(texts):
    """Hashed words: long texts are a blur of all of theirs."""
    vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().replace(".", " ").split():
            digest = hashlib.sha256(word.encode()).digest()
            vectors[row, digest[0] % DIMENSION] += 1 if digest[1] % 2 else -1
    return Vectors("made", vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


def swept(rng, embed, current, candidates=SIZES, budget=900, corpus=None):
    corpus = corpus or made_corpus(rng)
    asked = questions(rng, corpus)
    judged = pl.DataFrame([(q, d, 2) for q, (d, _) in asked.items()], schema=QRELS, orient="row")
    sentences = Sentences(corpus)
    passages = {query: sentences.passages(text, [name]) for query, (name, text) in asked.items()}
    queries = embed([text for _, text in asked.values()])
    what = sweep.Asked(list(asked), queries, judged, passages, budget)
    scores = {}
    for chunking in dict.fromkeys([current, *candidates]):
        cut = sweep.Cut.of(corpus, chunking)
        texts = list(cut.texts.values())
        tokens = np.array([len(text) // 4 for text in texts])
        scores[chunking] = sweep.measured(cut, embed(texts), tokens, what)
    return sweep.judged(current, scores, 0.02), scores


def kept(repeats):
    return sum(
        swept(np.random.default_rng(seed), at_random(seed), Chunking(600))[0].verdict == sweep.KEEP
        for seed in range(repeats)
    )


def test_without_any_difference_it_keeps():
    assert kept(20) >= 17  # 1 expected at 5 %; fewer has a chance of 2 %


@pytest.mark.slow
def test_without_any_difference_it_keeps_in_19_of_20_sweeps():
    assert kept(200) >= 190


def test_chunks_that_are_the_same_under_every_rule_are_kept():
    """Short documents: no candidate cuts them otherwise, and no query differs."""
    rng = np.random.default_rng(1)
    found, scores = swept(rng, by_words, Chunking(1_200), corpus=made_corpus(rng, 40, 4))
    assert found.verdict == sweep.KEEP
    assert {row.gain.mean for row in found.rows if row.gain} == {0.0}
    assert all(frame.equals(scores[Chunking(300)]) for frame in scores.values())


@pytest.mark.parametrize("seed", range(3))
def test_a_real_difference_is_found(seed):
    """Whole documents in one chunk are a blur, and 500 tokens hold one of them."""
    rng = np.random.default_rng(seed)
    found, _ = swept(rng, by_words, Chunking(2_400), [Chunking(200), Chunking(1_200)], budget=500)
    assert found.verdict == "change to structure-2-200"
    assert "is better than what is in force: answer_in_context +" in found.reason
    (row,) = [r for r in found.rows if (r.candidate, r.measure) == ("structure-2-200", "answer_in_context")]
    assert row.standing == sweep.BETTER and row.gain.low > 0 and row.gain.p_value < 0.05


def test_found_and_lost_the_other_way_round():
    found, _ = swept(np.random.default_rng(2), by_words, Chunking(200), [Chunking(2_400)], budget=500)
    assert found.verdict == sweep.KEEP
    assert any(row.standing == sweep.WORSE for row in found.rows)


def scored(**columns):
    n = len(next(iter(columns.values())))
    values = {name: columns.get(name, [None] * n) for name in sweep.MEASURES}
    schema = {"query_id": pl.String} | dict.fromkeys(sweep.MEASURES, pl.Float64)
    return pl.DataFrame({"query_id": [f"q{at:03}" for at in range(n)], **values}, schema=schema)


NOW, OTHER = Chunking(600), Chunking(300)


def test_a_gain_below_the_margin_is_no_reason_to_change():
    """Queries gain 0.01 of 0.80: beyond any chance, and below 2 %."""
    noise = np.random.default_rng(1).normal(0, 0.01, 60)
    before, after = scored(ndcg_at_10=[0.8] * 60), scored(ndcg_at_10=list(0.81 + noise))
    assert sweep.judged(NOW, {NOW: before, OTHER: after}, 0.02).verdict == sweep.KEEP
    better = scored(ndcg_at_10=list(0.84 + noise))
    assert sweep.judged(NOW, {NOW: before, OTHER: better}, 0.02).verdict == "change to structure-2-300"


def test_a_gain_bought_with_a_loss_is_no_reason_either():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.02, 60)
    before = scored(ndcg_at_10=[0.8] * 60, answer_in_context=[0.5] * 60)
    after = scored(ndcg_at_10=list(0.7 + noise), answer_in_context=list(0.7 + noise))
    found = sweep.judged(NOW, {NOW: before, OTHER: after}, 0.02)
    assert {row.measure: row.standing for row in found.rows if row.gain} == {
        "answer_in_context": "better",
        "ndcg_at_10": "worse",
    }
    assert found.verdict == sweep.KEEP


def test_of_several_better_ones_the_one_with_most_of_the_answer_is_chosen():
    noise = np.random.default_rng(1).normal(0, 0.02, 60)
    before = scored(answer_in_context=[0.5] * 60)
    gained = {
        Chunking(size): scored(answer_in_context=list(mean + noise))
        for size, mean in ((300, 0.6), (450, 0.7), (900, 0.65))
    }
    assert sweep.judged(NOW, {NOW: before, **gained}, 0.02).verdict == "change to structure-2-450"


def test_few_queries_tell_nothing():
    few = scored(ndcg_at_10=[0.0] * 19)
    found = sweep.judged(NOW, {NOW: few, OTHER: scored(ndcg_at_10=[1.0] * 19)}, 0.02)
    assert found.verdict == sweep.CANNOT_TELL and "19 known queries; 20 are needed" in found.reason
    assert not found.rows


def test_alone_there_is_nothing_to_change_to():
    assert (
        sweep.judged(NOW, {NOW: scored(ndcg_at_10=[1.0] * 30)}, 0.02).reason
        == "No other candidate was tried."
    )
