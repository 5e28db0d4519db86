from datetime import UTC, datetime

import polars as pl

from aiops_pipelines.monitoring.samples import judge_samples

MOMENT = pl.Datetime("us", "UTC")
CHUNK = pl.Struct({"chunk_id": pl.String, "document": pl.String, "score": pl.Float64})


def moment(day: int) -> datetime:
    return datetime(2026, 8, day, tzinfo=UTC)


CHUNKS = pl.DataFrame(
    {
        "chunk_id": ["a", "b", "b"],
        "chunker_version": ["1", "1", "2"],
        "text": ["Fee: ten.", "Open daily.", "Open daily."],
    }
)
KNOWN = pl.DataFrame(
    {
        "query_id": ["q1", "q1"],
        "valid_from": [moment(1), moment(10)],
        "query": "Fee?",
        "reference_answer": ["Ten.", "Twelve."],
    },
    schema_overrides={"valid_from": MOMENT},
)
JUDGEMENTS = pl.DataFrame(
    {
        "query_id": "q1",
        "valid_from": [moment(1), moment(10), moment(10)],
        "document": ["fees.md", "prices.md", "news.md"],
        "grade": [2, 1, 0],
    },
    schema_overrides={"valid_from": MOMENT},
)


def call(
    event: str, day: int, known: str | None, retrieved: list[tuple[str, str]] | None
) -> dict[str, object]:
    chunks = (
        None if retrieved is None else [{"chunk_id": c, "document": d, "score": 1.0} for c, d in retrieved]
    )
    return {
        "event_id": event,
        "occurred_at": moment(day),
        "known_query_id": known,
        "query": "Fee?",
        "answer": "Ten.",
        "status": "ok",
        "retrieved": chunks,
    }


def samples(*calls: dict[str, object]) -> list[dict[str, object]]:
    frame = pl.DataFrame(
        calls,
        schema_overrides={"occurred_at": MOMENT, "retrieved": pl.List(CHUNK), "known_query_id": pl.String},
    )
    return judge_samples(frame, CHUNKS, KNOWN, JUDGEMENTS).to_dicts()


def test_truth_is_the_one_of_the_moment() -> None:
    before, after = samples(
        call("e1", 9, "q1", [("b", "open.md"), ("a", "fees.md")]), call("e2", 10, "q1", [])
    )
    assert (before["reference_answer"], before["relevant_documents"]) == ("Ten.", ["fees.md"])
    assert (after["reference_answer"], after["relevant_documents"]) == ("Twelve.", ["prices.md"])
    assert before["contexts"] == ["Open daily.", "Fee: ten."]
    assert before["retrieved_documents"] == ["open.md", "fees.md"]
    assert (after["contexts"], after["retrieved_documents"]) == ([], [])


def test_production_has_no_truth_and_unlogged_retrieval_is_null() -> None:
    unlogged, unknown = samples(call("e1", 9, None, None), call("e2", 9, None, [("gone", "old.md")]))
    assert unlogged["reference_answer"] is None and unlogged["relevant_documents"] is None
    assert unlogged["contexts"] is None and unlogged["retrieved_documents"] is None
    assert (unknown["contexts"], unknown["retrieved_documents"]) == ([], ["old.md"])
