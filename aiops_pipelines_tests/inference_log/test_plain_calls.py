"""Calls read by the column are the calls that are read line by line, whatever the lines hold."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aiops_pipelines.inference_log import aiops_jsonl
from aiops_pipelines.inference_log.lines import Block
from aiops_pipelines.inference_log.plain_calls import PLAIN
from aiops_pipelines.inference_log.plain_usage import CONVENTIONS, apportioned, shape, split_columns, stated
from aiops_pipelines.inference_log.priced_apart import with_priced_apart
from aiops_pipelines.inference_log.provider_usage import provider_tokens, stated_usage
from aiops_pipelines.inference_log.record import CALLS, RecordError
from aiops_pipelines.inference_log.tokens import Usage, apportion, split
from aiops_pipelines.resources.log_book import by_column

CALL = {"event_id": "e1", "occurred_at": "2026-06-01T12:00:00Z"}
USAGES = [
    {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "prompt_tokens_details": {"cached_tokens": 80}},
    {"prompt_tokens": 100, "completion_tokens": 20, "completion_tokens_details": {"reasoning_tokens": 7}},
    {"input_tokens": 9, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 3, "output_tokens": 20},
    {"promptTokenCount": 7, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 12},
    {"inputTokens": 7, "outputTokens": 3, "cacheReadInputTokens": 4},
    {"total_tokens": 12, "prompt_tokens": 9},
    {"usage": {"input_tokens": 5, "output_tokens": 6}, "note": "n"},
    {"input_uncached": 1, "output_visible": 2},
    {"service_tier": "default"},
    {},
    {"input_tokens": 2048, "cache_read_input_tokens": 1800, "cache_creation_input_tokens": 556, "output_tokens": 503,
     "cache_creation": {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100}},
    {"input_tokens": 4404, "output_tokens": 503, "total_tokens": 4907,
     "input_token_details": {"cache_read": 1800, "cache_creation": 0, "ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100}},
]  # fmt: skip


def both_lanes(raw: list[bytes], seen: set[str]) -> tuple[pl.DataFrame, aiops_jsonl.Batch, int]:
    """Return what both lanes together make of the lines, and how many calls came by the column."""
    plain, rest = by_column(Block.of(raw), seen)
    batch = aiops_jsonl.read(rest)
    batch.ignored.update(plain.ignored)
    calls = pl.concat([plain.calls, pl.DataFrame(batch.records, schema=CALLS, orient="row")])
    return calls.sort("source_line"), batch, plain.calls.height


def assert_same(raw: list[bytes], seen: frozenset[str] = frozenset()) -> int:
    calls, batch, plain = both_lanes(raw, set(seen))
    alone = aiops_jsonl.read([(number, line) for number, line in enumerate(raw, 1) if line.strip()])
    assert_frame_equal(calls, pl.DataFrame(alone.records, schema=CALLS, orient="row"), check_exact=True)
    assert batch.rejections == alone.rejections
    assert batch.ignored == alone.ignored
    return plain


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["", " x ", "NaN", 'a "usage": {"prompt_tokens": 1} b', "\x1cx", "\xa0x", "Ünï", "#", "a\\u0041", "\U0001f600", "{", "1:2"]
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(-2, 2_000),
    st.sampled_from([10**9, 10**9 - 1, 10**18, 2**63, 10**30, -(10**20), 0.5, 1.5, -0.0, 1e-5, 12.0, 1e15, 999_999_999.5]),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
COUNTS = st.integers(0, 300) | NUMBERS
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"chunk_id": TEXTS}, optional={"document": TEXTS, "score": NUMBERS, "extra": ANYTHING, "usage": st.just({"a": 1})}
    ),
    max_size=3,
)  # fmt: skip
FIELDS = {
    "occurred_at": st.sampled_from(
        ["2026-06-01T12:00:00Z", "2026-06-01T12:00:00.123+02:00", "2026-06-01T12:00:00.5-23:59", "2026-06-01 12:00:00",
         "1999-12-31T23:59:59Z", "2100-12-31T23:59:59-10:00", "2026-02-30T00:00:00Z", "2026-06-30T23:59:60Z",
         "2026-06-01T24:00:00Z", "2026-06-01", "20260601T120000Z", " 2026-06-01T12:00:00Z", "2026-06-01T12:00Z", "9999-01-01T00:00:00Z"]
    ),
    **dict.fromkeys(("endpoint", "provider", "query", "answer", "user_id", "known_query_id"), TEXTS),
    **dict.fromkeys(("model_requested", "model_served"), TEXTS | st.sampled_from(["gpt-4o", " Claude-3 ", "openai/x", "eu.amazon.nova"])),
    "status": st.sampled_from(["ok", "error", "refused", "OK", ""]),
    "latency_ms": NUMBERS,
    "rating": st.sampled_from([-1, 0, 1, 2, 1.0, True]),
    "source_id": TEXTS,
    "source_seq": NUMBERS,
    "retrieved": ENTRIES,
    "guardrail_events": st.lists(st.fixed_dictionaries({"guardrail": TEXTS}, optional={"action": TEXTS}), max_size=2),
    "cost_reported_usd": NUMBERS | TEXTS | st.sampled_from(["0.0042", 0.0042, 4.2e-5, 1e-13, 123456.123456789]),
    "usage": st.sampled_from(USAGES) | st.dictionaries(st.sampled_from([*(k for u in USAGES for k in u), "x"]), COUNTS, max_size=4),
    "token_parts": st.dictionaries(st.sampled_from(["system_prompt", "context", "history", "user", "weather"]), COUNTS, max_size=4),
    **dict.fromkeys(("input_uncached", "cache_read", "output_visible", "tokens_total"), COUNTS),
    **dict.fromkeys(("colour", "feedback_on", "meta"), ANYTHING),
}  # fmt: skip


@st.composite
def good_calls(draw):
    """A call as applications write it."""
    usage = draw(st.sampled_from(USAGES[:5]))
    call = CALL | {
        "event_id": draw(st.text("abc0123", min_size=1, max_size=4)),
        "usage": {k: draw(st.integers(0, 300)) if isinstance(v, int) else v for k, v in usage.items()},
        "token_parts": {"context": draw(st.integers(0, 50)), "user": draw(st.integers(0, 50))},
        "latency_ms": draw(st.integers(0, 5_000)),
    }
    return json.dumps(call, separators=draw(st.sampled_from([(", ", ": "), (",", ":")]))).encode()


@st.composite
def odd_calls(draw):
    """A call with some fields that may be anything."""
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=5, unique=True))
    call = CALL | {name: draw(ANYTHING if draw(st.integers(0, 9)) == 0 else FIELDS[name]) for name in names}
    return json.dumps(call, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


@st.composite
def broken_lines(draw):
    """A good line that something was done to."""
    line = draw(good_calls() | odd_calls())
    start = line[:-1]
    return draw(
        st.sampled_from(
            [
                line[: len(line) // 2], line + line, line + b" null", b"null", b"[]", b"", b"  ", b"{}", b"{}{}", line + b" x",
                start + b",}", start + b', "rating": NaN}', start + b', "latency_ms": 1e400}', start + b', "colour": Infinity}',
                start + b', "event_id": "e2"}', start + b', "colour": {"a": 1, "a": 2}}', start + b', "us\\u0061ge": {"a": 1}}',
                start + b', "colour": null}', start + b', "query": "a\\u0000b"}', start + b', "query": "\xff"}',
                start + b', "query": "\\ud800"}', start + b', "n": ' + b"9" * 400 + b"}", b"\xef\xbb\xbf" + line,
                start + b', "deep": ' + b"[" * 70 + b"]" * 70 + b"}", b'{"a":' * 20_000 + b"1" + b"}" * 20_000, line + b"\r",
                start + b', "meta": {"usage": {"prompt_tokens": 1}}}', start + b', "col\\u006fur": null}', start + b', "usage" : {"x":"}"}}',
                start + b', "the line itself": "x"}', start + b', "source_line": 5}', start + b', "query": "\\ud83d\\ude00"}',
            ]
        )
    )  # fmt: skip


MIXTURES = st.lists(st.one_of(good_calls(), odd_calls(), broken_lines()), max_size=12)


@settings(max_examples=50)
@given(MIXTURES)
def test_both_lanes_say_the_same_of_any_lines(raw):
    assert_same(raw)


@pytest.mark.slow
@settings(max_examples=3_000)
@given(st.lists(odd_calls() | broken_lines(), max_size=4))
def test_both_lanes_say_the_same_of_very_many_lines(raw):
    assert_same(raw)


@settings(max_examples=40)
@given(st.lists(odd_calls(), min_size=1, max_size=1))
def test_both_lanes_say_the_same_of_one_odd_line(raw):
    assert_same(raw)


@settings(max_examples=50)
@given(MIXTURES, st.frozensets(st.sampled_from(sorted({*CALL, *FIELDS} & PLAIN.keys()))))
def test_fields_that_lines_before_had_or_had_not_change_nothing(raw, seen):
    assert_same(raw, seen)


def test_fields_are_asked_for_once_they_were_seen():
    first, later = CALL | {"query": "a"}, CALL | {"event_id": "e2", "latency_ms": 7, "trace_id": None}
    seen: set[str] = set()
    by_column(Block.of([json.dumps(first).encode()]), seen)
    assert seen == {"event_id", "occurred_at", "query"}
    plain, _ = by_column(Block.of([json.dumps(later).encode()], 2), seen)
    assert plain.calls.select("latency_ms", "query").row(0) == (7, None)
    assert seen == {"event_id", "occurred_at", "query", "latency_ms", "trace_id"}


def test_a_list_that_pyarrow_loses_is_left_to_the_reader():
    assert assert_same([json.dumps(CALL | {"colour": [None, False]}).encode()]) == 0


@pytest.mark.parametrize("usage", [5, {"prompt": 5}, "x", None, {"input_tokens": 5}])
@pytest.mark.parametrize("own", [{"input_tokens": 5, "output_tokens": 6}, {"total_tokens": 5}])
def test_a_usage_of_a_chunk_is_not_taken_for_the_calls(usage, own):
    line = CALL | {"retrieved": [{"chunk_id": "c", "usage": own}], "usage": usage}
    assert_same([json.dumps(line).encode()])
    assert_same([json.dumps(CALL | {"retrieved": [{"chunk_id": "c", "usage": own}]}).encode()])


def test_usages_of_other_writers_than_the_first_lines_keep_their_text():
    usages = [json.dumps(usage, separators=way) for usage in USAGES[:5] for way in ((", ", ": "), (",", ":"))]
    usages += ['{"input_tokens": 5, "output_tokens": -0}', '{"output_tokens": 6,  "input_tokens": 5}', "{}"]
    raw = [
        f'{{"event_id": "e{i}", "occurred_at": "2026-06-01T12:00:00Z", "usage":{gap}{usages[i % len(usages)]}}}'.encode()
        for i in range(200)
        for gap in [" " * (i % 3)]
    ]
    assert_same(raw)
    assert assert_same([line.replace(b": -0", b": 0") for line in raw]) > 150


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_good_lines_all_come_by_the_column(separators):
    calls = [CALL | {"event_id": f"e{i}", "usage": USAGES[i % 5], "colour": "red"} for i in range(300)]
    raw = [json.dumps(call, separators=separators).encode() for call in calls]
    assert assert_same(raw) == 300


@pytest.mark.parametrize(("usage", "by_the_column"), [(USAGES[-2], 90), (USAGES[-1], 0)])
def test_cache_writes_for_an_hour_are_the_same_by_the_column_and_by_line(usage, by_the_column):
    raw = [json.dumps(CALL | {"event_id": f"e{i}", "usage": usage}).encode() for i in range(90)]
    assert assert_same(raw) == by_the_column
    calls = with_priced_apart(both_lanes(raw, set())[0])
    found = calls.select("input_uncached", "cache_read", "cache_write", "cache_write_1h", "tokens_total")
    assert set(found.rows()) == {(2048, 1800, 556, 100, 4907)}


def test_one_bad_line_leaves_few_others_to_the_reader():
    raw = [json.dumps(CALL | {"event_id": f"e{i}", "rating": 1}).encode() for i in range(1_000)]
    raw[700] = raw[700].replace(b'"rating": 1', b'"rating": "up"')
    assert 1_000 - 64 <= assert_same(raw) < 1_000


@given(st.sampled_from(USAGES), st.data())
def test_a_template_means_what_the_reader_makes_of_its_usages(usage, data):
    text = json.dumps(usage)
    template = "".join("#" if part.isdigit() else part for part in _digits_apart(text))
    gaps = template.count("#")
    counts = data.draw(st.lists(st.integers(0, 200), min_size=gaps, max_size=gaps))
    found = shape(template)
    if found is None:
        assert "input_uncached" in usage or usage["input_token_details"]["cache_creation"] == 0
        return
    parts = template.split("#")
    filled = json.loads(parts[0] + "".join(f"{c}{p}" for c, p in zip(counts, parts[1:], strict=True)))
    if found.factors is None:
        assert provider_tokens(filled) is None
        return
    columns = stated(found, [np.array([count]) for count in counts], 1)
    try:
        truth = stated_usage(filled)
    except RecordError:
        assert min(columns["input"][0], columns["output"][0]) < 0
        return
    assert isinstance(truth, Usage)
    five, total, convention = split_columns(found, columns)
    expected = split(truth)
    assert [int(values[0]) for values in five] == [
        expected.input_uncached, expected.cache_read, expected.cache_write, expected.output_visible, expected.reasoning
    ]  # fmt: skip
    assert (int(total[0]), CONVENTIONS[convention[0]]) == (expected.total, expected.convention)


def _digits_apart(text: str) -> list[str]:
    import re

    return re.split(r"(?<=: )(\d+)", text)


@given(
    st.lists(st.lists(st.integers(0, 10**9 - 1), min_size=5, max_size=5), min_size=1),
    st.integers(0, 3 * 10**9),
)
def test_parts_are_apportioned_by_the_column_as_one_by_one(weights, total):
    kept = [row for row in weights if sum(row)]
    if kept:
        columns = apportioned(
            [np.array(column) for column in zip(*kept, strict=True)], np.full(len(kept), total)
        )
        assert [list(row) for row in zip(*columns, strict=True)] == [apportion(row, total) for row in kept]


@pytest.mark.parametrize("template", ["#", "{", '{"a": "#"}', '{"a": [#]}', '{"a": #.5}', '{"a": #, "a": #}'])
def test_templates_that_are_no_plain_usage_are_left_to_the_reader(template):
    assert shape(template) is None


def test_a_provider_that_no_column_holds_is_left_to_the_reader_of_lines():
    assert_same([b'{"event_id": "e1", "occurred_at": "2026-06-01T12:00:00Z", "provider": "\\u0000"}'])


def test_a_provider_that_is_not_named_is_the_models_own_by_the_column_too():
    models = [
        {"model_served": "gpt-4o"},
        {"model_requested": " Claude-3 "},
        {"model_served": " ", "model_requested": "grok"},
    ]
    models += [{"model_served": "our-model"}, {"model_served": "gpt-4o", "provider": "azure"}, {}]  # fmt: skip
    raw = [json.dumps(CALL | {"event_id": str(n), **named}).encode() for n, named in enumerate(models * 40)]
    assert assert_same(raw) == len(raw)
    calls, _, _ = both_lanes(raw, set())
    assert calls["provider"].to_list()[:6] == ["openai", "anthropic", "x-ai", None, "azure", None]
