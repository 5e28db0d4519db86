"""Recorded provider calls: what asks a model, streams put together, usage beside the answer, failures."""

import json

import pytest

from aiops_pipelines.inference_log.provider_http import read
from aiops_pipelines.inference_log.provider_streams import streamed_body
from aiops_pipelines.inference_log.provider_texts import exchange

CALL = {
    "id": "h1", "host": "api.openai.com", "path": "/v1/chat/completions", "method": "POST", "status": 200,
    "date": "Mon, 01 Jun 2026 12:00:00 GMT", "processing_ms": "812.5", "request": {"model": "gpt-4o", "messages": []},
    "response": {"model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
}  # fmt: skip


def batch_of(*rows):
    return read((number, json.dumps(row).encode()) for number, row in enumerate(rows, 1))


def stream(*events):
    return "".join(f"event: x\ndata: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def test_a_call_is_read_with_its_server_time():
    [record] = batch_of(CALL).records
    assert (record["event_id"], record["provider"], record["model_served"]) == (
        "h1",
        "openai",
        "gpt-4o-2024-08-06",
    )
    assert (record["latency_ms"], record["time_to_first_token_ms"], record["tokens_total"]) == (812, None, 5)
    assert record["occurred_at"].isoformat() == "2026-06-01T12:00:00+00:00"
    [streamed] = batch_of(CALL | {"response": stream({"choices": [{"delta": {"content": "hi"}}]})}).records
    assert (streamed["latency_ms"], streamed["time_to_first_token_ms"], streamed["answer"]) == (
        None,
        812,
        "hi",
    )


@pytest.mark.parametrize(
    ("changes", "is_call"),
    [
        ({"path": "/v1/embeddings", "response": {"usage": {"prompt_tokens": 8, "total_tokens": 8}}}, True),
        ({"path": "/v1/rerank", "response": {"meta": {"billed_units": {"search_units": 1}}}}, False),
        ({"path": "/v1/images/generations", "response": {"data": []}}, False),
        ({"path": "/v1/threads/t/runs", "response": {"id": "run_1", "usage": None}}, False),
        (
            {
                "path": "/v1/threads/t/runs/run_1",
                "method": "GET",
                "response": {"id": "run_1", "object": "thread.run", "usage": CALL["response"]["usage"]},
            },
            True,
        ),
        ({"path": "/v1beta/cachedContents", "response": {"usageMetadata": {"totalTokenCount": 9}}}, False),
        ({"path": "/v1/models", "method": "GET", "response": {"data": []}}, False),
        ({"path": "/model/amazon.nova-lite-v1%3A0/converse-stream", "response": None}, True),
    ],
)
def test_what_asks_a_model(changes, is_call):
    batch = batch_of(CALL | changes)
    assert (len(batch.records), batch.ignored.total(), batch.rejections) == (is_call, not is_call, [])


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        ({"method": "POST", "url": "https://h/v1", "postData": {"text": "{}"}}, {"status": 200, "content": {"text": "{}"}}),
        ({"method": "POST", "uri": "https://h/v1", "body": "{}"}, {"status": {"code": 200}, "body": {"string": "{}"}}),
    ],
)  # fmt: skip
def test_whole_messages_of_har_and_vcr_are_told_what_to_write_instead(request_, response):
    batch = batch_of({"request": request_, "response": response})
    assert batch.records == []
    assert "host, path, method, status and date" in batch.rejections[0].reason


