"""MLflow traces of both versions: identifiers, joins, totals of the trace, and assessments."""

import json

from aiops_pipelines.inference_log.mlflow import read, recognises
from aiops_pipelines.inference_log.record import TOKEN_COLUMNS
from aiops_pipelines_tests.inference_log.renderings import START_NS


def quoted(values):
    return {name: json.dumps(value) for name, value in values.items()}


CHAT = {
    "mlflow.spanType": "CHAT_MODEL",
    "mlflow.spanInputs": {"messages": [{"role": "user", "content": "why?"}]},
}


def span(span_id, values, start=0, parent=None):
    return {
        "trace_id": "x", "span_id": span_id, "parent_span_id": parent, "start_time_unix_nano": START_NS + start * 10**6,
        "end_time_unix_nano": START_NS + (start + 400) * 10**6, "attributes": quoted(values),
        "status": {"code": "STATUS_CODE_OK"},
    }  # fmt: skip


def trace(*spans, **info):
    base = {"trace_id": "tr-1", "request_time": "2026-06-01T12:00:00Z", "state": "OK"}
    return {"info": base | info, "data": {"spans": list(spans)}}


def batch_of(*traces):
    return read((number, json.dumps(one).encode()) for number, one in enumerate(traces, 1))


def test_calls_are_joined_with_retrieval_session_and_prompt():
    documents = [{"page_content": "it is so", "metadata": {"doc_uri": "a.md", "chunk_id": "c1"}}]
    retriever = {
        "mlflow.spanType": "RETRIEVER",
        "mlflow.spanInputs": {"query": "why?"},
        "mlflow.spanOutputs": documents,
    }
    one = trace(
        span("AAAAAAAAAAA=", retriever),
        span("AAAAAAAAAAE=", CHAT | {"mlflow.llm.model": "claude-3-5-haiku"}, start=10),
        trace_metadata={"mlflow.trace.session": "s1", "mlflow.trace.user": "u1"},
        tags={"mlflow.traceName": "help", "mlflow.linkedPrompts": '[{"name": "answer", "version": "3"}]'},
    )
    [record] = batch_of(one).records
    assert record["event_id"] == "tr-1-" + "0" * 15 + "1"
    assert (record["session_id"], record["user_id"], record["endpoint"]) == ("s1", "u1", "help")
    assert (record["provider"], record["prompt_version"], record["latency_ms"]) == (
        "anthropic",
        "answer@3",
        400,
    )
    assert record["retrieved"] == [{"chunk_id": "c1", "document": "a.md", "score": None}]


def test_the_usage_of_a_trace_is_that_of_its_only_call():
    whole = {"mlflow.trace.tokenUsage": '{"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}'}
    [record] = batch_of(trace(span("a" * 16, CHAT), trace_metadata=whole)).records
    assert (record["input_uncached"], record["output_visible"]) == (9, 2)
    calls = batch_of(trace(span("a" * 16, CHAT), span("b" * 16, CHAT), trace_metadata=whole)).records
    assert [record["tokens_total"] for record in calls] == [None, None]  # whose they are cannot be told


def test_what_anthropic_cached_is_beside_the_input_and_in_no_total():
    """The control: of others the total decides."""
    usage = {"input_tokens": 900, "output_tokens": 100, "total_tokens": 1000}
    cached = {"cache_read_input_tokens": 500, "cache_creation_input_tokens": 300}
    values = CHAT | {"mlflow.chat.tokenUsage": usage | cached}
    [record] = batch_of(trace(span("c" * 16, values | {"mlflow.message.format": "anthropic"}))).records
    assert [record[name] for name in TOKEN_COLUMNS] == [900, 500, 300, 100, 0]
    [record] = batch_of(trace(span("c" * 16, values | {"mlflow.message.format": "openai"}))).records
    assert [record[name] for name in TOKEN_COLUMNS] == [100, 500, 300, 100, 0]


def test_assessments_are_feedback_on_their_span():
    said = [
        {"assessment_id": "a1", "assessment_name": "helpful", "span_id": "b" * 16, "feedback": {"value": False},
         "source": {"source_type": "HUMAN"}, "create_time": "2026-07-01T00:00:00Z"},
        {"assessment_id": "a2", "assessment_name": "correct", "feedback": {"value": True},
         "source": {"source_type": "LLM_JUDGE"}},
        {"assessment_id": "a3", "assessment_name": "expected", "expectation": {"value": "42"}},
    ]  # fmt: skip
    rows = batch_of(trace(span("b" * 16, CHAT), assessments=said)).feedback
    assert [(r["feedback_id"], r["event_id"], r["trace_id"], r["rating"], r["value"]) for r in rows] == [
        ("a1", "tr-1-" + "b" * 16, "tr-1", -1, 0.0),
        ("a2", None, "tr-1", None, 1.0),
    ]


