"""The texts in requests and responses of providers: what counts as said, and by whom."""

import pytest

from aiops_pipelines.inference_log.provider_texts import answer_text


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
