"""Rows as clients of Opik, Braintrust and Weave sent them and their exports wrote them, and Helicone's by its source."""

import json
from decimal import Decimal
from time import process_time

import pytest

from aiops_pipelines.inference_log.bedrock import BEDROCK
from aiops_pipelines.inference_log.braintrust import BRAINTRUST
from aiops_pipelines.inference_log.export_tables import NO_ANSWER
from aiops_pipelines.inference_log.formats import UnknownFormat, detected
from aiops_pipelines.inference_log.helicone import HELICONE
from aiops_pipelines.inference_log.opik import OPIK
from aiops_pipelines.inference_log.weave import WEAVE
from aiops_pipelines_tests.inference_log.test_langfuse import CALL as LANGFUSE_CALL

TURNS = [
    {"role": "system", "content": "Answer in one sentence."},
    {"role": "user", "content": "Where is my parcel?"},
]
MESSAGE = {"role": "assistant", "content": "It is on its way."}
USAGE = {
    "prompt_tokens": 2_000, "completion_tokens": 40, "total_tokens": 2_040,
    "prompt_tokens_details": {"cached_tokens": 1_536}, "completion_tokens_details": {"reasoning_tokens": 12},
}  # fmt: skip
OPIK_TRACE = {
    "id": "t1", "name": "answer", "start_time": "2026-06-01 12:00:00+00:00", "last_updated_at": "2026-06-01 12:00:03+00:00",
    "metadata": {"user_id": "u-1"}, "thread_id": "thread-1", "span_count": 4,
    "feedback_scores": [{"name": "user_feedback", "category_name": None, "value": 1.0, "reason": None, "source": "ui"}],
}  # fmt: skip
OPIK_CALL = {
    "id": "s2", "project_name": "p", "trace_id": "t1", "parent_span_id": "s1", "name": "chat_completion_create",
    "type": "llm", "start_time": "2026-06-01 12:00:00.100000+00:00", "end_time": "2026-06-01 12:00:01.600000+00:00",
    "input": {"messages": TURNS}, "output": {"choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}]},
    "metadata": {"model": "gpt-5-2025-08-07", "service_tier": "flex", "tools": None}, "model": "gpt-5-2025-08-07",
    "provider": "api.openai.com", "usage": {
        "completion_tokens": 40, "prompt_tokens": 2_000, "total_tokens": 2_040, "original_usage.prompt_tokens": 2_000,
        "original_usage.completion_tokens": 40, "original_usage.total_tokens": 2_040,
        "original_usage.prompt_tokens_details.cached_tokens": 1_536,
        "original_usage.completion_tokens_details.reasoning_tokens": 12,
    },
    "error_info": None, "last_updated_at": "2026-06-01 12:00:02+00:00", "total_estimated_cost": 0.0012, "duration": 1500.4,
    "ttft": 210.0, "feedback_scores": [{"name": "helpful", "value": 1.0, "source": "online_scoring"}],
}  # fmt: skip
OPIK_FAILED = OPIK_CALL | {
    "id": "s3", "output": None, "usage": None, "total_estimated_cost": None, "feedback_scores": None, "ttft": None,
    "error_info": {"exception_type": "BadRequestError", "message": "Error code: 400", "traceback": "Traceback ..."},
}  # fmt: skip
OPIK_OTHERS = [
    OPIK_CALL | {"id": f"s{n}", "parent_span_id": None, "type": kind}
    for n, kind in enumerate(("general", "tool"), 4)
]
BRAINTRUST_CALL = {
    "id": "r2", "created": "2026-06-01T12:00:00.100Z", "log_id": "g", "project_id": "p", "input": TURNS, "scores": None,
    "output": [{"finish_reason": "stop", "index": 0, "message": MESSAGE}], "error": None, "tags": None,
    "metadata": {"model": "gpt-5", "provider": "openai", "stream": True}, "metrics": {
        "start": 1780315200.1, "end": 1780315201.6, "time_to_first_token": 0.21, "prompt_tokens": 2_000, "tokens": 2_040,
        "completion_tokens": 40, "prompt_cached_tokens": 1_536, "completion_reasoning_tokens": 12, "estimated_cost": 0.0012,
    },
    "span_id": "s2", "root_span_id": "t1", "span_parents": ["s1"], "is_root": False,
    "span_attributes": {"exec_counter": 3, "name": "Chat Completion", "type": "llm"},
}  # fmt: skip
BRAINTRUST_FAILED = BRAINTRUST_CALL | {
    "id": "r3", "span_id": "s3", "output": None, "metrics": {"start": 1780315200.1, "end": 1780315200.2},
    "metadata": {"model": "gpt-5", "provider": "openai"},
}  # fmt: skip
BRAINTRUST_ROOT = BRAINTRUST_CALL | {
    "id": "r1", "span_id": "s1", "span_parents": None, "is_root": True, "scores": {"user_feedback": 0},
    "metadata": {"session_id": "thread-1", "user_id": "u-1"}, "span_attributes": {"name": "answer", "type": "function"},
}  # fmt: skip
WEAVE_CALL = {
    "id": "s2", "op_name": "weave:///e/p/op/openai.chat.completions.create:dddd", "trace_id": "t1", "parent_id": "s1",
    "started_at": "2026-06-01 12:00:00.100000+00:00", "ended_at": "2026-06-01 12:00:01.600000+00:00", "thread_id": "thread-1",
    "attributes": {"weave": {"kind": "llm"}, "user_id": "u-1"}, "inputs": {
        "self": {"client": {"base_url": "https://api.openai.com/v1/"}}, "messages": TURNS, "model": "gpt-5",
        "stream": True, "tools": "<openai.Omit object at 0x7f0903b11fd0>",
    },
    "output": {
        "choices": [{"finish_reason": "stop", "index": 0, "message": MESSAGE}], "model": "gpt-5-2025-08-07", "usage": USAGE,
        "time_to_first_token": 0.21,
    },
    "exception": None, "summary": {
        "usage": {"gpt-5-2025-08-07": {"requests": 1, **USAGE, "cache_read_input_tokens": 1_536}},
        "weave": {
            "status": "success", "latency_ms": 1_500,
            "costs": {"gpt-5": {"prompt_tokens_total_cost": 0.001, "completion_tokens_total_cost": 0.0002}},
            "feedback": [
                {"id": "f1", "feedback_type": "wandb.reaction.1", "payload": {"emoji": "👎"}, "creator": "jane"},
                {"id": "f2", "feedback_type": "wandb.runnable.exact", "payload": {"output": 0.5}},
                {"id": "f3", "feedback_type": "wandb.note.1", "payload": {"note": "odd"}},
            ],
        },
    },
}  # fmt: skip
WEAVE_FAILED = WEAVE_CALL | {
    "id": "s3", "output": None, "exception": json.dumps({"type": "BadRequestError", "message": "Error code: 400"}),
    "summary": {"status_counts": {"success": 0, "error": 1}},
}  # fmt: skip
WEAVE_ROOT = WEAVE_CALL | {
    "id": "s1", "parent_id": None, "op_name": "weave:///e/p/op/answer:dddd", "attributes": {"weave": {}, "user_id": "u-1"},
}  # fmt: skip
HELICONE_CALL = {
    "response_id": "s2", "request_id": "q2", "request_created_at": "2026-06-01 12:00:00.100", "response_status": 200,
    "request_user_id": "u-1", "request_properties": {"Helicone-Session-Id": "thread-1", "Helicone-Session-Name": "answer"},
    "request_model": "gpt-5-2025-08-07", "provider": "OPENAI", "delay_ms": 1_500, "time_to_first_token": 210,
    "prompt_tokens": 464, "completion_tokens": 28, "total_tokens": 492, "prompt_cache_read_tokens": 1_536,
    "prompt_cache_write_tokens": 0, "cost": 0.0012, "scores": {"helicone-score-feedback": 0},
    "cache_reference_id": "00000000-0000-0000-0000-000000000000", "request_body": {"model": "gpt-5", "messages": TURNS},
    "response_body": {"choices": [{"finish_reason": "stop", "message": MESSAGE}], "model": "gpt-5-2025-08-07", "usage": USAGE},
}  # fmt: skip
HELICONE_FAILED = HELICONE_CALL | {
    "response_id": None, "request_id": "s3", "response_status": 429, "prompt_tokens": 0, "completion_tokens": 0, "cost": 0,
    "response_body": {"error": {"type": "rate_limit_exceeded", "message": "slow down"}}, "scores": {},
}  # fmt: skip
BEDROCK_CALL = {
    "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": "2026-06-01T12:00:00Z", "accountId": "1234",
    "identity": {"arn": "arn:aws:sts::1234:assumed-role/app/session"}, "region": "us-east-1", "requestId": "q1",
    "operation": "Converse", "modelId": "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "input": {
        "inputContentType": "application/json", "inputTokenCount": 464, "cacheReadInputTokenCount": 1_536,
        "cacheWriteInputTokenCount": 0, "inputBodyJson": {
            "system": [{"text": "Answer in one sentence."}],
            "messages": [{"role": "user", "content": [{"text": "Where is my parcel?"}]}],
        },
    },
    "output": {"outputContentType": "application/json", "outputTokenCount": 40, "outputBodyJson": {
        "output": {"message": {"role": "assistant", "content": [{"text": "It is on its way."}]}}, "stopReason": "end_turn",
        "metrics": {"latencyMs": 1_500}, "usage": {"inputTokens": 464, "outputTokens": 40, "totalTokens": 2_040},
    }},
}  # fmt: skip
ROWS = {
    "opik": (OPIK_CALL, OPIK_FAILED),
    "braintrust": (BRAINTRUST_CALL, BRAINTRUST_FAILED),
    "weave": (WEAVE_CALL, WEAVE_FAILED),
    "helicone": (HELICONE_CALL, HELICONE_FAILED),
}
EXPORTS = {
    "opik": OPIK,
    "braintrust": BRAINTRUST,
    "weave": WEAVE,
    "helicone": HELICONE,
}
TIMES = ("latency_ms", "time_to_first_token_ms")
TOKENS = ("input_uncached", "cache_read", "cache_write", "output_visible", "reasoning", "tokens_total")


