"""The texts in a provider's request and response bodies, by shape: what was asked, offered and answered.

Shapes known: OpenAI chat, completions and responses, Anthropic, Gemini and its interactions, Bedrock with
its older families, Cohere, Ollama, watsonx, DashScope.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from aiops_pipelines.inference_log.messages import (
    Conversation,
    Turn,
    decoded,
    first,
    listed,
    messages,
    text_of,
)

SYSTEM = ("system", "instructions", "systemInstruction", "system_instruction", "preamble", "system_prompt")
LISTS = ("messages", "contents", "chat_history")
LAST = ("input", "prompt", "message", "inputText", "query", "inputs")
ROLES = {
    "model": "assistant",
    "chatbot": "assistant",
    "ai": "assistant",
    "human": "user",
    "system": "system",
    "developer": "system",
}
TOOLS = ("tools", "functions", "toolConfig", "tool_config")
FINISH = ("finish_reason", "finishReason", "stop_reason", "stopReason", "completionReason", "done_reason")
ANSWERS = (
    "choices", "output", "outputs", "steps", "content", "candidates", "message", "generations", "results",
    "completions", "text", "response", "generation", "completion", "output_text", "outputText",
    "generated_text", "answer", "value", "citationsContent",
)  # fmt: skip
"""Keys that lead to the answer, outer ones first."""
UNSAID = ("reasoning", "thinking", "thought", "compaction", "user_input")
OF_TOOLS = ("_call", "_use", "_call_output", "_result")
"""How the types of what a tool was asked and returned end: `image_generation_call`, `mcp_tool_result`."""


def request_turns(request: Any) -> list[Turn]:
    """Return the turns of a request in their order, system instructions first."""
    found = decoded(request)
    if not isinstance(found, Mapping):
        return messages(found)
    config = found.get("config") if isinstance(found.get("config"), Mapping) else {}
    given = first(found, *SYSTEM) or first(config or {}, *SYSTEM)
    turns = [("system", text)] if (text := text_of(given)) else []
    for key in LISTS:
        turns += _turns(found.get(key))
    for key in LAST:
        turns += _turns(found.get(key))
    wrapped = first(found, "body", "input")
    if not turns and isinstance(wrapped, Mapping | str):  # DashScope and Replicate wrap in `input`
        return request_turns(wrapped)
    return turns


def _turns(value: Any) -> Iterator[Turn]:
    for message in listed(value):
        if isinstance(message, list):  # LangChain asks several at once
            yield from _turns(message)
            continue
        role, text = "user", message if isinstance(message, str) else ""
        if isinstance(message, Mapping) and isinstance(
            message.get("kwargs"), Mapping
        ):  # as LangChain dumps it
            message = message["kwargs"]
            message = {"role": message.get("type"), **message}
        if isinstance(message, Mapping):
            named = str(message.get("role") or ("tool" if _of_a_tool(message) else "user"))
            role = ROLES.get(named.lower(), named.lower())
            parts = message.get("content")
            if role == "user" and isinstance(parts, list) and any(map(_of_a_tool, parts)):  # Anthropic
                yield from (("tool", told) for part in parts if _of_a_tool(part) and (told := text_of(part)))
                message = {"content": [part for part in parts if not _of_a_tool(part)]}
            text = text_of(message) or text_of(first(message, "message", "output", "data"))
        if text:
            yield role, text


def request_tools(request: Any) -> str:
    """Return the tool definitions of a request as text."""
    found = decoded(request)
    tools = first(found, *TOOLS) if isinstance(found, Mapping) else None
    return json.dumps(tools) if tools else ""


def answer_text(response: Any) -> str:
    """Return what a decoded response says, without reasoning and tool calls.

    Text in it is the answer as it stands, also where it spells JSON: structured outputs have fields that are
    named like those of responses.
    """
    if isinstance(response, str):
        return response
    if isinstance(response, list):
        return "\n".join(filter(None, map(answer_text, response)))
    if not isinstance(response, Mapping) or response.get("type") in UNSAID or _of_a_tool(response):
        return ""
    if response.get("thought") is True:
        return ""
    inner = (answer_text(response.get(key)) for key in ANSWERS if response.get(key) is not None)
    said = next((text for text in inner if text), "") or text_of(response)
    wrapped = response.get("data")  # AI21; elsewhere it is a list, or the bytes of a file
    return said or (answer_text(wrapped) if isinstance(wrapped, Mapping) else "")


def _of_a_tool(part: Any) -> bool:
    kind = part.get("type") if isinstance(part, Mapping) else None
    return isinstance(kind, str) and kind.endswith(OF_TOOLS)


def finish_reasons(response: Any) -> frozenset[str]:
    """Return why each answer of a response ended, in lower case."""
    return frozenset(_finish(decoded(response), 0))


def _finish(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, list):
        for part in value[:16]:
            yield from _finish(part, depth)
    elif isinstance(value, Mapping) and depth < 4:
        yield from (str(value[name]).lower() for name in FINISH if isinstance(value.get(name), str))
        if value.get("type") == "refusal" or value.get("refusal"):
            yield "refusal"
        for key in ("choices", "candidates", "output", "message", "results", "generations", "content"):
            yield from _finish(value.get(key), depth + 1)


def exchange(request: Any, response: Any) -> Conversation:
    """Return a request and its response as a conversation."""
    turns, answer = request_turns(request), answer_text(response)
    return Conversation(turns or None, answer or None, request_tools(request), finish_reasons(response))
