"""Streamed responses put together again: server-sent events, or JSON lines, into the body that was streamed.

Shapes known: OpenAI chat, completions, responses, runs, pictures and recordings, Anthropic, Bedrock, Cohere,
Gemini and its interactions, watsonx, Ollama, llama.cpp, TGI, DashScope.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiops_pipelines.inference_log.messages import listed
from aiops_pipelines.inference_log.provider_texts import answer_text, finish_reasons

TERMINAL = ("response.completed", "response.incomplete", "response.failed")
ENDS = (
    *TERMINAL,
    *("message_stop", "message-end", "transcript.text.done", "speech.audio.done"),
    *("image_generation.completed", "image_edit.completed"),
)
"""Types of the last part of a stream."""
COUNTS = ("prompt_eval_count", "eval_count", "total_duration", "tokens_evaluated", "tokens_predicted")
CONVERSE = (
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
)
"""Events of Bedrock's Converse, each an object under its name."""
METRICS = "amazon-bedrock-invocationMetrics"


_LINE_END = re.compile(r"\r\n|\n|\r").split
"""Other ends of lines that Python knows, as U+2028, stand in JSON as they are."""


def streamed_body(stream: str) -> dict[str, Any]:
    """Return the body that a stream's parts make up: the answer as one text, the last word on the rest.

    `cut` is in it when nothing says that the answer has ended: its usage is that of a part of it.

    Worked example: parts with the deltas "He" and "llo" give the answer "Hello".
    """
    body: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    metered: dict[str, Any] = {}
    said: list[str] = []
    ended = "[DONE]" in stream
    for part in map(_converse, events(stream)):
        metered |= _metered(part)
        if isinstance(took := part.get(METRICS) or part.get("metrics"), Mapping):
            body["metrics"] = took
        if part.get("type") == "error" and "error" not in part:  # OpenAI's responses, flat
            body["error"] = {"type": part.get("code") or "error"}
        ended = ended or _ended(part)
        if isinstance(part.get("output"), Mapping) and "type" not in part:  # DashScope
            said = _grown(said, part["output"])
            body |= {**part, "output": {}, "finish_reason": next(iter(finish_reasons(part["output"])), None)}
            continue
        inner = part.get("response") if part.get("type") in TERMINAL else part.get("response", part)
        if isinstance(inner, Mapping) and ("output" in inner or part.get("event_type") == "stream-end"):
            body |= inner  # the whole answer stands in the last part
            said = [] if "output" in inner or inner.get("text") else said
            continue
        said += _texts(part)
        for holder in _holders(part):
            usage |= {key: value for key, value in _usage(holder).items() if value is not None}
            body |= {
                key: holder[key]
                for key in ("id", "model", "created", "modelVersion", "model_id")
                if holder.get(key)
            }
            body |= {
                key: holder[key]
                for key in (
                    "error",
                    "error_type",
                    "stop_reason",
                    "finish_reason",
                    "service_tier",
                    "serviceTier",
                )
                if holder.get(key)
            }
            body |= {key: holder[key] for key in COUNTS if holder.get(key) is not None}
        for result in listed(part.get("results")):
            usage |= _watsonx(result, usage)
    usage = usage or metered
    if said:
        body["text"] = "".join(said)
    if not ended and (usage or not body.keys().isdisjoint(COUNTS)):
        body["cut"] = True
    return body | ({"usage": usage} if usage else {})