def batch_of(export, *rows):
    raw = ((number, json.dumps(row).encode()) for number, row in enumerate(rows, 1))
    return export.read(raw, lambda text, model: (len(text.split()), True))


def ids(batch):
    return [record["event_id"] for record in batch.records]


@pytest.mark.parametrize("name", ROWS)
def test_a_call_and_a_failed_one(name):
    call, failed = batch_of(EXPORTS[name], *ROWS[name]).records
    assert call["occurred_at"].isoformat() == "2026-06-01T12:00:00.100000+00:00"
    assert [call[column] for column in TIMES] == [1_500, 210]
    assert [call[column] for column in TOKENS] == [464, 1_536, 0, 28, 12, 2_040]
    assert (call["query"], call["answer"], call["provider"]) == (
        "Where is my parcel?",
        MESSAGE["content"],
        "openai",
    )
    assert (call["model_served"] or call["model_requested"]).startswith("gpt-5")
    assert (call["status"], call["cost_reported_usd"]) == ("ok", Decimal("0.0012"))
    assert call["system_prompt_tokens"] > 0 == call["tools_tokens"]
    assert failed["status"] == "error"
    assert failed["error_type"] == {"braintrust": NO_ANSWER, "helicone": "rate_limit_exceeded"}.get(
        name, "BadRequestError"
    )


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_a_table_hold_objects_as_json_text(name):
    row = {
        key: json.dumps(value) if isinstance(value, dict | list) else value
        for key, value in ROWS[name][0].items()
    }
    assert detected([row]) == name
    [record] = batch_of(EXPORTS[name], row).records
    assert [record[column] for column in (*TIMES, *TOKENS)] == [1_500, 210, 464, 1_536, 0, 28, 12, 2_040]
    assert record["answer"] == MESSAGE["content"]


