"""One logical call gives the same tokens, parts and cost in every format, and each format is recognised."""

import json
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops_pipelines.costs.prices import call_costs
from aiops_pipelines.inference_log.formats import UnknownFormat, detected, importer
from aiops_pipelines.inference_log.priced_apart import with_priced_apart
from aiops_pipelines.inference_log.record import TOKEN_COLUMNS
from aiops_pipelines.inference_log.tokens import PARTS
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines_tests.inference_log import renderings
from aiops_pipelines_tests.inference_log.renderings import (
    ANSWER,
    MAPPING,
    QUESTION,
    RENDERINGS,
    WITHOUT_REASONING,
    Call,
)

COUNT = st.one_of(st.just(0), st.integers(0, 200_000))
CALLS = st.builds(
    lambda model, *counts: Call(*model, *counts),
    st.sampled_from([("openai", "gpt-5"), ("anthropic", "claude-sonnet-4-5")]),
    *[COUNT] * 5,
)
ONE = Call("anthropic", "claude-sonnet-4-5", 100, 800, 50, 30, 12)
PRICED = (
    "system",
    "event_id",
    "provider",
    "model_served",
    "model_requested",
    "occurred_at",
    "token_convention",
)


def words(text, model):
    return len(text.split()), True


def read(name, call):
    kind, render = RENDERINGS[name]
    batch = importer(kind, MAPPING)([(1, render(call))], words)
    assert batch.rejections == []
    [record] = batch.records
    return record


def counts(record):
    return tuple(record[name] for name in TOKEN_COLUMNS)


@settings(max_examples=60, deadline=None)
@given(CALLS)
def test_one_call_is_the_same_in_every_format(call):
    """Tokens, total and cost to 10^-9 USD; generated usages with and without cache and reasoning."""
    records = {name: read(name, call) for name in RENDERINGS}
    five = (call.uncached, call.read, call.write, call.visible, call.reasoning)
    for name, record in records.items():
        expected = (*five[:3], call.said, 0) if name in WITHOUT_REASONING else five
        assert (name, counts(record)) == (name, expected)
        assert record["tokens_total"] == call.total == sum(counts(record))
        assert record["token_convention"] in ("inclusive", "disjoint")
    rows = [
        {"system": "s", **{k: record.get(k) for k in (*PRICED[1:], *TOKEN_COLUMNS)}}
        for record in records.values()
    ]
    costs = call_costs(pl.DataFrame(rows, infer_schema_length=None), PriceBook().price_of)
    assert set(costs["price_status"]) == {"priced"}
    assert max(costs["cost_usd"]) - min(costs["cost_usd"]) < Decimal("1e-9")


def test_cache_writes_for_an_hour_are_priced_apart_in_every_format_that_states_them():
    """claude-sonnet-4-5 per million: 3 in, 0.30 read, 3.75 written, 6 written for an hour, 15 out.

    (2,048 x 3 + 1,800 x 0.30 + 456 x 3.75 + 100 x 6 + 503 x 15) / 10^6 = 0.016539 USD.
    """
    call = Call("anthropic", "claude-sonnet-4-5", 2_048, 1_800, 556, 500, 3, hour=100)
    records = [read(name, call) for name in RENDERINGS if name not in WITHOUT_REASONING]
    rows = [
        {"system": "s", **{k: record.get(k) for k in (*PRICED[1:], *TOKEN_COLUMNS, "usage_raw")}}
        for record in records
    ]
    calls = with_priced_apart(pl.DataFrame(rows, infer_schema_length=None))
    assert set(calls.select(*TOKEN_COLUMNS, "cache_write_1h").rows()) == {(2_048, 1_800, 556, 500, 3, 100)}
    costs = call_costs(calls, PriceBook().price_of)
    assert set(costs["cost_usd"]) == {Decimal("0.016539")}
    assert set(costs["cache_write_usd"]) == {Decimal("0.00231")}
    without = call_costs(calls.drop("cache_write_1h"), PriceBook().price_of)
    assert set(without["cache_write_usd"]) == {Decimal("0.002085")}