def events(stream: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a stream: of `data:` lines, or of lines that are JSON themselves."""
    for line in _LINE_END(stream):
        text = line.strip("\ufeff \t\r").removeprefix("data:").strip()
        if not text.startswith("{"):
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue  # a part that was cut, or an event without JSON
        if isinstance(found, dict):
            yield found


def _grown(said: list[str], output: Mapping[str, Any]) -> list[str]:
    """Return the answer so far: a part of DashScope's holds what is new, or all until then."""
    text = answer_text(output)
    return [text] if text.startswith("".join(said)) else [*said, text]


def _converse(part: dict[str, Any]) -> dict[str, Any]:
    """Return an event of Converse as others write theirs: without its name, its stop reason spelt alike.

    One that ends the stream by a failure is named by its kind.
    """
    if len(part) == 1 and (failed := next(iter(part))).endswith("Exception"):
        return {"error": {"type": failed}}
    name = next((name for name in CONVERSE if isinstance(part.get(name), Mapping)), None)
    if name is None or not part.keys() <= {name, METRICS}:
        return part
    inner = part[name]
    reason = {"stop_reason": inner["stopReason"]} if "stopReason" in inner else {}
    return {**part, **inner, **reason}


def _metered(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Bedrock itself counted, in the last part; not every model states its usage."""
    counts = part.get(METRICS)
    if not isinstance(counts, Mapping):
        return {}
    own = {"inputTokenCount": "inputTokens", "outputTokenCount": "outputTokens"}
    names = [name for name in counts if isinstance(name, str) and name.endswith("TokenCount")]
    return {own.get(name, name): counts[name] for name in names}


def _holders(part: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a part and the objects in it that say what the answer is, or how it ended."""
    yield part
    for key in ("message", "delta", "response", "interaction"):
        if isinstance(part.get(key), Mapping):
            yield part[key]
    for choice in [*listed(part.get("choices")), *listed(part.get("candidates"))]:
        if isinstance(choice, Mapping):
            ended = choice.get("finish_reason") or choice.get("finishReason")
            yield {"finish_reason": ended, "usage": choice.get("usage")}


def _ended(part: Mapping[str, Any]) -> bool:
    """Return whether a part says that the answer has ended, or why."""
    if part.get("type") in ENDS or part.get("done") is True or part.get("stop") is True or METRICS in part:
        return True
    ends = [one.get("finish_reason") or one.get("stop_reason") for one in _holders(part)]
    ends += [one.get("stop_reason") for one in listed(part.get("results")) if isinstance(one, Mapping)]
    ended = any(end not in (None, "", "not_finished") for end in ends)
    return ended or part.get("event_type") == "stream-end"


def _usage(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    stated = holder.get("usage") or holder.get("usageMetadata") or (holder.get("x_groq") or {}).get("usage")
    return stated if isinstance(stated, Mapping) else {}


def _watsonx(result: Any, usage: Mapping[str, Any]) -> dict[str, int]:
    """Add the input of a part of watsonx, which is stated once, and take its output, which is counted up."""
    if not isinstance(result, Mapping) or "generated_token_count" not in result:
        return {}
    before = usage.get("input_tokens", 0)
    return {
        "input_tokens": before + (result.get("input_token_count") or 0),
        "output_tokens": result["generated_token_count"],
    }


def _texts(part: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text that a part adds to the answer; reasoning and tool calls add none."""
    if part.get("type") == "response.output_text.delta":
        yield str(part.get("delta") or "")
    for choice in listed(part.get("choices")):
        if isinstance(choice, Mapping):
            yield from _first_text(choice.get("delta"), choice.get("message"), choice)
    for candidate in listed(part.get("candidates")):
        content = candidate.get("content") if isinstance(candidate, Mapping) else None
        for piece in listed(content.get("parts")) if isinstance(content, Mapping) else ():
            if isinstance(piece, Mapping) and not piece.get("thought"):
                yield from _first_text(piece)
    delta = part.get("delta")
    compacted = isinstance(delta, Mapping) and delta.get("type") == "compaction_delta"
    if isinstance(delta, Mapping) and part.get("type") != "response.output_text.delta" and not compacted:
        message = delta.get("message")
        content = message.get("content") if isinstance(message, Mapping) else delta.get("content")
        for piece in [delta, *listed(content)]:
            yield from _first_text(piece, piece.get("text") if isinstance(piece, Mapping) else None)
    if isinstance(part.get("message"), Mapping) and "done" in part:
        yield from _first_text(part["message"])
    if "done" in part and isinstance(part.get("response"), str):
        yield part["response"]
    command = "is_finished" in part and "event_type" not in part  # Cohere's, on Bedrock
    if command or part.get("event_type") == "text-generation" or list(part) == ["value"]:
        yield from _first_text(part)
    if "stop" in part and isinstance(part.get("content"), str):  # llama.cpp
        yield part["content"]
    for result in [*listed(part.get("results")), *listed(part.get("outputs"))]:
        yield from _first_text(result)
    for key in ("generation", "outputText", "completion", "generated_text"):  # Llama, Titan, old Claude, TGI
        if isinstance(part.get(key), str):
            yield part[key]


def _first_text(*holders: Any) -> Iterator[str]:
    for holder in holders:
        if isinstance(holder, Mapping):
            for key in ("content", "text", "value", "generated_text"):
                if isinstance(holder.get(key), str):
                    yield holder[key]
                    return