@pytest.mark.parametrize("name", ROWS)
def test_damaged_rows_are_set_aside_with_their_reason(name):
    begun = {
        "opik": "start_time",
        "braintrust": "metrics",
        "weave": "started_at",
        "helicone": "request_created_at",
    }[name]
    call, failed = ROWS[name]
    when = {"start": "soon"} if begun == "metrics" else "soon"
    batch = batch_of(EXPORTS[name], failed, call | {begun: when}, {"odd": 1}, [7], call)
    assert len(batch.records) == 2
    said = [(one.line, one.reason.split(" ", 1)[0]) for one in batch.rejections]
    assert said == [(2, "occurred_at"), (3, "The"), (4, "The")]


def test_the_file_of_an_opik_trace_tells_its_thread_and_what_was_thought_of_it():
    document = {
        "trace": OPIK_TRACE,
        "spans": [*OPIK_OTHERS, OPIK_CALL],
        "attachments": [],
        "project_name": "p",
    }
    assert detected([document]) == "opik"
    batch = batch_of(OPIK, document)
    assert ids(batch) == ["s2"]
    assert batch.ignored == {"trace": 1, "general": 1, "tool": 1}
    known = {
        "trace_id": "t1",
        "session_id": "thread-1",
        "user_id": "u-1",
        "endpoint": "answer",
        "source_line": 1,
    }
    assert batch.traces == [known]
    said = [(one["trace_id"], one["event_id"], one["name"], one["rating"]) for one in batch.feedback]
    assert said == [
        ("t1", None, "user_feedback", 1),
        (None, "s4", "helpful", None),  # of a step that is no call
        (None, "s5", "helpful", None),
        (None, "s2", "helpful", None),  # a judge is no person
    ]
    assert batch.records[0]["service_tier"] == "flex"