def test_rows_of_a_data_frame_are_traces():
    row = {"trace_id": "tr-1", "state": "OK", "spans": json.dumps([span("b" * 16, CHAT)]), "tags": None}
    assert len(batch_of(row).records) == 1


def test_broken_traces_and_spans_are_set_aside_alone():
    bad = span("c" * 16, CHAT | {"mlflow.chat.tokenUsage": {"input_tokens": -1, "output_tokens": 1}})
    batch = batch_of({"info": {"trace_id": "tr-9"}}, trace(span("b" * 16, CHAT), bad), trace({"span_id": 7}))
    assert len(batch.records) == 1
    said = " ".join(rejection.reason for rejection in batch.rejections)
    assert "must be an MLflow trace" in said and "input_tokens is -1" in said


def test_a_span_of_the_genai_conventions_keeps_its_own_model_and_usage():
    stated = {
        "mlflow.spanType": "CHAT_MODEL",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 200,
        "gen_ai.usage.cache_read.input_tokens": 400,
    }
    [record] = batch_of(trace(span("s1", stated))).records
    assert (record["provider"], record["model_requested"]) == ("openai", "gpt-4o")
    assert (record["input_uncached"], record["cache_read"], record["tokens_total"]) == (600, 400, 1200)
    assert "cache_read" in record["usage_raw"]


def test_a_stream_of_version_2_is_told_by_its_chunks():
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 60},
    }
    chunks = [
        {"model": "gpt-4o-2024-08-06", "choices": [{"delta": {"content": "Paris."}}]},
        {"model": "gpt-4o-2024-08-06", "choices": [{"delta": {}, "finish_reason": "content_filter"}]},
        {"model": "gpt-4o-2024-08-06", "choices": [], "usage": usage},
    ]  # fmt: skip
    asked = CHAT["mlflow.spanInputs"] | {"model": "gpt-4o", "stream": True}
    one = span("s1", CHAT | {"mlflow.spanInputs": asked, "mlflow.spanOutputs": "Paris."})
    one["events"] = [
        {"name": f"mlflow.chunk.item.{n}", "timestamp": START_NS // 1000 + 50_000 + n, "attributes": {"mlflow.chunk.value": json.dumps(chunk)}}
        for n, chunk in enumerate(chunks)
    ]  # fmt: skip
    [record] = batch_of(trace(one)).records
    assert (record["model_requested"], record["model_served"]) == ("gpt-4o", "gpt-4o-2024-08-06")
    assert (record["input_uncached"], record["cache_read"], record["tokens_total"]) == (40, 60, 130)
    assert (record["answer"], record["status"], record["time_to_first_token_ms"]) == ("Paris.", "blocked", 50)


def test_the_last_chunks_of_a_long_stream_and_those_of_a_torn_one_tell_less():
    part = {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}
    one = span("s1", CHAT | {"mlflow.spanOutputs": "It is"})
    event = {"timestamp": START_NS // 1000 + 50_000, "attributes": {"mlflow.chunk.value": json.dumps(part)}}
    one["events"] = [event | {"name": "mlflow.chunk.item.7"}]
    [record] = batch_of(trace(one)).records
    assert (record["tokens_total"], record["time_to_first_token_ms"]) == (None, None)


def test_chunks_of_another_shape_and_time_leave_the_span_as_it_is():
    one = span("s1", CHAT | {"mlflow.spanOutputs": "It is so."})
    one["events"] = [
        {"name": "mlflow.chunk.item.0", "timestamp": "soon", "attributes": {"mlflow.chunk.value": '"It"'}}
    ]
    [record] = batch_of(trace(one)).records
    assert (record["answer"], record["tokens_total"], record["time_to_first_token_ms"]) == (
        "It is so.",
        None,
        None,
    )


def test_spans_that_are_no_objects_are_no_trace_of_mlflow():
    assert not recognises({"trace_id": "t", "spans": ["x"]})