@settings(max_examples=40, deadline=None)
@given(CALLS)
def test_parts_add_up_to_the_providers_input_in_every_format_with_texts(call):
    for name in RENDERINGS:
        record = read(name, call)
        assert (record["query"], record["answer"]) == (QUESTION, ANSWER), name
        assert record["completion_tokens"] == call.said
        if name == "aiops_jsonl":  # carries no prompt, only its counts
            assert record["part_method"] is None
            continue
        assert sum(record[f"{part}_tokens"] for part in PARTS) == call.given, name
        assert record["part_method"] in ("counted", "estimated")
        assert (record["system_prompt_tokens"] > 0) == (call.given > 1 or record["system_prompt_tokens"] == 1)


@pytest.mark.parametrize(
    "said", ['{"answer": "Paris", "sources": [1]}', '{"type": "reasoning", "text": "x"}']
)
def test_an_answer_that_is_json_stays_the_text_it_is_in_every_format(said, monkeypatch):
    monkeypatch.setattr(renderings, "ANSWER", said)
    monkeypatch.setitem(renderings.SAID[0], "content", said)
    assert {name: read(name, ONE)["answer"] for name in RENDERINGS} == dict.fromkeys(RENDERINGS, said)


@pytest.mark.parametrize("name", [name for name in RENDERINGS if not name.startswith("mapped")])
def test_each_format_is_recognised_by_what_it_holds(name):
    kind, render = RENDERINGS[name]
    value = json.loads(render(ONE))
    assert detected([value]) == kind
    assert detected([{"some": "header"}, value]) == kind


def test_openinference_and_genai_spans_in_one_file_are_read_under_either_name():
    kinds = ("otlp 1.37", "openinference otlp")
    spans = [json.loads(RENDERINGS[name][1](ONE)) for name in kinds]
    spans[1]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] = "c" * 16
    raw = [(1, json.dumps(spans).encode())]
    assert detected([spans]) == "openinference"
    for name in ("otlp_json", "openinference"):
        assert [counts(record) for record in importer(name)(raw).records] == [(100, 800, 50, 30, 12)] * 2


@pytest.mark.parametrize("value", [{}, [], 7, "text", {"a": 1}, [{"a": 1}], {"data": []}])
def test_an_unknown_file_is_told_what_was_looked_for(value):
    with pytest.raises(UnknownFormat) as told:
        detected([value])
    for said in (
        "resourceSpans",
        "Langfuse",
        "LiteLLM",
        "MLflow",
        "span_kind",
        "event_id",
        "inference_log.mapping",
    ):
        assert said in str(told.value)


DISJOINT_WITHOUT_TOTAL = {
    "langfuse, disjoint": lambda row: row["usage_details"].pop("total"),
    "mlflow 2, disjoint": lambda row: drop_total(row),
    "mapped, disjoint": lambda row: row["n"].pop("all"),
}


def drop_total(row):
    values = row["data"]["spans"][0]["attributes"]
    usage = json.loads(values["mlflow.chat.tokenUsage"])
    del usage["total_tokens"]
    values["mlflow.chat.tokenUsage"] = json.dumps(usage)


@pytest.mark.parametrize("name", DISJOINT_WITHOUT_TOTAL)
def test_counts_that_nothing_decides_are_ambiguous_and_cost_a_range(name):
    """Cached input 800 of 1,000: without a total it may stand inside or beside; with one it is decided."""
    call = Call("anthropic", "claude-sonnet-4-5", 1_000, 800, 0, 30, 0)
    kind, render = RENDERINGS[name]
    row = json.loads(render(call))
    assert (
        importer(kind, MAPPING)([(1, json.dumps(row).encode())]).records[0]["token_convention"] == "disjoint"
    )
    DISJOINT_WITHOUT_TOTAL[name](row)
    [record] = importer(kind, MAPPING)([(1, json.dumps(row).encode())]).records
    assert record["token_convention"] == "ambiguous"
    priced = pl.DataFrame([{"system": "s", **{k: record.get(k) for k in (*PRICED[1:], *TOKEN_COLUMNS)}}])
    [cost] = call_costs(priced, PriceBook().price_of).rows(named=True)
    # claude-sonnet-4-5: 3 in, 0.30 cached, 15 out per million; 200 or 1,000 uncached beside 800 cached.
    output = Decimal("0.00045")
    assert cost["cost_usd"] is None
    assert cost["cost_low_usd"] == Decimal("0.0006") + Decimal("0.00024") + output
    assert cost["cost_high_usd"] == Decimal("0.003") + Decimal("0.00024") + output
