"""People who were erased and stand in lines that are read again."""

from dataclasses import replace

from aiops_pipelines.compliance.erasure import mark
from aiops_pipelines.compliance.privacy import pseudonymised
from aiops_pipelines.inference_log.forgotten import is_erased, keyed_line, names_erased
from aiops_pipelines.inference_log.ingestion import land
from aiops_pipelines.inference_log.late import feedback_rows, trace_rows
from aiops_pipelines.inference_log.reading import LogFile, Reading
from aiops_pipelines.inference_log.record import Batch, Rejection, normal_form
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines_tests.inference_log.test_ingestion import NOW

KEY = b"k" * 32
MAIL = "grace.hopper@navy.example"
STORED = pseudonymised(MAIL, KEY)[0]
SOURCE = Source("shop", "aiops_jsonl", NOW, KEY)
AWAY = replace(SOURCE, erased=frozenset(mark(KEY, one) for one in ("ada", "session-of-ada", STORED, MAIL)))
READING = Reading(LogFile("a.jsonl", 1, 1, b""))


def landed(source: Source, *calls: dict, traces: tuple[dict, ...] = ()):
    texts = {"query": "Where?", "answer": "Here.", "occurred_at": NOW}
    empty = dict.fromkeys(
        ("usage_raw", "tokens_total", "token_convention", "part_method", "completion_tokens")
    )
    parts = ("input_uncached", "cache_read", "cache_write", "output_visible", "reasoning")
    parts += ("system_prompt_tokens", "tools_tokens", "context_tokens", "history_tokens", "user_tokens")
    records = [
        normal_form(texts | {"event_id": f"e{n}"} | one) | empty | dict.fromkeys(parts) | {"source_line": n}
        for n, one in enumerate(calls)
    ]
    return land(Batch(records=records, traces=list(traces)), READING, source)


def test_calls_of_erased_people_come_in_without_texts_and_person() -> None:
    calls = ({"user_id": "ada"}, {"session_id": "session-of-ada"}, {"user_id": MAIL}, {"user_id": "bob"}, {})
    landing = landed(AWAY, *calls)
    rows = landing.inferences.sort("event_id")
    assert landing.forgotten == 3
    assert (
        rows["query"].to_list() == rows["query"].to_list()[:3] + ["Where?"] * 2 == [None] * 3 + ["Where?"] * 2
    )
    assert rows.select("user_id", "session_id").rows() == [(None, None)] * 3 + [("bob", None), (None, None)]
    assert rows["texts_deleted_at"].to_list() == [NOW] * 3 + [None] * 2
    assert rows["answered"].to_list() == [True] * 5


def test_nobody_is_forgotten_where_nobody_was_erased() -> None:
    landing = landed(SOURCE, {"user_id": "ada"}, {"user_id": MAIL})
    assert landing.forgotten == 0 and landing.inferences["user_id"].to_list() == ["ada", STORED]
    assert landing.inferences["texts_deleted_at"].null_count() == 2


def test_a_call_whose_user_only_its_trace_names_is_found_by_it() -> None:
    traces = ({"trace_id": "t1", "user_id": "ada"}, {"trace_id": "t2", "user_id": "bob"})
    landing = landed(AWAY, {"trace_id": "t1"}, {"trace_id": "t2"}, traces=traces)
    assert landing.inferences.sort("event_id")["query"].to_list() == [None, "Where?"]


def test_of_what_somebody_else_says_in_her_session_or_trace_nothing_is_forgotten() -> None:
    traces = ({"trace_id": "t1", "user_id": "ada"},)
    calls = ({"session_id": "session-of-ada", "user_id": "bob"}, {"trace_id": "t1", "user_id": "bob"})
    assert landed(AWAY, *calls, traces=traces).inferences["query"].to_list() == ["Where?"] * 2


def test_what_is_stored_of_an_erased_trace_stays_and_its_calls_come_in_empty() -> None:
    away = replace(AWAY, erased_traces=frozenset({"t1"}), erased_calls=frozenset({"e1"}))
    trace = {"trace_id": "t1", "session_id": None, "user_id": None, "endpoint": "chat", "source_line": 1}
    assert trace_rows(Batch(traces=[trace]), READING, away).is_empty()
    landing = landed(away, {"trace_id": "t1"}, {"trace_id": "t2"})
    assert landing.inferences.sort("event_id")["query"].to_list() == [None, "Where?"]
    said = {"feedback_id": "f", "name": "helpful", "label": "Bad", "given_by": "bob", "source_line": 1}
    batch = Batch(feedback=[said | {"feedback_id": name, "event_id": name} for name in ("e1", "e2")])
    assert feedback_rows(batch, READING, away).select("label", "given_by").rows() == [
        (None, "bob"),
        ("Bad", "bob"),
    ]


def test_what_is_said_of_traces_and_calls_names_them_no_more() -> None:
    trace = {"trace_id": "t1", "session_id": "s", "user_id": MAIL, "endpoint": "chat", "source_line": 1}
    said = {"feedback_id": "f", "event_id": "e1", "trace_id": None, "call_id": None, "source_line": 1}
    said |= {"session_id": "session-of-ada", "name": "helpful", "value": None, "label": "It never came"}
    said |= {"rating": -1, "given_by": "ada", "given_at": NOW}
    batch = Batch(traces=[trace], feedback=[said])
    (kept,) = trace_rows(batch, READING, AWAY).rows(named=True)
    assert (kept["trace_id"], kept["session_id"], kept["user_id"], kept["endpoint"]) == (
        "t1",
        None,
        None,
        "chat",
    )
    (rated,) = feedback_rows(batch, READING, AWAY).rows(named=True)
    assert (rated["session_id"], rated["label"], rated["given_by"], rated["rating"]) == (None, None, None, -1)
    (before,) = feedback_rows(batch, READING, SOURCE).rows(named=True)
    assert (before["label"], before["given_by"]) == ("It never came", "ada")
    assert not is_erased(trace, SOURCE) and is_erased(trace, AWAY)


def test_a_line_set_aside_that_names_them_is_kept_by_place_and_reason_alone() -> None:
    raw = b'{"user_id": "ada", "query": "Where?", "latency_ms": -1}'
    for line in (raw, b"user=ada; broken", b"{'user': 'ada'"):
        assert names_erased(line, AWAY) and not names_erased(line, SOURCE)
    assert not names_erased(b'{"user_id": "adam"}', AWAY)
    (row,) = land(Batch(rejections=[Rejection(3, "latency_ms is -1", raw)]), READING, AWAY).quarantine.rows(
        named=True
    )
    (plain,) = land(
        Batch(rejections=[Rejection(3, "latency_ms is -1", raw)]), READING, SOURCE
    ).quarantine.rows(named=True)
    assert row["raw_masked"] is None and row["reason"] == "latency_ms is -1"
    assert row["line_hash"] == keyed_line(KEY, plain["line_hash"]) != plain["line_hash"]
    again = land(
        Batch(rejections=[Rejection(3, "latency_ms is -1", raw)]), READING, AWAY, (), {row["line_hash"]}
    )
    assert again.quarantine.is_empty()
