import json

import pytest

from aiops_pipelines.inference_log.otlp_json import read
from aiops_pipelines_tests.inference_log.test_otlp_json import TRACE, any_value, export, one, span

ONE, TWO, THREE = (digit * 16 for digit in "123")
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.system": "openai"}


def test_semantic_kernel_logs_its_messages_as_json_text():
    """Python's logging gives a body no other type."""

    def logged(name, body):
        said = [{"key": "event.name", "value": {"stringValue": name}}]
        return {"traceId": TRACE, "spanId": ONE, "attributes": said, "body": any_value(json.dumps(body))}

    messages = [
        logged("gen_ai.system.message", {"role": "system", "content": "Be brief."}),
        logged("gen_ai.user.message", {"role": "user", "content": "Rain?"}),
        logged(
            "gen_ai.choice", {"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
        ),
    ]
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": messages}]}]}
    [record] = read([(1, json.dumps(logs).encode()), (2, export(span(ONE, CHAT)))]).records
    assert (record["query"], record["answer"]) == ("Rain?", "Yes.")


@pytest.mark.parametrize(
    "turn",
    [
        {"parts": [{"type": "tool_call_response", "id": "c1", "name": "weather", "result": "sunny"}]},
        {"content": [{"type": "tool_result", "tool_use_id": "c1", "content": "sunny"}]},
    ],
)
def test_what_a_tool_returned_to_the_user_is_no_question(turn):
    """Pydantic AI writes it in a message of the user's, as Anthropic wants it."""
    (key, [returned]) = next(iter(turn.items()))
    asked = {"role": "user", "parts": [{"type": "text", "content": "Weather?"}]}
    called = {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "weather"}]}
    messages = [asked, called, {"role": "user", **turn}]
    assert one(span(ONE, {**CHAT, "gen_ai.input.messages": json.dumps(messages)}))["query"] == "Weather?"
    messages[2] = {
        "role": "user",
        key: [returned, {"type": "text", "content": "And Basel?", "text": "And Basel?"}],
    }
    assert one(span(ONE, {**CHAT, "gen_ai.input.messages": json.dumps(messages)}))["query"] == "And Basel?"


@pytest.mark.parametrize(("named", "session"), [("resp_68a1", None), ("conv_68a1", "conv_68a1")])
def test_the_response_before_is_no_session(named, session):
    assert one(span(ONE, {**CHAT, "gen_ai.conversation.id": named}))["session_id"] == session


LLM = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.token_count.prompt": 1001,
    "llm.token_count.completion": 101,
    "llm.token_count.total": 1102,
}


def test_an_answer_of_tool_calls_alone_is_not_its_dump():
    values = {
        **LLM,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather",
        "output.value": json.dumps({"replies": ["ChatMessage(_content=[ToolCall(tool_name='weather')])"]}),
    }
    assert one(span(ONE, values))["answer"] is None


def test_a_stream_of_openais_agents_dumps_its_response_in_a_list():
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}
    response = {"id": "__fake_id__", "object": "response", "output": [said], "usage": None}
    values = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o",
        "output.value": json.dumps([response]),
    }
    assert one(span(ONE, values))["answer"] == "Yes."