def test_the_rows_of_opik_and_langfuse_are_told_apart():
    assert detected([OPIK_CALL]) == detected([OPIK_TRACE]) == "opik"
    assert detected([LANGFUSE_CALL]) == detected([LANGFUSE_CALL | {"type": "tool"}]) == "langfuse"
    assert detected([{"data": [LANGFUSE_CALL | {"type": "TOOL"}]}]) == "langfuse"


def test_the_root_of_a_braintrust_trace_tells_its_session_and_its_scores():
    for document in (
        {"events": [BRAINTRUST_ROOT, BRAINTRUST_CALL], "cursor": "x"},
        [BRAINTRUST_ROOT, BRAINTRUST_CALL],
    ):
        assert detected([document]) == "braintrust"
        batch = batch_of(BRAINTRUST, document)
        assert (ids(batch), batch.ignored) == (["r2"], {"function": 1})
        assert batch.traces[0] | {"source_line": 1} == {
            "trace_id": "t1", "session_id": "thread-1", "user_id": "u-1", "endpoint": "answer", "source_line": 1,
        }  # fmt: skip
        assert [(one["trace_id"], one["rating"]) for one in batch.feedback] == [("t1", -1)]


def test_scores_of_a_step_are_kept_and_odd_ones_are_counted():
    """A step that is no call and has one around it; a text among objects and an object without a value."""
    step = BRAINTRUST_ROOT | {"id": "r9", "span_id": "x9", "span_parents": ["x1"], "scores": {"found": 0.5}}
    odd = BRAINTRUST_CALL | {"scores": ["good", {"name": "empty"}, {"name": "right", "value": 1}]}
    batch = batch_of(BRAINTRUST, step, odd)
    assert ids(batch) == ["r2"]
    assert [(one["event_id"], one["name"], one["value"]) for one in batch.feedback] == [
        ("r9", "found", 0.5),
        ("r2", "right", 1),
    ]
    assert batch.ignored == {"function": 1, "score without a value": 2}