def test_the_model_of_a_path_is_the_model_asked_for():
    path = "/model/us.amazon.nova-lite-v1%3A0/invoke"
    [record] = batch_of(
        CALL | {"host": "bedrock-runtime.eu-west-1.amazonaws.com", "path": path, "request": {}}
    ).records
    assert (record["provider"], record["model_requested"]) == ("aws", "us.amazon.nova-lite-v1:0")


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        (
            {"status": 404, "response": {"error": {"type": "invalid_request_error"}}},
            ("error", "invalid_request_error"),
        ),
        ({"status": 503, "response": "upstream down"}, ("error", "HTTP 503")),
        ({"status": 400, "response": {"error": {"code": "content_filter"}}}, ("blocked", None)),
        (
            {"response": {"choices": [{"message": {"refusal": "no"}, "finish_reason": "stop"}]}},
            ("refused", None),
        ),
        ({"response": {"choices": [{"finish_reason": "content_filter"}]}}, ("blocked", None)),
        ({"response": {"content": [], "stop_reason": "refusal"}}, ("refused", None)),
        (
            {
                "response": stream(
                    {"type": "message-end", "delta": {"error": "invalid", "error_type": "INVALID_TOOL"}}
                )
            },
            ("error", "INVALID_TOOL"),
        ),
        (
            {
                "response": '{"contentBlockDelta": {"delta": {"text": "a"}}}\n{"throttlingException": {"message": "slow"}}'
            },
            ("error", "throttlingException"),
        ),
        (
            {"status": 429, "response": {"__type": "com.amazon#ThrottlingException", "message": "slow"}},
            ("error", "ThrottlingException"),
        ),
        (
            {
                "status": 400,
                "response": {"object": "error", "type": "BadRequestError", "code": 400, "message": "long"},
            },
            ("error", "BadRequestError"),
        ),
        (
            {
                "path": "/api/v1/services/aigc/text-generation/generation",
                "status": 401,
                "response": {"code": "InvalidApiKey", "message": "no"},
            },
            ("error", "InvalidApiKey"),
        ),
        ({"status": 401, "response": {"message": "invalid api token"}}, ("error", "HTTP 401")),
        ({"response": {"error": "overloaded"}}, ("error", "error")),
        ({"status": 500, "response": {"error": {"type": {"deep": [1]}}}}, ("error", "{'deep': [1]}")),
    ],
)
def test_outcomes(changes, outcome):
    [record] = batch_of(CALL | changes).records
    assert (record["status"], record["error_type"]) == outcome
    assert record["answer"] is None or changes.get("status", 200) < 400


