"""What a row of a table says of a call in its own words: how it ended, how long it took, what was thought."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.inference_log.call_record import outcome
from aiops_pipelines.inference_log.feedback import feedback_row
from aiops_pipelines.inference_log.messages import first, listed
from aiops_pipelines.inference_log.record import number
from aiops_pipelines.inference_log.times import clock_time

REFUSED_FROM = 400
"""From here on an HTTP status is an error."""
LONGEST_KIND, LONGEST_MASKED = 200, 4_000
"""Characters kept of what names an error, and masked before: data cut in two is not recognised."""
KINDS = ("type", "exception_type", "name", "code", "message")
NO_ERROR, AN_ERROR = ("", "false", "0"), "error"
"""What a table has that only says whether there was an error, and what kind that is."""
MILLISECOND = timedelta(milliseconds=1)


def outcome_of(fields: Mapping[str, Any], finish: Iterable[str]) -> dict[str, Any]:
    """Return status and kind of error: a stated status stands; an HTTP status from 400 on is an error."""
    code, error = fields.get("http_status"), error_kind(fields.get("error_type"))
    if error is None and code is not None and number("http_status", code) >= REFUSED_FROM:
        error = f"HTTP {code:.0f}"
    return {"status": fields.get("status") or outcome(error is not None, finish), "error_type": error}


def error_kind(told: Any) -> str | None:
    """Return what kind of error is told, without its message, which may hold anything; None for no error.

    Worked example: "Traceback (most recent call last): ... openai.RateLimitError: slow down" over several
    lines is "openai.RateLimitError", `{"type": "Timeout", "message": "..."}` is "Timeout".
    """
    if isinstance(told, Mapping):
        told = first(told, *KINDS) or any(told.values())
    said = str(told).strip() if told else ""
    if said.lower() in NO_ERROR:
        return None
    if said.lower() == "true":
        return AN_ERROR
    lines = said.splitlines()
    line = _raised(lines) if lines[0].startswith("Traceback") else lines[0]
    name, colon, _ = line.partition(":")
    kind = name if colon and name.replace(".", "").isidentifier() else line
    return kind if len(kind) <= LONGEST_KIND else mask(kind[:LONGEST_MASKED])[0][:LONGEST_KIND]


def _raised(lines: list[str]) -> str:
    """Return the line of a traceback that names the last exception; it follows the indented frames."""
    after = [line for frame, line in pairwise(lines) if frame[:1] == " " and line[:1] not in ("", " ")]
    return after[-1] if after else lines[-1]


def times_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return latency and time to the first token in milliseconds; a latency also by when the call ended."""
    spent, ended = _milliseconds(fields, "latency"), fields.get("ended_at")
    if spent is None and ended is not None and (began := fields.get("occurred_at")) is not None:
        spent = (ended - began) / MILLISECOND if ended >= began else None
    return {"latency_ms": spent, "time_to_first_token_ms": _milliseconds(fields, "time_to_first_token")}


def _milliseconds(fields: Mapping[str, Any], name: str) -> Any:
    seconds = fields.get(f"{name}_s")
    stated = fields.get(f"{name}_ms")
    return number(f"{name}_s", seconds) * 1_000 if stated is None and seconds is not None else stated


WORDLESS = "score without a value"
"""What of a list of scores is none; it is counted, for the call is one all the same."""


def scores_of(fields: Mapping[str, Any], line: int) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return the scores on a call or a trace, and how many say nothing.

    Scores are values by name, or objects with name and value or label.

    Raises:
        RecordError: a score is of the wrong kind.
    """
    stated, event_id = fields.get("scores"), fields.get("event_id")
    about = {"event_id": event_id} if event_id else {"trace_id": fields.get("trace_id")}
    if isinstance(stated, Mapping):
        stated = [
            {"name": name, **(said if isinstance(said, Mapping) else {"value": said})}
            for name, said in stated.items()
        ]
    scores, ignored = list[dict[str, Any]](), Counter[str]()
    for said in listed(stated):
        score = _score(said) if isinstance(said, Mapping) else None
        if score is None:
            ignored[WORDLESS] += 1
        else:
            scores.append(feedback_row({**score, **about}, line))
    return scores, ignored


def _score(said: Mapping[str, Any]) -> dict[str, Any] | None:
    value, label = said.get("value"), first(said, "label", "category_name")
    if value is None and label is None:
        return None
    given_at = clock_time("given_at", first(said, "given_at", "created_at"))
    known = {name: said.get(name) for name in ("name", "rating", "feedback_id")}
    given_by = first(said, "given_by", "source")
    return known | {"value": value, "label": label, "given_at": given_at, "given_by": given_by}