def test_what_braintrust_times_and_counts_by_its_wrappers():
    """An answer that is not streamed has no first token; cache writes of Anthropic stand by how long they live."""
    metrics = BRAINTRUST_CALL["metrics"] | {
        "prompt_cache_creation_5m_tokens": 60.0,
        "prompt_cache_creation_1h_tokens": 40.0,
    }
    whole = BRAINTRUST_CALL | {"metrics": metrics, "metadata": {"model": "claude-sonnet-4-5"}}
    stream = whole | {"id": "r4", "span_attributes": {"name": "anthropic.messages.stream", "type": "llm"}}
    failed = BRAINTRUST_FAILED | {
        "error": "Traceback (most recent call last):\n  File a\nopenai.RateLimitError: slow"
    }
    vectors = BRAINTRUST_CALL | {
        "id": "r5", "input": "where", "output": {"embedding_length": 2}, "metrics": {"start": 1780315200.1, "prompt_tokens": 8},
        "span_attributes": {"name": "Embedding", "type": "llm"},
    }  # fmt: skip
    records = batch_of(BRAINTRUST, whole, stream, failed, vectors).records
    assert [record["time_to_first_token_ms"] for record in records] == [None, 210, None, None]
    assert [records[0][column] for column in TOKENS] == [364, 1_536, 100, 28, 12, 2_040]
    assert records[2]["error_type"] == "openai.RateLimitError"
    assert (records[3]["operation"], records[3]["tokens_total"]) == ("embeddings", 8)


def test_weave_operations_without_a_kind_are_known_by_their_client():
    """Clients of 2025 named no kind; the roots of traces sum up the usage of all their calls."""
    older = WEAVE_CALL | {"id": "s4", "attributes": {}}
    vectors = older | {
        "id": "s5",
        "op_name": "weave:///e/p/op/openai.embeddings.create:dddd",
        "thread_id": None,
    }
    unstated = WEAVE_CALL | {"id": "s6", "output": {"model": "gpt-4.1", "choices": []}}
    batch = batch_of(WEAVE, WEAVE_ROOT, older, vectors, unstated)
    assert batch.ignored == {"answer": 1}
    assert [record["operation"] for record in batch.records] == ["chat", "embeddings", "chat"]
    assert [record["session_id"] for record in batch.records] == ["thread-1", None, "thread-1"]
    assert batch.records[2]["tokens_total"] == 2_040  # of the summary
    assert batch.traces[0]["endpoint"] == "answer"


def test_weave_leaves_thoughts_of_gemini_out_of_its_summary():
    stated = {"prompt_token_count": 100, "candidates_token_count": 20, "total_token_count": 170}
    call = WEAVE_CALL | {
        "op_name": "weave:///e/p/op/google.genai.models.Models.generate_content:dddd",
        "attributes": {},
        "inputs": {"model": "gemini-2.5-flash", "contents": "why?"},
        "output": {
            "model_version": "gemini-2.5-flash-001",
            "usage_metadata": stated | {"thoughts_token_count": 50},
        },
        "summary": {"usage": {"gemini-2.5-flash": {"requests": 1, **stated}}},
    }
    counted = call | {"id": "c", "op_name": "weave:///e/p/op/google.genai.models.Models.count_tokens:dddd"}
    batch = batch_of(WEAVE, call, counted)
    [record] = batch.records
    assert (record["output_visible"], record["reasoning"], record["tokens_total"]) == (20, 50, 170)
    assert record["model_served"] == "gemini-2.5-flash-001"
    assert sum(batch.ignored.values()) == 1


def test_weave_feedback_is_on_its_call():
    batch = batch_of(WEAVE, WEAVE_CALL)
    said = [
        (one["event_id"], one["name"], one["value"], one["rating"], one["feedback_id"])
        for one in batch.feedback
    ]
    assert said == [("s2", "reaction.1", None, -1, "f1"), ("s2", "runnable.exact", 0.5, None, "f2")]


