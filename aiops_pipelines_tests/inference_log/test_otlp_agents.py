import json

import pytest

from aiops_pipelines_tests.inference_log.test_otlp_json import one, span

ONE, TWO, THREE = (digit * 16 for digit in "123")
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.system": "openai"}


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
