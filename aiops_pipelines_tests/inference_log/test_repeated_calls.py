"""One call that a framework and its client both logged is one record; calls that only look alike are not."""

import json

import pytest

from aiops_pipelines.inference_log.otlp_json import read
from aiops_pipelines_tests.inference_log.test_otlp_json import START, export, span

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


def libraries(*members, trace="a" * 32):
    """Spans of one trace, each made by a library of its own: (library, span)."""
    groups = [{"scope": {"name": name}, "spans": [{**one, "traceId": trace}]} for name, one in members]
    return {"resourceSpans": [{"scopeSpans": groups}]}


def made(*requests):
    batch = read([(line, json.dumps(request).encode()) for line, request in enumerate(requests, start=1)])
    assert batch.rejections == []
    return {record["event_id"][-16:]: record["tokens_total"] for record in batch.records}


WITHIN = {"start": 20, "endTimeUnixNano": str(START + 200 * 10**6)}
SERVED = {**COUNTED, "gen_ai.response.model": "gpt-4o-2024-08-06"}


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        (OPENINFERENCE, SERVED, {INNER: 1200}),
        ({**OPENINFERENCE, "llm.model_name": "gpt-4o-2024"}, {**SERVED, "gen_ai.request.model": "gpt-4o-2024-08-06"}, {INNER: 1200}),
        ({**OPENINFERENCE, "llm.model_name": "gpt-5"}, COUNTED, {OUTER: 1200, INNER: 1200}),
        ({**OPENINFERENCE, "llm.token_count.completion": 300, "llm.token_count.total": 1300}, COUNTED, {OUTER: 1300, INNER: 1200}),
        ({"openinference.span.kind": "LLM"}, COUNTED, {OUTER: None, INNER: 1200}),
    ],
    ids=["same", "a dated name", "another model", "other counts", "no counts"],
)  # fmt: skip
def test_a_call_of_another_library_within_its_time_is_the_same_by_model_and_counts(outer, inner, expected):
    """The client's span is no child where the framework does not make its own the current one."""
    outside, within = (
        span(OUTER, outer),
        span(INNER, inner, **WITHIN),
    )
    assert made(libraries(("framework", outside), ("client", within))) == expected


def test_calls_of_one_library_or_beside_each_other_stay_apart():
    same = libraries(("client", span(OUTER, COUNTED)), ("client", span(INNER, COUNTED, **WITHIN)))
    assert len(made(same)) == 2
    beside = libraries(("framework", span(OUTER, COUNTED)), ("client", span(INNER, COUNTED, start=20)))
    assert len(made(beside)) == 2


def test_two_calls_at_once_are_each_found_once():
    spans = [
        ("framework", span(OUTER, COUNTED)),
        ("framework", span(LATER, COUNTED, start=1)),
        ("client", span(MIDDLE, COUNTED, start=20, endTimeUnixNano=str(START + 200 * 10**6))),
        ("client", span(INNER, COUNTED, start=21, endTimeUnixNano=str(START + 201 * 10**6))),
    ]
    assert made(libraries(*spans)) == {MIDDLE: 1200, INNER: 1200}


@pytest.mark.parametrize("children", [True, False])
def test_calls_at_once_that_lie_in_each_other_are_each_counted(children):
    """Ten requests of equal counts, each begun later and done sooner than the one before."""
    spans = []
    for n in range(10):
        for library, at in (("framework", 0), ("client", 1)):
            end = START + (1000 - 2 * n - at) * 10**6
            name, parent = f"{at}{n}" * 8, f"0{n}" * 8 if at and children else ""
            spans.append((library, span(name, COUNTED, 2 * n + at, parent, endTimeUnixNano=str(end))))
    assert made(libraries(*spans)) == {f"1{n}" * 8: 1200 for n in range(10)}


def test_a_failure_that_two_libraries_log_is_one_with_the_model_that_one_names():
    failed = {"gen_ai.operation.name": "chat", "error.type": "429"}
    outside = span(OUTER, {**failed, "gen_ai.request.model": "gpt-4o"}, status={"code": 2})
    within = span(INNER, failed, **WITHIN, status={"code": 2})
    batch = read([(1, json.dumps(libraries(("framework", outside), ("client", within))).encode())])
    assert [(r["status"], r["model_requested"]) for r in batch.records] == [("error", "gpt-4o")]


def test_a_child_of_another_library_is_found_whatever_the_order_and_the_clock():
    """Exporters write a child before its parent; two clocks may let it start first."""
    parent = ("framework", span(OUTER, COUNTED))
    for start in (0, -5):
        child = ("client", span(INNER, COUNTED, start=start, parent=OUTER))
        assert made(libraries(child, parent)) == {INNER: 1200}
    third = ("gateway", span(MIDDLE, COUNTED, **WITHIN, parent=INNER))
    assert made(libraries(third, child, parent)) == {MIDDLE: 1200}


@pytest.mark.parametrize("name", ["gen_ai.response.id", "gen_ai.input.messages"])
def test_calls_that_say_another_response_or_ask_another_thing_are_two(name):
    texts = {"one": '[{"role": "user", "content": "one"}]', "two": '[{"role": "user", "content": "two"}]'}

    def both(first, second):
        outside, within = (
            span(OUTER, {**COUNTED, name: first}),
            span(INNER, {**COUNTED, name: second}, **WITHIN),
        )
        return len(made(libraries(("framework", outside), ("client", within))))

    assert both(texts["one"], texts["two"]) == 2
    assert both(texts["one"], texts["one"]) == 1


RESPONSE = {**COUNTED, "gen_ai.response.id": "msg_1"}


@pytest.mark.parametrize("counted", [200, 201])
def test_one_response_that_two_libraries_log_is_one_call_whatever_they_count(counted):
    outer, inner = {**RESPONSE, "gen_ai.usage.output_tokens": counted}, span(INNER, RESPONSE, **WITHIN)
    assert made(libraries(("framework", span(OUTER, outer)), ("client", inner))) == {INNER: 1200}
    one_library = libraries(("client", span(OUTER, outer)), ("client", inner))
    assert len(made(one_library)) == (1 if counted == 200 else 2)


def test_one_response_in_two_traces_is_one_call():
    outer = libraries(("framework", span(OUTER, RESPONSE)))
    inner = ("client", span(INNER, RESPONSE, **WITHIN))
    assert made(outer, libraries(inner, trace="b" * 32)) == {INNER: 1200}
    other = ("client", span(INNER, {**RESPONSE, "gen_ai.response.id": "msg_2"}, **WITHIN))
    assert len(made(outer, libraries(other, trace="b" * 32))) == 2
    for start in (0, 20, 9000):  # an id that a server for tests gives to all
        apart = ("client", span(INNER, RESPONSE, start=start))
        assert len(made(outer, libraries(apart, trace="b" * 32))) == 2
    another = ("client", span(INNER, {**RESPONSE, "gen_ai.request.model": "gpt-5"}, **WITHIN))
    assert len(made(outer, libraries(another, trace="b" * 32))) == 2


def test_numbered_messages_of_two_spans_are_not_mixed():
    outer = {**OPENINFERENCE, "llm.output_messages.0.message.content": "Yes."}
    inner = {**OPENINFERENCE, "llm.output_messages.1.message.content": "Yes."}
    _, batch = calls(span(OUTER, outer), span(INNER, inner, start=20, parent=OUTER))
    assert [record["answer"] for record in batch.records] == ["Yes."]
