import polars as pl
import pytest

from aiops_pipelines.monitoring.quality import JUDGED
from aiops_pipelines.resources.judge import (
    METRICS,
    SAMPLES,
    OfflineJudge,
    context_scores,
    text_context_scores,
)


def sample(**more: object) -> dict[str, object]:
    return {
        "event_id": "e", "answer": "The fee is ten euros", "contexts": ["The fee is twenty euros."], "retrieved_documents": ["fees.md", "news.md"],
        "reference_answer": "The fee is 10 euros", "relevant_documents": ["fees.md", "prices.md"], "status": "ok",
    } | more  # fmt: skip


def score(*rows: dict[str, object]) -> pl.DataFrame:
    found = OfflineJudge().score(pl.DataFrame(rows, schema=SAMPLES))
    assert found.schema == JUDGED
    assert found.height == len(rows) * len(METRICS)
    assert found.filter(pl.col("value").is_null() == pl.col("reason").is_null()).is_empty()
    assert not found["value"].is_nan().any()
    return found


def test_scores_by_hand() -> None:
    values = dict(score(sample()).select("metric", "value").iter_rows())
    assert values["answer_bigram_support"] == 0.5
    assert values["reference_similarity"] == pytest.approx(
        1 - 3 / 20
    )  # ten -> 10: two substitutions, one deletion
    assert values["context_recall_id"] == 0.5
    assert values["context_precision_id"] == 0.5


@pytest.mark.parametrize(
    ("change", "metric", "expected"),
    [
        ({"reference_answer": None}, "reference_similarity", "there is no reference answer"),
        ({"answer": " "}, "reference_similarity", "no answer was logged"),
        ({"status": "error"}, "reference_similarity", "ended as error"),
        ({"relevant_documents": []}, "context_recall_id", "no document is judged relevant"),
        ({"retrieved_documents": None}, "context_recall_id", "retrieval was not logged"),
        ({"retrieved_documents": []}, "context_precision_id", "nothing was retrieved"),
        ({"retrieved_documents": ["fees.md", None]}, "context_recall_id", "retrieved chunk is not known"),
        ({"contexts": None}, "answer_bigram_support", "no retrieved context"),
        ({"status": "refused"}, "answer_bigram_support", "ended as refused"),
    ],
)
def test_what_cannot_be_measured_has_a_reason(change: dict[str, object], metric: str, expected: str) -> None:
    row = score(sample(**change)).filter(metric=metric).row(0, named=True)
    assert row["value"] is None and expected in row["reason"]


def test_refusals_and_empty_retrieval_are_measured_where_they_are_failures() -> None:
    found = score(sample(answer="I cannot help.", status="refused", retrieved_documents=[]))
    values = dict(found.select("metric", "value").iter_rows())
    assert 0 < values["reference_similarity"] < 0.5
    assert values["context_recall_id"] == 0.0


def test_every_metric_has_one_judge_and_hundreds_of_samples_keep_their_order() -> None:
    found = score(
        *[
            sample(event_id=f"e{i:03d}", retrieved_documents=["fees.md"] if i % 2 else ["news.md"])
            for i in range(400)
        ]
    )
    judges = found.group_by("metric").agg(pl.col("judge").unique()).explode("judge")
    assert all(judge.startswith(f"{metric}/1/") for metric, judge in judges.iter_rows())
    recall = found.filter(metric="context_recall_id").sort("event_id")["value"].to_list()
    assert recall == [0.0, 0.5] * 200


def test_no_samples_and_missing_columns() -> None:
    assert OfflineJudge().score(pl.DataFrame(schema=SAMPLES)).is_empty()
    with pytest.raises(ValueError, match="The judge needs the columns answer, contexts"):
        OfflineJudge().score(pl.DataFrame({"event_id": ["e"], "status": ["ok"]}))


def test_ragas_counts_documents_by_query() -> None:
    found = context_scores({"q1": ["a", "b"], "q2": []}, {"q1": ["a", "c", "d", "e"], "q2": ["a"]})
    assert found == {"context_recall_id": {"q1": 0.25, "q2": 0.0}, "context_precision_id": {"q1": 0.5}}
    assert context_scores({}, {}) == {"context_recall_id": {}, "context_precision_id": {}}


def test_ragas_compares_texts_by_query() -> None:
    """Of aaaa and bbbb, aaax is three quarters the first; found second behind a stranger that is AP 1/2."""
    found = text_context_scores({"q1": ["cccc", "aaax"], "q2": []}, {"q1": ["aaaa", "bbbb"], "q2": ["aaaa"]})
    assert found["context_recall_text"] == {"q1": 0.5, "q2": 0.0}
    assert found["context_precision_text"] == {"q1": pytest.approx(0.5)}
    assert text_context_scores({}, {}) == {"context_recall_text": {}, "context_precision_text": {}}