def test_objects_as_python_writes_them_are_no_calls_of_weave():
    """What pandas makes of calls as CSV."""
    row = {key: str(value) if isinstance(value, dict) else value for key, value in WEAVE_CALL.items()}
    with pytest.raises(UnknownFormat):
        detected([row])
    assert "attributes as objects" in batch_of(WEAVE, row).rejections[0].reason


def test_calls_within_one_another_are_one_call():
    """LiteLLM around a client; a framework that logs the parts of a stream as calls, without tokens."""
    gateway = WEAVE_CALL | {
        "id": "s9",
        "parent_id": "s1",
        "op_name": "weave:///e/p/op/litellm.completion:dddd",
    }
    batch = batch_of(WEAVE, gateway, WEAVE_CALL | {"parent_id": "s9"}, WEAVE_FAILED | {"parent_id": "s9"})
    assert (ids(batch), batch.ignored) == (["s2", "s3"], {"call logged again within another": 1})
    parts = [OPIK_FAILED | {"id": f"p{n}", "error_info": None, "parent_span_id": "s2"} for n in range(3)]
    batch = batch_of(OPIK, OPIK_CALL, *parts)
    assert (ids(batch), batch.ignored) == (["s2"], {"call logged again within another": 3})


def test_helicone_without_bodies_leaves_open_whether_cached_tokens_are_inside():
    bare = HELICONE_CALL | {"request_body": None, "response_body": {"helicone_message": "fetching body"}}
    conventions = [
        batch_of(HELICONE, bare | {"prompt_cache_read_tokens": read}).records[0]["token_convention"]
        for read in (1_536, 300, 0)
    ]
    assert conventions == [
        "disjoint",
        "ambiguous",
        "inclusive",
    ]  # more than all that was given lies beside it


def test_a_row_of_helicones_csv_has_no_request_id_and_numbers_as_text():
    """Its tool doubles the quotes within objects twice, so that none of them can be read."""
    names = [
        "response_id",
        "response_created_at",
        "response_status",
        "request_created_at",
        "request_user_id",
        "model",
    ]
    cells = ["s2", "2026-06-01 12:00:01", "200", "2026-06-01 12:00:00.100", "u-1", "gpt-5"]
    row = dict(zip(names, cells, strict=True)) | {
        "request_body": '{""model"":""gpt-5""}',
        "request_properties": None,
    }
    row |= {"prompt_tokens": "464", "completion_tokens": "28", "latency": "1500", "cost": "0.0012"}
    assert detected([row]) == "helicone"
    [record] = batch_of(HELICONE, row).records
    assert (record["event_id"], record["tokens_total"], record["latency_ms"]) == ("s2", 492, 1_500)
    assert (record["status"], record["cost_reported_usd"]) == ("ok", Decimal("0.0012"))


def test_what_helicone_answered_itself_asked_no_provider():
    stored = HELICONE_CALL | {"cache_reference_id": "q1", "prompt_tokens": 0, "completion_tokens": 0}
    [record] = batch_of(HELICONE, stored).records
    assert (record["tokens_total"], record["answer"]) == (0, MESSAGE["content"])


def test_words_and_zeros_of_helicone_that_stand_for_nothing():
    nothing = HELICONE_CALL | {
        "request_user_id": "undefined", "time_to_first_token": 0, "provider": "CUSTOM", "response_status": -3,
        "request_properties": {}, "properties": {"Helicone-Session-Id": "thread-2"}, "feedback_rating": False, "cost": 0,
    }  # fmt: skip
    [record] = batch_of(HELICONE, nothing).records
    assert (record["user_id"], record["time_to_first_token_ms"], record["provider"]) == (None, None, "openai")
    assert record["cost_reported_usd"] is None
    assert (record["session_id"], record["rating"], record["error_type"]) == ("thread-2", -1, NO_ANSWER)


