"""What of a file is read, and what of a batch is stored, known or set aside."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.inference_log import aiops_jsonl
from aiops_pipelines.inference_log.formats import IMPORTERS
from aiops_pipelines.inference_log.ingestion import for_expectations, land
from aiops_pipelines.inference_log.log_settings import Logs
from aiops_pipelines.inference_log.reading import (
    HEAD_BYTES,
    LOG_FILES,
    LogFile,
    Reading,
    begin,
    head_hash,
    plan,
)
from aiops_pipelines.inference_log.record import SCHEMA
from aiops_pipelines.inference_log.set_aside import QUARANTINE
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.resources.tables import declared_tables

NOW = datetime(2026, 6, 8, 6, tzinfo=UTC)
SOURCE = Source("support", "aiops_jsonl", NOW, b"k" * 32)
FILE = LogFile("a.jsonl", 1_000, 5, b"head")
CALL = {"event_id": "e1", "occurred_at": "2026-06-01T12:00:00Z"}


def batch_of(*calls):
    return aiops_jsonl.read((i, json.dumps(call).encode()) for i, call in enumerate(calls, 1))


def landed(*calls, known=(), aside=(), reading=None):
    return land(batch_of(*calls), reading or Reading(FILE), SOURCE, known, aside)


def seen(**changes):
    row = {"size_bytes": 1_000, "modified_ns": 5, "bytes_read": 900, "waiting_bytes": 100, "lines_read": 9}
    counts = {"rows_stored": 7, "rows_known": 1, "rows_quarantined": 1, "head_hash": head_hash(b"head", 900)}
    return row | counts | changes


def test_tables_are_as_declared_and_every_format_has_an_importer():
    tables = declared_tables(Path(__file__).parents[2] / "dbt_project")
    assert list(tables["inference_log.quarantine"].schema.items()) == list(QUARANTINE.items())
    assert list(tables["inference_log.log_files"].schema.items()) == list(LOG_FILES.items())
    assert set(IMPORTERS) == set(Logs.model_fields["format"].annotation.__args__)


@pytest.mark.parametrize(
    ("file", "row", "expected"),
    [
        (FILE, None, ("start", 0, "new file")),
        (FILE, seen(), ("skip", 900, "unchanged")),
        (LogFile("a.jsonl", 2_000, 6, b"head"), seen(), ("continue", 900, "grown")),
        (LogFile("a.jsonl", 2_000, 6, b"hEad"), seen(), ("start", 0, "rewritten")),
        (LogFile("a.jsonl", 800, 6, b"head"), seen(), ("start", 0, "rewritten")),
        (
            LogFile("a.jsonl", 950, 6, b"head"),
            seen(),
            ("continue", 900, "grown"),
        ),  # a torn end that was cut off
        (LogFile("a.jsonl", 1_000, 6, b"head"), seen(), ("start", 0, "changed")),
        (LogFile("a.json", 2_000, 6, b"head", appended=False), seen(), ("start", 0, "changed")),
        (
            LogFile("a.jsonl", 2_000, 6, b"header"),
            seen(bytes_read=4, head_hash=head_hash(b"head", 4)),
            ("continue", 4, "grown"),
        ),
    ],
)
def test_what_is_read_of_a_file(file, row, expected):
    read_plan = plan(file, row)
    assert (read_plan.action, read_plan.offset, read_plan.reason) == expected
    reading = begin(file, read_plan, row)
    assert (reading.bytes_read, reading.rows_stored) == (
        (0, 0) if expected[0] == "start" else (row["bytes_read"], 7)
    )


@given(st.binary(max_size=40), st.sampled_from([1, HEAD_BYTES // 7]), st.floats(0, 1))
def test_growth_never_looks_like_a_rewrite(part, times, share):
    content = part * times
    read = int(share * len(content))
    before = head_hash(content[:HEAD_BYTES], read)
    assert head_hash((content + b"more")[:HEAD_BYTES], read) == before


def test_a_call_becomes_a_row_of_the_declared_columns():
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    landing = landed(
        CALL
        | {
            "usage": usage,
            "cost_reported_usd": "0.25",
            "retrieved": [{"chunk_id": "c", "score": 1}],
            "rating": 1,
        }
    )
    assert landing.inferences.schema == SCHEMA
    [row] = landing.inferences.rows(named=True)
    assert (row["system"], row["source_format"], row["source_file"], row["source_line"]) == (
        "support",
        "aiops_jsonl",
        "a.jsonl",
        1,
    )
    assert (row["ingested_at"], row["tokens_total"], row["cost_reported_usd"]) == (NOW, 10, Decimal("0.25"))
    assert row["retrieved"] == [{"chunk_id": "c", "document": None, "score": 1.0}]
    assert landing.log_file.rows(named=True)[0]["rows_stored"] == 1


@pytest.mark.parametrize(
    ("answer", "tokens", "operation", "said"),
    [
        ("Yes", 1, "chat", True),
        (" \n", 40, "chat", False),
        ("", None, "chat", False),
        (None, 2, "chat", False),
        (None, 3, "chat", None),  # of a tool, or of a log that keeps no texts
        (None, None, "chat", None),
        (None, 0, "embeddings", None),
    ],
)
def test_whether_a_chat_said_something_is_stored_with_it(answer, tokens, operation, said):
    usage = {} if tokens is None else {"usage": {"prompt_tokens": 7, "completion_tokens": tokens}}
    landing = landed(CALL | {"answer": answer, "operation": operation} | usage)
    assert landing.inferences["answered"].to_list() == [said]


def test_a_call_has_the_service_tier_that_its_usage_states():
    usage = {"input_tokens": 7, "output_tokens": 3, "service_tier": "batch"}
    assert landed(CALL | {"usage": usage}).inferences["service_tier"].to_list() == ["batch"]


def test_duplicate_delivery_is_stored_once():
    """C01: a thousand deliveries, within a batch and again later; two calls as control."""
    landing = landed(*[CALL] * 1_000, CALL | {"event_id": "e2"})
    assert landing.inferences["event_id"].to_list() == ["e1", "e2"]
    assert (landing.reading.rows_stored, landing.reading.rows_known, landing.quarantine.height) == (2, 999, 0)
    again = landed(*[CALL] * 1_000, known={"e1", "e2"}, reading=landing.reading)
    assert again.inferences.height == 0
    assert (again.reading.rows_stored, again.reading.rows_known) == (2, 1_999)


def test_other_content_under_the_same_id_is_set_aside():
    landing = landed(CALL | {"query": "first"}, CALL | {"query": "second"}, CALL | {"query": "first"})
    assert landing.inferences["query"].to_list() == ["first"]
    assert landing.quarantine.select("source_line", "reason").rows() == [(2, "same event_id, other content")]
    assert (landing.reading.rows_known, landing.reading.rows_quarantined) == (1, 1)


def test_personal_data_never_leaves():
    call = CALL | {
        "query": "I am jane@example.com, card 4111 1111 1111 1111",
        "answer": "Call +49 30 901820",
        "status": "error",
        "error_type": "MailError: jane@example.com bounced",
        "endpoint": "/users/jane@example.com/ask",
        "user_id": "jane@example.com",
        "session_id": "jane@example.com#1",
        "trace_id": "t1",
        "usage": {"prompt_tokens": 212555267, "completion_tokens": 1, "account": "jane@example.com"},
        "guardrail_events": [{"guardrail": "pii", "category": "jane@example.com", "action": "masked"}],
    }
    landing = landed(
        call,
        {"occurred_at": "jane@example.com", "query": "+49 30 901820"},
        CALL | {"event_id": "jane@example.com"},
    )
    [row] = landing.inferences.rows(named=True)
    everything = str(row) + str(landing.quarantine.rows())
    for value in ("jane@example.com", "4111", "901820"):
        assert value not in everything
    assert row["query"] == "I am [EMAIL], card [CREDIT_CARD]"
    assert json.loads(row["pii_counts"]) == {"CREDIT_CARD": 1, "EMAIL": 7, "PHONE": 1}
    assert row["user_id"].startswith("pseudonym-") and row["session_id"] != row["user_id"]
    assert row["trace_id"] == "t1"
    assert "212555267" in row["usage_raw"]
    assert "event_id holds an e-mail address" in landing.quarantine["reason"][1]
    other_key = land(batch_of(call), Reading(FILE), Source("support", "aiops_jsonl", NOW, b"j" * 32))
    assert other_key.inferences["user_id"][0] != row["user_id"]


def test_plain_identifiers_and_texts_stay():
    call = CALL | {"user_id": "u-1", "session_id": "0601-0017", "query": "order 12345678 of 2026-06-01"}
    [row] = landed(call).inferences.rows(named=True)
    assert {name: row[name] for name in call if name != "occurred_at"} == {
        k: v for k, v in call.items() if k != "occurred_at"
    }
    assert row["pii_counts"] == "{}"


def test_a_set_aside_line_shows_its_start_masked():
    raw = b'{"event_id": 1, "query": "jane\\u0040example.com\\n+49 30 901820' + b"\x00\xff" + b"x" * 5_000
    landing = land(aiops_jsonl.read([(7, raw)]), Reading(FILE), SOURCE)
    [row] = landing.quarantine.rows(named=True)
    assert row["raw_masked"].startswith('{"event_id": 1, "query": "[EMAIL] [PHONE]')
    assert len(row["raw_masked"]) == 500
    assert (row["source_line"], row["quarantined_at"]) == (7, NOW)


def test_data_that_the_shown_length_cuts_in_two_is_masked():
    raw = b"x" * 480 + b" jane.elizabeth.example@example.com"
    [row] = land(aiops_jsonl.read([(1, raw)]), Reading(FILE), SOURCE).quarantine.rows(named=True)
    assert row["raw_masked"] == "x" * 480 + " [EMAIL]"


def test_a_line_in_quarantine_already_is_counted_but_not_stored_again():
    first = landed({"event_id": 1}, {"event_id": 1})
    assert first.quarantine["source_line"].to_list() == [1, 2]
    again = landed({"event_id": 1}, aside=set(first.quarantine["line_hash"]))
    assert (again.quarantine.height, again.reading.rows_quarantined) == (0, 1)


@given(
    st.lists(
        st.sampled_from(
            [
                CALL,
                CALL | {"event_id": "e2"},
                CALL | {"query": "q"},
                {"event_id": "x"},
                {},
                CALL | {"event_id": "known"},
            ]
        )
    )
)
def test_every_line_is_stored_known_or_set_aside(calls):
    landing = landed(*calls, known={"known"})
    reading = landing.reading
    assert reading.rows_stored + reading.rows_known + reading.rows_quarantined == len(calls)
    assert (landing.inferences.height, landing.quarantine.height) == (
        reading.rows_stored,
        reading.rows_quarantined,
    )


def test_token_sums_for_the_suite_leave_ambiguous_calls_out():
    usages = [
        {"prompt_tokens": 7, "completion_tokens": 3},
        {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 99},
        None,
    ]
    calls = [CALL | {"event_id": f"e{i}", "usage": usage} for i, usage in enumerate(usages)]
    frame = for_expectations(landed(*calls).inferences)
    assert frame.select("tokens_sum", "tokens_total_stated").rows() == [(10, 10), (None, None), (None, None)]
    assert frame["tokens_total"].to_list() == [10, 99, None]


def test_an_empty_batch_has_the_columns():
    landing = landed()
    assert isinstance(landing.inferences, pl.DataFrame)
    assert (landing.inferences.schema, landing.quarantine.schema) == (SCHEMA, QUARANTINE)


def test_a_source_that_is_named_by_its_address_is_a_pseudonym_and_the_same_one_each_time():
    landing = landed(CALL | {"source_id": "10.1.2.3", "source_seq": 7})
    [row] = landing.inferences.rows(named=True)
    assert row["source_seq"] == 7 and "10.1.2.3" not in row["source_id"]
    [again] = landed(CALL | {"source_id": "10.1.2.3"}).inferences.rows(named=True)
    assert again["source_id"] == row["source_id"] and again["source_seq"] is None
    [plain] = landed(CALL | {"source_id": "api-7f"}).inferences.rows(named=True)
    assert plain["source_id"] == "api-7f"
