"""What an entry says of a call and of a decision, and what it must never say."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance import commitment, leaf
from aiops_pipelines.compliance.audit_entry import (
    decision_entry,
    facts_hash,
    inference_entry,
    projection,
    user_name,
)
from aiops_pipelines_tests.compliance.example_log import START, SUBJECT_KEY, record


def test_an_inference_value_by_value():
    entry = inference_entry(record(7, pii_counts={"EMAIL": 2}), SUBJECT_KEY)
    query, answer = (
        commitment.commit(SUBJECT_KEY, "inference:call-7", field, text).hex()
        for field, text in (("query", b"How do I return order 7?"), ("answer", b"Within 30 days."))
    )
    assert entry == {
        "leaf_version": 1,
        "system": "support",
        "entry_id": "inference:call-7",
        "kind": "inference",
        "occurred_at": "2026-06-01T08:00:07.000000Z",
        "event_id": "call-7",
        "model_served": "model-2026-05",
        "model_requested": "model",
        "prompt_version": "v3",
        "index_version": None,
        "endpoint": "/chat",
        "status": "ok",
        "tokens_total": 500,
        "actor": f"user:{commitment.pseudonym(SUBJECT_KEY, 'user-0').hex()}",
        "latency_ms": 807,
        "cost_usd": "0.00125",
        "cost_micro_usd": 1250,
        "cost_status": "priced",
        "input_commitment": query,
        "output_commitment": answer,
        "pii_counts": {"EMAIL": 2},
        "facts_sha256": sha256(b"{}").hexdigest(),
    }


def test_the_hash_of_the_facts_by_hand():
    facts = {"rating": -1, "cost_reported_usd": Decimal("0.200"), "answered": True, "output_visible": None}
    facts["retrieved"] = [{"chunk_id": "c", "document": None, "score": 0.1}]
    written = (
        b'{"answered":true,"cost_reported_usd":"0.2","rating":-1,"retrieved":[{"chunk_id":"c","score":0.1}]}'
    )
    assert facts_hash(record(1, **facts)) == sha256(written).hexdigest()


@given(st.text(min_size=8, max_size=30), st.text(min_size=8, max_size=30), st.text(min_size=8, max_size=30))
def test_no_text_and_no_person_is_in_the_leaf(query, answer, user_id):
    hidden = {"query": f"<q>{query}", "answer": f"<a>{answer}", "user_id": f"<u>{user_id}"}
    data = leaf.encode(inference_entry(record(1, **hidden), SUBJECT_KEY)).decode()
    for text in hidden.values():
        assert text not in data
        assert leaf.well_formed(text) not in data
    assert not {"<q>", "<a>", "<u>"} & {data[at : at + 3] for at in range(len(data))}


def test_what_was_not_measured_is_null_and_what_is_empty_is_not():
    unmeasured = inference_entry(
        record(1, cost_usd=None, latency_ms=None, user_id=None, query=None, answer="", pii_counts=None),
        SUBJECT_KEY,
    )
    for key in ("cost_usd", "cost_micro_usd", "latency_ms", "actor", "input_commitment", "pii_counts"):
        assert unmeasured[key] is None
    assert (
        unmeasured["output_commitment"]
        == commitment.commit(SUBJECT_KEY, "inference:call-1", "answer", b"").hex()
    )


@pytest.mark.parametrize(
    ("cost_usd", "exact", "micro"),
    [
        ("0.0000005", "0.0000005", 0),
        ("0.0000015", "0.0000015", 2),
        ("0.0000025", "0.0000025", 2),
        ("0", "0", 0),
        ("-0.00", "0", 0),
        ("1E+2", "100", 100_000_000),
        ("100.00", "100", 100_000_000),
        ("0.000000000001", "0.000000000001", 0),
    ],
)
def test_the_exact_cost_stays_beside_the_rounded_one(cost_usd, exact, micro):
    entry = inference_entry(record(1, cost_usd=Decimal(cost_usd)), SUBJECT_KEY)
    assert (entry["cost_usd"], entry["cost_micro_usd"]) == (exact, micro)


@given(st.decimals(0, 1000, places=9))
def test_a_price_written_with_more_zeros_is_the_same_entry(cost_usd):
    longer = Decimal(f"{cost_usd:f}000")
    assert inference_entry(record(1, cost_usd=cost_usd), SUBJECT_KEY) == inference_entry(
        record(1, cost_usd=longer), SUBJECT_KEY
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cost_usd": 0.001}, "give a finite Decimal"),
        ({"cost_usd": Decimal("NaN")}, "give a finite Decimal"),
        ({"latency_ms": float("nan")}, "latency_ms is nan"),
        ({"pii_counts": '{"EMAIL":1}'}, "pii_counts is no mapping"),
        ({"occurred_at": datetime(2026, 6, 1)}, "in no time zone: give it in UTC"),
    ],
)
def test_a_wrong_value_is_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        inference_entry(record(1, **changes), SUBJECT_KEY)


def test_a_missing_key_is_named():
    incomplete = record(1)
    del incomplete["answer"], incomplete["user_id"]
    with pytest.raises(ValueError, match="lacks answer, user_id: give None"):
        inference_entry(incomplete, SUBJECT_KEY)


def test_a_time_of_another_zone_is_the_same_time():
    berlin = START.astimezone(timezone(timedelta(hours=2)))
    assert (
        inference_entry(record(1, occurred_at=berlin), SUBJECT_KEY)["occurred_at"]
        == "2026-06-01T08:00:00.000000Z"
    )


def test_a_person_has_one_name_in_all_entries():
    first, second = (inference_entry(record(number), SUBJECT_KEY) for number in (0, 7))
    assert first["actor"] == second["actor"] == user_name(SUBJECT_KEY, "user-0")
    assert first["actor"] != inference_entry(record(1), SUBJECT_KEY)["actor"]
    assert first["actor"] != user_name(bytes(32), "user-0")


def test_a_decision_is_identified_by_what_it_says():
    arguments = ("support", "model.pinned", START, "ann", "Pinned.", {"model": "m1", "cost_micro_usd": 5})
    decision = decision_entry(*arguments)
    assert decision == decision_entry(*arguments)
    assert decision["kind"] == "decision.model.pinned"
    assert decision["entry_id"].startswith("decision:")
    assert decision["details"] == {"model": "m1", "cost_micro_usd": 5}
    others = [
        decision_entry(*arguments[:at], changed, *arguments[at + 1 :])
        for at, changed in enumerate(
            ["sales", "model.freed", START + timedelta(seconds=1), "bob", "Freed.", {}]
        )
    ]
    assert len({entry["entry_id"] for entry in [decision, *others]}) == 7


def test_a_decision_with_a_fraction_is_refused():
    with pytest.raises(leaf.LeafInvalid, match=r"details\.drop is a float"):
        decision_entry("support", "drift", START, "ann", "Fell.", {"drop": 0.1})


def test_the_projection_of_a_decoded_leaf():
    entry = leaf.decode(leaf.encode(inference_entry(record(0), SUBJECT_KEY)))
    values = projection(entry)
    assert values[:4] == ("support", "inference:call-0", "inference", "2026-06-01T08:00:00.000000Z")
    assert values[14] == '{"EMAIL":2,"PHONE":1}'
    assert projection({"pii_counts": {}})[14] == "{}"
    assert projection({}) == (None,) * 16