def test_tools_and_searches_that_helicone_logs_are_no_calls():
    tool = HELICONE_CALL | {"request_body": {"_type": "tool", "toolName": "track"}}
    vectors = {
        "data": [{"object": "embedding"}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
        "model": "e",
    }
    batch = batch_of(
        HELICONE, tool, HELICONE_CALL | {"response_body": vectors, "prompt_tokens": 8, "completion_tokens": 0}
    )
    assert batch.ignored == {"tool": 1}
    assert [(record["operation"], record["tokens_total"]) for record in batch.records] == [("embeddings", 8)]


@pytest.mark.parametrize("odd", [["p"], {"id": "p"}, 1.5])
def test_ids_that_are_no_text_put_no_call_within_another(odd):
    rows = [OPIK_CALL | {"parent_span_id": odd}, BRAINTRUST_CALL | {"span_parents": [odd]}]
    for export, row in zip((OPIK, BRAINTRUST), rows, strict=True):
        assert len(batch_of(export, row, row | {"id": "x", "span_id": odd}).records) == 2


@pytest.mark.parametrize(
    "said",
    [
        {"thread_id": ["t"]},
        {"name": {"a": 1}},
        {"metadata": {"user_id": "u\ud800"}},
        {"feedback_scores": [{"name": "a", "value": 1}, {"name": "b", "value": [1]}]},
        {"feedback_scores": [{"name": "a", "value": 1, "feedback_id": "f\ud800"}]},
    ],
)
def test_what_is_wrongly_said_of_a_trace_sets_the_row_aside_and_counts_it_once(said):
    batch = batch_of(OPIK, OPIK_TRACE | said)
    assert len(batch.rejections) == 1
    assert (batch.ignored, batch.feedback, batch.traces) == ({}, [], [])


def test_a_call_two_levels_within_another_is_one_call_with_it():
    """A gateway states tokens, the wrapper in it none, the provider's client in that some or none."""
    outer, wrapper = OPIK_CALL | {"id": "a"}, OPIK_FAILED | {"id": "b", "parent_span_id": "a"}
    for client, kept in ((OPIK_CALL, ["c"]), (OPIK_FAILED, ["a"])):
        inner = client | {"id": "c", "parent_span_id": "b"}
        assert ids(batch_of(OPIK, outer, wrapper, inner)) == kept


def test_a_call_that_names_itself_as_what_it_is_within_stays():
    assert ids(batch_of(OPIK, OPIK_CALL | {"parent_span_id": "s2"})) == ["s2"]


def test_every_row_of_a_call_within_another_is_counted():
    """The same rows in two files of one export; spans that name one another."""
    gateway = WEAVE_CALL | {"id": "s9", "parent_id": "s1"}
    rows = [gateway, WEAVE_CALL | {"parent_id": "s9"}]
    batch = batch_of(WEAVE, *rows, gateway)
    assert (ids(batch), batch.ignored.total()) == (["s2"], 2)
    batch = batch_of(WEAVE, gateway | {"parent_id": "s2"}, rows[1])
    assert (len(batch.records), batch.ignored.total()) == (1, 1)


def test_parts_that_no_sum_holds_set_the_row_aside():
    costs = {"m": {"prompt_tokens_total_cost": 10**400, "completion_tokens_total_cost": 0.5}}
    lives = {"prompt_cache_creation_5m_tokens": 10**400, "prompt_cache_creation_1h_tokens": 1.5}
    priced = WEAVE_CALL | {"summary": {"weave": {"costs": costs}}}
    for export, row in ((WEAVE, priced), (BRAINTRUST, BRAINTRUST_CALL | {"metrics": lives})):
        batch = batch_of(export, row)
        assert "digits, which no column holds" in batch.rejections[0].reason


def test_a_row_may_have_fields_named_like_those_of_documents():
    batch = batch_of(BRAINTRUST, BRAINTRUST_CALL | {"events": []}, BRAINTRUST_FAILED | {"events": [{"a": 1}]})
    assert (ids(batch), batch.rejections) == (["r2", "r3"], [])
    assert ids(batch_of(WEAVE, WEAVE_CALL | {"": []})) == ["s2"]
    whole = batch_of(OPIK, OPIK_TRACE | {"spans": [OPIK_CALL]})
    assert (ids(whole), len(whole.traces)) == (["s2"], 1)


def test_many_calls_within_one_another_take_no_time_for_each_pair():
    rows = [OPIK_FAILED | {"id": f"c{n}", "parent_span_id": f"c{n - 1}"} for n in range(1, 6_000)]
    raw = [
        (number, json.dumps(row).encode()) for number, row in enumerate([OPIK_CALL | {"id": "c0"}, *rows], 1)
    ]
    began = process_time()
    assert ids(OPIK.read(raw)) == ["c0"]
    assert process_time() - began < 4


def test_a_log_of_bedrock_counts_what_was_cached_beside_the_input():
    assert detected([BEDROCK_CALL]) == "bedrock"
    [record] = batch_of(BEDROCK, BEDROCK_CALL).records
    assert [record[name] for name in TOKENS] == [464, 1_536, 0, 40, 0, 2_040]
    assert (record["query"], record["answer"]) == ("Where is my parcel?", "It is on its way.")
    assert (record["provider"], record["model_requested"]) == ("aws", BEDROCK_CALL["modelId"])
    assert (record["latency_ms"], record["status"], record["event_id"]) == (1_500, "ok", "q1")


def test_streams_failures_and_bodies_that_are_kept_elsewhere_in_a_log_of_bedrock():
    stream = [
        {"type": "message_start", "message": {"model": "claude-sonnet-4-5-20250929", "usage": {
            "input_tokens": 100, "cache_creation_input_tokens": 60, "cache_read_input_tokens": 0, "output_tokens": 1,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 40},
        }}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "On its "}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "way."}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": {
            "inputTokenCount": 100, "outputTokenCount": 9, "invocationLatency": 700, "firstByteLatency": 300,
        }},
    ]  # fmt: skip
    counted = BEDROCK_CALL["input"] | {
        "inputTokenCount": 100, "cacheReadInputTokenCount": 0, "cacheWriteInputTokenCount": 60,
        "inputBodyJson": {"messages": [{"role": "user", "content": "Where?"}]},
    }  # fmt: skip
    streamed = BEDROCK_CALL | {
        "operation": "InvokeModelWithResponseStream", "input": counted,
        "output": {"outputTokenCount": 9, "outputBodyJson": stream},
    }  # fmt: skip
    elsewhere = BEDROCK_CALL | {
        "requestId": "q2", "input": {"inputTokenCount": 50_000, "inputBodyS3Path": "s3://b/k"},
        "output": {"outputTokenCount": 40, "outputBodyS3Path": "s3://b/k2"},
    }  # fmt: skip
    failed = BEDROCK_CALL | {"requestId": "q3", "errorCode": "ThrottlingException", "output": {}, "input": {}}
    vectors = BEDROCK_CALL | {
        "requestId": "q4", "operation": "InvokeModel", "modelId": "amazon.titan-embed-text-v2:0", "input": {"inputTokenCount": 8},
        "output": {"outputBodyJson": {"embedding": [0.1], "inputTextTokenCount": 8}},
    }  # fmt: skip
    guarded = BEDROCK_CALL | {"requestId": "q5", "operation": "ApplyGuardrail"}
    batch = batch_of(BEDROCK, streamed, elsewhere, failed, vectors, guarded)
    assert batch.ignored == {"ApplyGuardrail": 1}
    records = {record["event_id"]: record for record in batch.records}
    assert [records["q1"][name] for name in TOKENS] == [100, 0, 60, 9, 0, 169]
    assert records["q1"]["answer"] == "On its way."
    assert [records["q1"][name] for name in TIMES] == [700, 300]
    assert json.loads(records["q1"]["usage_raw"])["cache_creation"]["ephemeral_1h_input_tokens"] == 40
    assert (records["q2"]["tokens_total"], records["q2"]["answer"]) == (50_040, None)
    assert (records["q3"]["status"], records["q3"]["error_type"]) == ("error", "ThrottlingException")
    assert records["q3"]["tokens_total"] is None
    assert (records["q4"]["operation"], records["q4"]["tokens_total"]) == ("embeddings", 8)
