"""Exports, recorded calls and usage bodies found in the wild: read without a crash, with the counts they state."""

import gzip
import json
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from aiops_pipelines.costs.prices import call_costs
from aiops_pipelines.inference_log.formats import IMPORTERS, detected
from aiops_pipelines.inference_log.priced_apart import with_priced_apart
from aiops_pipelines.inference_log.provider_http import read
from aiops_pipelines.inference_log.provider_usage import body_usage, provider_tokens
from aiops_pipelines.inference_log.record import TOKEN_COLUMNS
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines.resources.tokenizer import count_tokens
from aiops_pipelines_tests.shared_data import shared

INPUT, OUTPUT = ("input_uncached", "cache_read", "cache_write"), ("output_visible", "reasoning")


def lines_of(path):
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(enumerate(raw.splitlines(), 1)) if ".jsonl" in path.name else [(1, raw)]


def total(records, *names):
    return sum(record[name] or 0 for record in records for name in names)


def priced(records):
    names = ("event_id", "provider", "model_served", "model_requested", "occurred_at", "token_convention")
    rows = [{"system": "s", **{name: r[name] for name in (*names, *TOKEN_COLUMNS)}} for r in records]
    return call_costs(pl.DataFrame(rows, infer_schema_length=None), PriceBook().price_of)


def test_every_exported_file_is_read_with_the_tokens_and_cost_it_states():
    folder = shared("traces")
    truths = {one["file"]: one for one in json.loads((folder / "ground_truth.json").read_text())}
    files = [path for path in sorted(folder.rglob("*.json*")) if path.name != "ground_truth.json"]
    assert len(files) >= 24
    equal = 0
    for path in files:
        lines = lines_of(path)
        batch = IMPORTERS[detected(json.loads(raw) for _, raw in lines)](lines, count_tokens)
        reasons = {rejection.reason for rejection in batch.rejections}
        if "openinference_genai" in str(path):
            assert reasons == {
                "These are attributes of a span without its ids and times; export whole spans."
            }
            continue
        assert reasons == set(), path.name
        truth = truths.get(path.relative_to(folder).as_posix())
        if truth is None:
            continue
        records = batch.records
        assert (len(records), total(records, *INPUT), total(records, *OUTPUT), total(records, "tokens_total")) == (
            truth["generations"], truth["input_tokens"], truth["output_tokens"], truth["total_tokens"],
        ), path.name  # fmt: skip
        stated = sum((r["cost_reported_usd"] or Decimal(0) for r in records), Decimal(0))
        assert abs(stated - Decimal(str(truth["total_cost"]))) < Decimal("1e-9"), path.name
        ours = sum((cost or Decimal(0) for cost in priced(records)["cost_usd"]), Decimal(0))
        # One export reports 0.000234 USD, a fifth of the list price of its model; there the two must differ.
        assert (abs(ours - stated) < Decimal("1e-9")) == ("langgraph" not in path.name), path.name
        equal += 1
    assert equal == len(truths) == 10


def test_an_export_that_reports_less_than_the_list_price_is_seen():
    path = shared("traces/langfuse/langgraph-python-2025-08-22.trace.json")
    records = IMPORTERS["langfuse"](lines_of(path)).records
    assert float(sum(priced(records)["cost_usd"])) == pytest.approx(0.00108)
    assert float(sum(r["cost_reported_usd"] for r in records)) == pytest.approx(0.000234)


