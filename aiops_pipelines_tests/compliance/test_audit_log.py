"""Appending: every event once, in order, and no second version in silence (A14)."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops_pipelines.compliance import audit_log, leaf
from aiops_pipelines.compliance.audit_log import SCHEMA, append, candidate_ids, inference_entry
from aiops_pipelines.compliance.merkle import leaf_hash
from aiops_pipelines_tests.compliance.example_log import LOG, SIZE, START, SUBJECT_KEY, entries, record


def known(rows: pl.DataFrame) -> dict[str, bytes]:
    return dict(rows.select("entry_id", "leaf_hash").iter_rows())


def test_a_row_is_its_leaf():
    row = LOG.row(3, named=True)
    assert LOG.schema == pl.Schema(SCHEMA)
    assert LOG["entry_index"].to_list() == list(range(SIZE))
    assert row["leaf"] == leaf.encode(entries(SIZE)[3])
    assert row["leaf_hash"] == leaf_hash(row["leaf"])
    assert row["occurred_at"] == datetime(2026, 6, 1, 8, 0, 3, tzinfo=UTC)
    assert (row["event_id"], row["latency_ms"], row["cost_micro_usd"]) == ("call-3", 803, 1250)
    assert row["pii_counts"] == '{"EMAIL":2,"PHONE":1}'
    assert row["summary"] is None


def test_a_decision_and_an_unmeasured_call_are_null_where_they_say_nothing():
    decision, unmeasured = LOG.row(10, named=True), LOG.row(20, named=True)
    assert (decision["actor"], decision["summary"]) == ("ann", "The baseline of May stands.")
    assert decision["latency_ms"] is decision["event_id"] is decision["pii_counts"] is None
    for column in ("latency_ms", "cost_micro_usd", "actor", "output_commitment", "pii_counts"):
        assert unmeasured[column] is None
    assert unmeasured["cost_status"] == "unknown"


def test_nothing_appended_is_a_frame_without_rows():
    appended = append({}, 5, [])
    assert appended.rows.schema == pl.Schema(SCHEMA)
    assert (appended.rows.height, appended.conflicts) == (0, ())


def test_a_redelivered_event_adds_nothing():
    again = append(known(LOG), SIZE, entries(SIZE) * 3)
    assert (again.rows.height, again.conflicts) == (0, ())
    assert append({}, 0, entries(SIZE) * 3).rows.equals(LOG)


def test_a_second_version_is_refused_returned_and_recorded_once():
    first, second = (inference_entry(record(1, answer=answer), SUBJECT_KEY) for answer in ("Yes.", "No."))
    log = append({}, 0, [first]).rows
    appended = append(known(log), 1, [second, first, second])

    (conflict,) = appended.conflicts
    assert conflict.entry == second
    assert conflict.kept_leaf_hash == log["leaf_hash"][0]
    assert conflict.refused_leaf_hash == leaf_hash(leaf.encode(second))
    (row,) = appended.rows.iter_rows(named=True)
    assert (row["kind"], row["entry_index"], row["system"]) == ("conflict", 1, "support")
    assert row["summary"] == "Refused: inference:call-1 once more, with other content. The first stands."
    assert leaf.decode(row["leaf"])["details"] == {
        "entry_id": "inference:call-1",
        "kept_leaf_hash": log["leaf_hash"][0].hex(),
        "refused_leaf_hash": conflict.refused_leaf_hash.hex(),
    }

    later = append(known(log) | known(appended.rows), 2, [second])
    assert (later.rows.height, later.conflicts) == (0, ())
    third = inference_entry(record(1, answer="Perhaps."), SUBJECT_KEY)
    assert len(append(known(log) | known(appended.rows), 2, [third]).conflicts) == 1


def test_two_versions_in_one_batch_are_a_conflict():
    first, second = (inference_entry(record(1, status=status), SUBJECT_KEY) for status in ("ok", "error"))
    appended = append({}, 0, [first, second])
    assert appended.rows["kind"].to_list() == ["inference", "conflict"]
    assert appended.conflicts[0].entry == second


def test_the_candidate_ids_are_all_that_must_be_looked_up():
    first, second = (inference_entry(record(1, status=status), SUBJECT_KEY) for status in ("ok", "error"))
    log = append({}, 0, [first, second, inference_entry(record(2), SUBJECT_KEY)]).rows
    wanted = candidate_ids([first, second])
    found = known(log.filter(pl.col("entry_id").is_in(wanted)))
    assert len(found) == 2
    assert append(found, 3, [first, second]).rows.height == 0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["ok", "error"])), max_size=20), st.integers(0, 20)
)
def test_any_split_into_batches_gives_the_same_log(calls, cut):
    made = [inference_entry(record(number, status=status), SUBJECT_KEY) for number, status in calls]
    whole = append({}, 0, made)
    start = append({}, 0, made[:cut]).rows
    rest = append(known(start), start.height, made[cut:]).rows
    assert pl.concat([start, rest]).equals(whole.rows)
    assert whole.rows.filter(pl.col("kind") == "inference").height == len({number for number, _ in calls})
    assert whole.rows.filter(pl.col("kind") == "conflict").height == len(whole.conflicts)
    assert len(set(calls)) == whole.rows.height
    assert audit_log.verify(whole.rows, [], "")[1:] == []


def test_text_that_no_utf8_carries_is_replaced_in_leaf_and_row_alike():
    entry = inference_entry(record(1, event_id="a\ud800", prompt_version="v\udfff"), SUBJECT_KEY)
    rows = append({}, 0, [entry]).rows
    assert (rows["entry_id"][0], rows["prompt_version"][0]) == ("inference:a\ufffd", "v\ufffd")
    assert leaf.decode(rows["leaf"][0])["_replaced"] is True
    assert append(known(rows), 1, [entry]).rows.height == 0
    assert audit_log.verify(rows, [], "")[1:] == []


def test_times_at_both_ends_of_the_calendar_stay_what_they_are():
    times = [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    times.append(datetime(9999, 12, 31, 23, 59, 59, 1, tzinfo=UTC))
    made = [inference_entry(record(n, occurred_at=time), SUBJECT_KEY) for n, time in enumerate(times)]
    rows = append({}, 0, made).rows
    assert rows["occurred_at"].to_list() == times
    assert audit_log.verify(rows, [], "")[1:] == []


def test_entries_of_two_systems_are_refused():
    with pytest.raises(ValueError, match="of sales, support: each system has a log of its own"):
        append(
            {}, 0, [inference_entry(record(1, system=system), SUBJECT_KEY) for system in ("support", "sales")]
        )


def test_an_entry_that_cannot_be_written_stops_the_batch():
    decision = audit_log.decision_entry("support", "x", START, "ann", "x", {})
    with pytest.raises(leaf.LeafInvalid, match="float"):
        append({}, 0, [*entries(30), decision | {"details": {"rate": 0.1}}])