STREAMS = {
    "openai responses": (
        [{"type": "response.output_text.delta", "delta": "Hel"}, {"type": "response.completed", "response": {
            "output": [{"type": "reasoning", "summary": []}, {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}],
            "usage": {"input_tokens": 4, "output_tokens": 1}}}], (4, 1)),
    "cohere": (
        [{"type": "content-delta", "delta": {"message": {"content": {"text": "Hello"}}}},
         {"type": "message-end", "delta": {"usage": {"billed_units": {"input_tokens": 4, "output_tokens": 1}}}}], (4, 1)),
    "gemini": (
        [{"candidates": [{"content": {"parts": [{"text": "secret", "thought": True}, {"text": "Hel"}]}}]},
         {"candidates": [{"content": {"parts": [{"text": "lo"}]}}],
          "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 1, "totalTokenCount": 5}}], (4, 1)),
    "watsonx": (
        [{"results": [{"generated_text": "Hel", "generated_token_count": 0, "input_token_count": 4}]},
         {"results": [{"generated_text": "lo", "generated_token_count": 1, "input_token_count": 0}]}], (4, 1)),
    "ollama": (
        [{"model": "llama3", "message": {"role": "assistant", "content": "Hel"}, "done": False},
         {"message": {"content": "lo"}, "done": True, "prompt_eval_count": 4, "eval_count": 1}], (4, 1)),
    "bedrock converse": (
        [{"messageStart": {"role": "assistant"}}, {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hel"}}},
         {"contentBlockDelta": {"delta": {"text": "lo"}}}, {"contentBlockStop": {"contentBlockIndex": 0}},
         {"messageStop": {"stopReason": "end_turn"}}, {"metadata": {"usage": {"inputTokens": 4, "outputTokens": 1, "totalTokens": 5}}}], (4, 1)),
    "bedrock, metered": (
        [{"generation": "Hel"}, {"outputs": [{"text": "lo"}], "amazon-bedrock-invocationMetrics": {
            "inputTokenCount": 4, "outputTokenCount": 1, "invocationLatency": 9}}], (4, 1)),
    "groq": (
        [{"choices": [{"delta": {"content": "Hello"}}]},
         {"choices": [{"delta": {}, "finish_reason": "stop"}], "x_groq": {"usage": {"prompt_tokens": 4, "completion_tokens": 1}}}], (4, 1)),
    "llama.cpp": (
        [{"content": "Hel", "stop": False, "tokens_predicted": 0, "tokens_evaluated": 4}, {"content": "lo", "stop": False},
         {"content": "", "stop": True, "stop_type": "eos", "tokens_predicted": 1, "tokens_evaluated": 4}], (4, 1)),
    "dashscope, what is new": (
        [{"output": {"choices": [{"message": {"content": text}, "finish_reason": end}]}, "usage": {"input_tokens": 4, "output_tokens": count}}
         for text, end, count in (("Hel", "null", 0), ("lo", "null", 1), ("", "stop", 1))], (4, 1)),
    "dashscope, all until then": (
        [{"output": {"text": text, "finish_reason": end}, "usage": {"input_tokens": 4, "output_tokens": count}}
         for text, end, count in (("Hel", "null", 0), ("Hello", "stop", 1))], (4, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_streams_are_put_together(name):
    parts, counts = STREAMS[name]
    [record] = batch_of(CALL | {"response": stream(*parts)}).records
    assert (record["answer"], record["input_uncached"], record["output_visible"]) == ("Hello", *counts)


@pytest.mark.parametrize(
    ("parts", "counts"),
    [
        ([{"type": "message_start", "message": {"model": "claude", "usage": {"input_tokens": 4, "output_tokens": 1}}},
          {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hel"}}], (4, 1)),
        ([{"candidates": [{"content": {"parts": [{"text": "Hel"}]}}], "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}}], (4, 0)),
        ([{"choices": [{"delta": {"content": "Hel"}}], "usage": {"prompt_tokens": 4, "completion_tokens": 1}}], (4, 1)),
        ([{"content": "Hel", "stop": False, "tokens_predicted": 1, "tokens_evaluated": 4}], (4, 1)),
    ],
    ids=["anthropic", "gemini", "counted up in each part", "llama.cpp"],
)  # fmt: skip
def test_a_stream_that_was_cut_has_the_counts_so_far_and_is_ambiguous(parts, counts):
    cut = stream(*parts).removesuffix("data: [DONE]\n\n")
    [record] = batch_of(CALL | {"response": cut + 'data: {"id": "x", "cho'}).records
    assert record["token_convention"] == "ambiguous"
    assert (record["answer"], record["input_uncached"], record["output_visible"]) == ("Hel", *counts)
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    [whole] = batch_of(CALL | {"response": stream(*parts, end)}).records
    assert whole["token_convention"] != "ambiguous"


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("/v1/audio/transcriptions", "transcript.text.done"),
        ("/v1/audio/speech", "speech.audio.done"),
        ("/v1/images/generations", "image_generation.completed"),
        ("/v1/images/edits", "image_edit.completed"),
    ],
)
def test_streams_of_pictures_and_recordings_end_by_their_type_and_are_no_chats(path, end):
    usage = {"input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    response = stream({"type": end, "usage": usage}).removesuffix("data: [DONE]\n\n")
    [record] = batch_of(CALL | {"path": path, "response": response}).records
    assert (record["operation"], record["tokens_total"], record["token_convention"]) == (
        "other",
        59,
        "inclusive",
    )


def test_an_answer_may_hold_what_only_python_takes_for_the_end_of_a_line():
    said = {"type": "message", "content": [{"type": "output_text", "text": "one\u2028two\x85"}]}
    usage = {"input_tokens": 4, "output_tokens": 1}
    part = {"type": "response.completed", "response": {"output": [said], "usage": usage}}
    response = f"event: x\r\ndata: {json.dumps(part, ensure_ascii=False)}\r\n\r\n"
    [record] = batch_of(CALL | {"response": response}).records
    assert (record["answer"], record["tokens_total"]) == ("one\u2028two\x85", 5)


def test_what_huggingface_generates_is_the_answer_alone_or_in_a_list():
    for response in ({"generated_text": "Hello"}, [{"generated_text": "Hello", "details": {}}]):
        assert batch_of(CALL | {"path": "/generate", "response": response}).records[0]["answer"] == "Hello"


def test_a_converse_stream_has_ended_with_its_stop_reason():
    parts = [
        {"contentBlockDelta": {"delta": {"text": "Hel"}}},
        {"metadata": {"usage": {"inputTokens": 4, "outputTokens": 1}}},
    ]
    stop = [{"messageStop": {"stopReason": "max_tokens"}}]
    cut, whole = (
        batch_of(CALL | {"response": "\n".join(map(json.dumps, found))}).records[0]
        for found in (parts, stop + parts)
    )
    assert (cut["token_convention"], cut["tokens_total"]) == ("ambiguous", 5)
    assert (whole["token_convention"], whole["tokens_total"]) == ("disjoint", 5)


def test_an_interaction_with_gemini_counts_thoughts_beside_the_answer():
    usage = {"total_tokens": 234, "total_input_tokens": 9, "total_cached_tokens": 0, "total_output_tokens": 13,
             "total_tool_use_tokens": 5, "total_thought_tokens": 207}  # fmt: skip
    steps = [
        {"type": "thought", "signature": "x"},
        {"type": "model_output", "content": [{"type": "text", "text": "Hi"}]},
    ]
    streamed = stream(
        {"event_type": "step.delta", "delta": {"type": "text", "text": "Hi"}},
        {"event_type": "interaction.completed", "interaction": {"model": "gemini-2.5-flash", "usage": usage}},
    )
    for response in ({"model": "gemini-2.5-flash", "usage": usage, "steps": steps}, streamed):
        [record] = batch_of(CALL | {"path": "/v1beta/interactions", "response": response}).records
        assert (record["input_uncached"], record["output_visible"], record["reasoning"]) == (14, 13, 207)
        assert (record["tokens_total"], record["token_convention"]) == (234, "inclusive")
        assert (record["model_served"], record["answer"]) == ("gemini-2.5-flash", "Hi")


def test_a_status_and_counts_may_be_text():
    usage = {"prompt_tokens": "3", "completion_tokens": "2", "total_tokens": "5"}
    [record] = batch_of(CALL | {"response": {"usage": usage}}).records
    assert (record["status"], record["tokens_total"]) == ("ok", 5)
    [failed] = batch_of(CALL | {"status": "503", "response": None}).records
    assert (failed["status"], failed["error_type"]) == ("error", "HTTP 503")


def test_a_stream_of_json_lines_and_damaged_parts():
    lines = (
        '{"response": "Hel", "done": false}\n{"broken\n[1]\n{"response": "lo", "done": true, "eval_count": 2}'
    )
    assert streamed_body(lines)["text"] == "Hello"
    assert streamed_body("no stream at all") == {}


def test_texts_of_a_gemini_request():
    said = exchange(
        {
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {"role": "model", "parts": [{"text": "ho"}]},
            ],
            "tools": [{"functionDeclarations": []}],
        },
        {"candidates": [{"content": {"parts": [{"text": "yes"}]}, "finishReason": "STOP"}]},
    )
    assert said.turns == [("system", "be brief"), ("user", "hi"), ("assistant", "ho")]
    assert (said.answer, said.finish, bool(said.tools)) == ("yes", {"stop"}, True)
