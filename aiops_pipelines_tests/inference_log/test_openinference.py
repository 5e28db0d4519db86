"""OpenInference rows of a data frame: nested or dotted, joined in their trace, with annotations that come later."""

import json

import pytest

from aiops_pipelines.inference_log.openinference import flat, read
from aiops_pipelines_tests.inference_log.test_otlp_json import export, span

LLM = {
    "context.trace_id": "t1", "context.span_id": "s1", "span_kind": "LLM", "start_time": "2026-06-01T12:00:01Z",
    "end_time": "2026-06-01T12:00:02Z", "status_code": "OK", "attributes.llm.model_name": "gpt-4o",
    "attributes.llm.token_count.prompt": 9, "attributes.llm.token_count.completion": 2, "attributes.session.id": "c7",
    "attributes.input.value": "why?",
}  # fmt: skip
RETRIEVER = {
    "context.trace_id": "t1", "context.span_id": "s0", "span_kind": "RETRIEVER", "start_time": 1780315200000,
    "attributes.input.value": "why?",
    "attributes.retrieval.documents": [
        {"document.id": "c1", "document.score": 0.5, "document.content": "it is so", "document.metadata": {"source": "a.md"}},
    ],
}  # fmt: skip


def batch_of(*rows):
    return read((number, json.dumps(row).encode()) for number, row in enumerate(rows, 1))


def nested(row):
    """The row as the REST API gives it: `context` and `attributes` are objects."""
    found = {}
    for name, value in row.items():
        *steps, last = name.split(".")
        place = found
        for step in steps:
            place = place.setdefault(step, {})
        place[last] = value
    return found


def test_counts_of_a_data_frame_in_a_csv_file_are_text_of_floats():
    counts = {f"attributes.llm.token_count.{name}": "9.0" for name in ("prompt", "completion")}
    [record] = batch_of(LLM | counts).records
    assert record["tokens_total"] == 18
    assert batch_of(LLM | {"attributes.llm.token_count.prompt": "9.5"}).rejections


def test_what_stands_in_place_of_texts_is_none():
    hidden = {"attributes.input.value": "__REDACTED__", "attributes.output.value": "__REDACTED__"}
    [record] = batch_of(RETRIEVER | hidden, LLM | hidden).records
    assert (record["query"], record["answer"], record["tokens_total"]) == (None, None, 11)


def test_a_column_of_nested_attributes_or_events_may_be_text():
    text = {
        "attributes.llm": json.dumps({"model_name": "gpt-4o", "token_count": {"prompt": 9, "completion": 2}}),
        "events": json.dumps([{"name": "exception", "attributes": {"exception.type": "Timeout"}}]),
    }
    kept = {name: value for name, value in LLM.items() if not name.startswith("attributes.llm")}
    [record] = batch_of(kept | text | {"status_code": "ERROR"}).records
    assert (record["model_served"], record["tokens_total"], record["error_type"]) == ("gpt-4o", 11, "Timeout")


@pytest.mark.parametrize("shape", [dict, nested, lambda row: row | {"attributes": json.dumps({"a": 1})}])
def test_rows_are_spans_dotted_or_nested(shape):
    [record] = batch_of(shape(LLM), shape(RETRIEVER)).records
    assert (record["event_id"], record["session_id"], record["query"]) == ("t1-s1", "c7", "why?")
    assert (record["tokens_total"], record["latency_ms"], record["provider"]) == (11, 1000, "openai")
    assert record["retrieved"] == [{"chunk_id": "c1", "document": "a.md", "score": 0.5}]


def test_an_exception_makes_an_error():
    raised = [{"name": "exception", "attributes": {"exception.type": "Timeout"}}]
    [record] = batch_of(LLM | {"status_code": "ERROR", "events": raised}).records
    assert (record["status"], record["error_type"]) == ("error", "Timeout")


def test_annotations_are_feedback_wherever_they_stand():
    on_span = span("s2", {
        "openinference.span.kind": "LLM", "annotations.0.annotation.name": "thumbs", "annotations.0.annotation.score": 0,
        "annotations.0.annotation.annotator_kind": "HUMAN",
    })  # fmt: skip
    apart = {
        "id": "a1",
        "span_id": "s1",
        "name": "user_feedback",
        "annotator_kind": "HUMAN",
        "result": {"label": "thumbs-up", "score": 1},
    }
    judged = apart | {"id": "a2", "annotator_kind": "LLM"}
    rows = batch_of(json.loads(export(on_span)), apart, judged).feedback
    assert {(r["event_id"], r["call_id"], r["rating"]) for r in rows} == {
        ("a" * 32 + "-s2", "s2", -1), (None, "s1", 1), (None, "s1", None),
    }  # fmt: skip


def test_metadata_stays_whole():
    assert flat({"a": [{"b": 1}, {"b": 2}], "metadata": {"x": {"y": 1}}, "c": [1], "d": None}) == {
        "a.0.b": 1, "a.1.b": 2, "metadata": {"x": {"y": 1}}, "c": [1],
    }  # fmt: skip


def test_rows_without_ids_are_set_aside():
    batch = batch_of({"span_kind": "LLM"}, LLM | {"start_time": "soon"}, LLM)
    assert [r.line for r in batch.rejections] == [1, 2]
    assert len(batch.records) == 1
