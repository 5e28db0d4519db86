"""The project's own JSON lines: what is read, what is set aside, what is ignored and counted."""

import json

from aiops_pipelines.inference_log.aiops_jsonl import NAME_LIMIT, read
from aiops_pipelines.inference_log.tokens import PARTS

CALL = {"event_id": "e1", "occurred_at": "2026-06-01T12:00:00Z"}


def lines(*calls):
    return [(number, json.dumps(call).encode()) for number, call in enumerate(calls, 1)]


def test_a_whole_call():
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    parts = {"system_prompt": 50, "context": 100, "user": 50}
    call = CALL | {
        "usage": usage,
        "token_parts": parts,
        "rating": -1,
        "retrieved": [{"chunk_id": "c1", "document": "d.md", "score": 0.5}],
        "guardrail_events": [{"guardrail": "injection", "category": "prompt_injection", "action": "blocked"}],
    }
    [record] = read(lines(call)).records
    assert [record[f"{part}_tokens"] for part in PARTS] == [25, 0, 50, 0, 25]
    assert (record["part_method"], record["token_convention"]) == ("reported", "inclusive")
    assert json.loads(record["usage_raw"]) == usage
    assert record["retrieved"] == [{"chunk_id": "c1", "document": "d.md", "score": 0.5}]
    assert (record["rating"], record["source_line"]) == (-1, 1)


def test_the_five_counts_can_be_given_themselves():
    five = {"input_uncached": 1, "cache_read": 2, "cache_write": 3, "output_visible": 4, "reasoning": 5}
    [record] = read(lines(CALL | five)).records
    assert (record["tokens_total"], record["completion_tokens"], record["usage_raw"]) == (15, 9, None)


def test_without_usage_all_token_columns_are_null():
    [record] = read(lines(CALL | {"token_parts": {"user": 5}})).records
    assert {record[name] for name in record if "token" in name and name != "time_to_first_token_ms"} == {None}
    assert record["part_method"] is None


def test_unknown_fields_are_ignored_and_counted():
    batch = read(lines(CALL | {"colour": 1}, CALL | {"colour": 2, "shape": None}))
    assert len(batch.records) == 2
    assert batch.ignored == {"colour": 2, "shape": 1}


def test_field_names_do_not_fill_the_memory():
    calls = [CALL | {f"f{100 * i + j}": 1 for j in range(100)} for i in range(20)]
    batch = read(lines(*calls))
    assert len(batch.ignored) == NAME_LIMIT + 1
    assert batch.ignored["other"] == 1_000


def test_schema_drift_in_the_middle_sets_one_line_aside():
    """C04: at call 301 a type changes; before and after it the rest loads, new fields included."""
    calls = [CALL | {"event_id": f"e{i}", "latency_ms": i} for i in range(600)]
    assert len(read(lines(*calls)).records) == 600
    calls[300]["latency_ms"] = "300 ms"
    calls[301]["region"] = "eu"
    del calls[302]["latency_ms"]
    batch = read(lines(*calls))
    assert len(batch.records) == 599
    assert [(r.line, r.reason) for r in batch.rejections] == [(301, "latency_ms must be a number, not text.")]
    assert batch.ignored == {"region": 1}
    assert batch.records[301]["latency_ms"] is None


def test_clocks_that_are_wrong_are_set_aside_not_lost():
    """C03: a day of skew is stored as it is; the years 1970 and 9999 and a leap second are set aside."""
    times = ["2026-05-31T12:00:00Z", "2026-06-02T12:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
    times += ["2026-06-30T23:59:60Z", "2026-10-25T02:30:00+01:00"]
    batch = read(lines(*({"event_id": f"e{i}", "occurred_at": t} for i, t in enumerate(times))))
    assert [record["source_line"] for record in batch.records] == [1, 2, 6]
    assert [rejection.line for rejection in batch.rejections] == [3, 4, 5]


def test_hostile_lines_do_not_stop_the_others():
    """C06, with good lines around each as control."""
    good = json.dumps(CALL).encode()
    wide = json.dumps(CALL | {f"c{i}": 1 for i in range(1_000)}).encode()
    hostile = [
        b'{"event_id": "' + b"x" * 20_000_000 + b'"}',
        wide,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        json.dumps(CALL | {"query": "a\0b"}).encode(),
        b'{"event_id": "\xff\xfe"}',
        b"[1, 2]",
        b"null",
    ]
    raw = [line for bad in hostile for line in (good, bad)] + [good]
    batch = read(enumerate(raw, 1))
    assert len(batch.records) == len(hostile) + 1
    said = [rejection.reason for rejection in batch.rejections]
    expected = [
        "longer than 10 MB",
        "1,002 fields",
        "nested deeper",
        "query holds a NUL",
        "not UTF-8",
        "a list",
        "empty",
    ]
    assert all(part in reason for part, reason in zip(expected, said, strict=True))


def test_absurd_numbers_are_set_aside():
    """C07, with the plain call as control."""
    absurd = [
        b'"usage": {"prompt_tokens": -5, "completion_tokens": 1}',
        b'"usage": {"prompt_tokens": 99999999999, "completion_tokens": 1}',
        b'"retrieved": [{"chunk_id": "c", "score": NaN}]',
        b'"latency_ms": 1e400',
        b'"cost_reported_usd": Infinity',
        b'"token_parts": {"user": -1}',
        b'"token_parts": {"weather": 1}',
    ]
    start = json.dumps(CALL).encode()[:-1]
    batch = read(enumerate([start + b"}", *(start + b", " + part + b"}" for part in absurd)], 1))
    assert len(batch.records) == 1
    assert [rejection.line for rejection in batch.rejections] == list(range(2, 9))