def test_every_recorded_call_is_read():
    """838 requests to 28 hosts: calls, failures with 400 and 404, streams, and requests that ask no model."""
    lines = lines_of(shared("http_logs/openllmetry.jsonl.gz"))
    batch = read(lines, count_tokens)
    rows = {number: json.loads(raw) for number, raw in lines}
    assert len(batch.records) + len(batch.rejections) + batch.ignored.total() == len(rows) == 838
    # Two answers of one host have no date, neither in the header nor in the body.
    assert {rows[one.line]["host"] for one in batch.rejections} == {"api.writer.com"} and len(
        batch.rejections
    ) == 2
    for record in batch.records:
        row = rows[record["source_line"]]
        if row["status"] >= 400:
            assert record["status"] == "error" and record["error_type"] and record["tokens_total"] is None
        own = int(row["processing_ms"] or 0)
        if record["latency_ms"] not in (None, own):  # Bedrock's, Ollama's and Groq's bodies state their time
            assert not own and re.search("latencyMs|total_duration|total_time", str(row["response"]))
        if isinstance(row["response"], dict) and isinstance(usage := row["response"].get("usage"), dict):
            assert_counts(record, usage)
    streams = [r for r in batch.records if rows[r["source_line"]]["response_kind"] == "sse"]
    stated = [r for r in streams if '"usage":{"' in rows[r["source_line"]]["response"].replace(" ", "")]
    assert len(streams) > 190 and len(stated) > 70
    assert {r["source_line"] for r in stated if r["tokens_total"] is None} == set()
    assert sum(r["answer"] is not None for r in streams) > 150


def assert_counts(record, usage):
    given = usage.get("prompt_tokens", usage.get("input_tokens", usage.get("inputTokens")))
    said = usage.get("completion_tokens", usage.get("output_tokens", usage.get("outputTokens")))
    beside = (usage.get("cache_read_input_tokens") or 0) + (usage.get("cache_creation_input_tokens") or 0)
    if given is not None and said is not None:
        assert (total([record], *INPUT), total([record], *OUTPUT)) == (given + beside, said)
        assert usage.get("total_tokens") in (None, record["tokens_total"])


def test_usage_bodies_give_the_expected_usage_each():
    kinds: Counter[str] = Counter()
    for number, entry in enumerate(bodies()):
        tokens = provider_tokens(body_usage(entry["body"]) or {})
        assert tokens is not None, entry["body"]
        found = {
            "input_tokens": tokens.input,
            "output_tokens": tokens.output,
            "cache_read_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write,
            "output_reasoning_tokens": tokens.reasoning,
        }
        expected = [{name: one["usage"].get(name, 0) for name in found} for one in entry["extracted"]]
        # Several readers give several usages, some of them without the details; ours is one that a reader gives.
        assert found in expected, (number, entry["body"])
        kinds[tokens.convention] += 1
    assert kinds.total() == 748


def bodies():
    return [json.loads(line) for _, line in lines_of(shared("prices/provider_usage_bodies.jsonl.gz"))]


def test_usage_bodies_cost_what_they_should():
    """1,511 expected prices of 640 bodies, at the prices in force when the bodies were recorded."""
    noon, rows, wanted = datetime(2025, 12, 10, 12, tzinfo=UTC), [], []
    for number, entry in enumerate(bodies()):
        tokens = provider_tokens(body_usage(entry["body"]) or {})
        found = (tokens.input, tokens.output, tokens.cache_read, tokens.cache_write)
        for one in entry["extracted"]:
            names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
            if tuple(one["usage"].get(name, 0) for name in names) != found:
                continue  # a reader for another shape, which leaves counts out
            for seller in one["extractors"]:
                if {"input_price", "output_price"} & seller.keys():
                    price = sum(Decimal(seller.get(f"{side}_price", "0")) for side in ("input", "output"))
                    wanted.append((number, price))
                    rows.append({
                        "system": "s", "event_id": str(len(rows)), "provider": seller["provider_id"],
                        "model_served": entry["model"], "model_requested": None, "occurred_at": noon,
                        "token_convention": tokens.convention,
                        "usage_raw": json.dumps(entry["body"]),
                        **{name: getattr(tokens, name) for name in TOKEN_COLUMNS},
                    })  # fmt: skip
    calls = with_priced_apart(pl.DataFrame(rows, infer_schema_length=None))
    costs = call_costs(calls, PriceBook().price_of)
    differing = {
        number
        for (number, price), low in zip(wanted, costs["cost_low_usd"], strict=True)
        if low is None or abs(low - price) > Decimal("1e-9")
    }
    assert (len(rows), len({number for number, _ in wanted})) == (1511, 640)
    # Three models have another price in the package's book, which is newer than the expected prices (two by
    # a tier for long input).
    assert differing == {98, 99, 720}
