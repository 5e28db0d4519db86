"""The texts in requests and responses of providers: what counts as said, and by whom."""

import json

import pytest

from aiops_pipelines.inference_log.provider_streams import streamed_body
from aiops_pipelines.inference_log.provider_texts import answer_text, request_turns

CITED = {
    "citations": [{"sourceContent": [{"text": "Ruby, 1993."}]}],
    "content": [{"text": "Ruby is of 1993."}],
}


@pytest.mark.parametrize(
    "beside",
    [
        {"type": "image_generation_call", "result": "iVBORw0KGgo="},
        {"type": "mcp_call", "output": "what the tool returned"},
        {"type": "file_search_call", "results": [{"text": "what was found"}]},
        {"type": "mcp_tool_result", "content": [{"type": "text", "text": "what the tool returned"}]},
        {"type": "compaction", "content": "a summary of the dialogue"},
    ],
)
def test_what_a_tool_returned_is_no_answer(beside):
    said = {"type": "message", "content": [{"type": "output_text", "text": "Here it is."}]}
    assert answer_text({"output": [beside, said]}) == "Here it is."
    assert answer_text({"content": [beside, {"type": "text", "text": "Here it is."}]}) == "Here it is."
    assert answer_text({"output": [beside]}) == ""


@pytest.mark.parametrize(
    "response",
    [
        {"output": {"message": {"content": [{"citationsContent": CITED}]}}},
        {"outputs": [{"text": "Ruby is of 1993.", "stop_reason": "stop"}]},
        {"completions": [{"data": {"text": "Ruby is of 1993.", "tokens": []}}]},
    ],
    ids=["converse with citations", "mistral", "ai21"],
)
def test_answers_on_bedrock(response):
    assert answer_text(response) == "Ruby is of 1993."


@pytest.mark.parametrize(
    "parts",
    [
        [{"index": 0, "is_finished": False, "text": "Hel"}, {"index": 0, "is_finished": False, "text": "lo"},
         {"finish_reason": "COMPLETE", "is_finished": True}],
        [{"type": "completion", "completion": "Hel"}, {"completion": "lo", "stop_reason": "stop_sequence"}],
    ],
    ids=["cohere command", "claude before messages"],
)  # fmt: skip
def test_streams_of_older_families(parts):
    assert streamed_body("\n".join(map(json.dumps, parts)))["text"] == "Hello"


def test_a_request_may_stand_within_its_input():
    asked = {"model": "qwen-plus", "input": {"messages": [{"role": "user", "content": "hi"}]}}
    assert request_turns(asked) == request_turns({"input": {"prompt": "hi"}}) == [("user", "hi")]


def test_what_a_tool_returned_is_no_question():
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "42"}]}
    asked = {"role": "user", "content": "how many?"}
    assert request_turns({"messages": [asked, {"role": "user", "content": [result]}]}) == [
        ("user", "how many?"),
        ("tool", "42"),
    ]
    also = {"role": "user", "content": [result, {"type": "text", "text": "and now?"}]}
    assert request_turns({"messages": [also]}) == [("tool", "42"), ("user", "and now?")]
    returned = [{"type": "mcp_call", "output": "42"}, {"type": "image_generation_call", "result": "iVBORw0="}]
    assert request_turns({"input": [asked, *returned]}) == [("user", "how many?"), ("tool", "42")]
