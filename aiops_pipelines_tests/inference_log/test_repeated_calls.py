"""One call that a framework and its client both logged is one record; calls that only look alike are not."""

import pytest

from aiops_pipelines.inference_log.otlp_json import read
from aiops_pipelines_tests.inference_log.test_otlp_json import export, span

MODEL = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
COUNTED = {**MODEL, "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 200}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.token_count.prompt": 1000,
    "llm.token_count.completion": 200,
    "llm.token_count.total": 1200,
}
CHAIN = {"openinference.span.kind": "CHAIN"}
TOOL = {"gen_ai.operation.name": "execute_tool"}
OUTER, MIDDLE, INNER, LATER = (digit * 16 for digit in "1234")


def calls(*spans):
    batch = read([(1, export(*spans))])
    assert batch.rejections == []
    return {record["event_id"][-16:]: record["tokens_total"] for record in batch.records}, batch


@pytest.mark.parametrize(
    ("outer", "between", "expected"),
    [
        (COUNTED, None, {INNER: 1200}),
        (OPENINFERENCE, None, {INNER: 1200}),
        (OPENINFERENCE, CHAIN, {INNER: 1200}),
        (MODEL, None, {INNER: 1200}),
        (COUNTED, TOOL, {OUTER: 1200, INNER: 1200}),
        ({**COUNTED, "gen_ai.usage.output_tokens": 900}, None, {OUTER: 1900, INNER: 1200}),
    ],
    ids=["same", "two dialects", "chain between", "outer counts nothing", "tool between", "other counts"],
)
def test_a_call_inside_a_call_is_counted_once_unless_it_is_another(outer, between, expected):
    inner = span(INNER, COUNTED, start=20, parent=MIDDLE if between else OUTER)
    middle = [span(MIDDLE, between, start=10, parent=OUTER)] if between else []
    found, batch = calls(span(OUTER, outer), *middle, inner)
    assert found == expected
    assert batch.ignored["model call logged again"] == 2 - len(expected)


def test_retries_inside_a_call_are_attempts_of_their_own():
    failed = span(MIDDLE, {**MODEL, "error.type": "429"}, start=10, parent=OUTER, status={"code": 2})
    found, batch = calls(span(OUTER, COUNTED), failed, span(INNER, COUNTED, start=20, parent=OUTER))
    assert found == {MIDDLE: None, INNER: 1200}
    assert [record["status"] for record in batch.records] == ["error", "ok"]


def test_an_outer_call_that_sums_its_calls_up_adds_nothing():
    summed = {**MODEL, "gen_ai.usage.input_tokens": 3000, "gen_ai.usage.output_tokens": 450}
    other = {**MODEL, "gen_ai.usage.input_tokens": 2000, "gen_ai.usage.output_tokens": 250}
    inner = span(INNER, COUNTED, start=10, parent=OUTER), span(LATER, other, start=20, parent=OUTER)
    assert calls(span(OUTER, summed), *inner)[0] == {INNER: 1200, LATER: 2250}


def test_usage_that_only_the_outer_call_knows_is_kept_with_it():
    assert calls(span(OUTER, COUNTED), span(INNER, MODEL, start=10, parent=OUTER))[0] == {OUTER: 1200}


def test_three_deep_in_any_order_is_one_call():
    spans = (
        span(OUTER, OPENINFERENCE),
        span(MIDDLE, MODEL, start=10, parent=OUTER),
        span(INNER, COUNTED, start=20, parent=MIDDLE),
    )
    assert calls(*spans)[0] == calls(*reversed(spans))[0] == {INNER: 1200}


def test_two_spans_with_one_response_are_one_call_and_other_responses_are_not():
    answered = [{**COUNTED, "gen_ai.response.id": name} for name in ("r1", "r1", "r2")]
    spans = [span(name, values) for name, values in zip((OUTER, INNER, LATER), answered, strict=True)]
    assert len(calls(*spans)[0]) == 2


def test_spans_that_are_each_others_parent_are_kept():
    assert len(calls(span(OUTER, COUNTED, parent=INNER), span(INNER, COUNTED, parent=OUTER))[0]) == 2


def test_the_one_record_has_the_texts_and_the_retrieval_of_both():
    asked = {**COUNTED, "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Where is it?"}
    documents = [{"id": "c1", "score": 0.5}]
    retrieval = {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": documents}
    _, batch = calls(
        span(OUTER, asked),
        span(MIDDLE, retrieval, start=10, parent=OUTER),
        span(INNER, COUNTED, start=20, parent=OUTER),
    )
    [record] = batch.records
    assert record["query"] == "Where is it?"
    assert [chunk["chunk_id"] for chunk in record["retrieved"]] == ["c1"]
