"""Great Expectations behind one function: order, failures, and what could not be evaluated."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aiops_pipelines import inference_log
from aiops_pipelines.inference_log import aiops_jsonl
from aiops_pipelines.inference_log.ingestion import for_expectations, land
from aiops_pipelines.inference_log.reading import LogFile, Reading
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.resources.expectations import load_suite, validate

SUITE = load_suite(Path(inference_log.__file__).with_name("expectations.yaml"))
NOW = datetime(2026, 6, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def rows():
    calls = [
        {
            "event_id": f"e{i}",
            "occurred_at": (NOW - timedelta(minutes=i + 1)).isoformat(),
            "latency_ms": 500 if i % 2 else None,
            "model_served": "gpt-4o",
            "rating": [None, 1, -1][i % 3],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 99 if i == 0 else 10}
            if i < 30
            else None,
        }
        for i in range(40)
    ]
    batch = aiops_jsonl.read((i, json.dumps(call).encode()) for i, call in enumerate(calls, 1))
    source = Source("s", "aiops_jsonl", NOW, b"k" * 32)
    return for_expectations(land(batch, Reading(LogFile("a.jsonl", 1, 1, b"")), source).inferences)


def broken(results):
    return {(r.name.removeprefix("expect_"), r.column) for r in results if not r.success}


def test_good_rows_meet_the_suite_in_its_order(rows):
    results = validate(rows, SUITE)
    assert [result.name for result in results] == [entry["expectation"] for entry in SUITE]
    assert broken(results) == set()
    assert all(type(result.success) is bool and result.exception is None for result in results)
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


def test_each_expectation_can_fail(rows):
    first = rows.head(1).to_dicts()[0]
    bad = rows.clear().vstack(rows).with_columns().to_dicts()
    bad[1] |= {"event_id": first["event_id"]}
    bad[2] |= {"event_id": None}
    bad[3] |= {"occurred_at": datetime(1999, 1, 1, tzinfo=UTC)}
    bad[4] |= {"occurred_at": None}
    bad[5] |= {"occurred_at": NOW + timedelta(days=1)}
    bad[6] |= {"status": "great"}
    bad[7] |= {"latency_ms": -1}
    bad[8] |= {"tokens_total": -1}
    bad[9] |= {"token_convention": "guess"}
    bad[10] |= {"tokens_sum": 11}
    bad[11] |= {"rating": 2}
    bad[12] |= {"model_served": None}
    bad[13] |= {"model_served": None}
    bad[14] |= {"model_served": None}
    frame = type(rows)(bad, schema=rows.schema)
    failed = broken(validate(frame, SUITE))
    every = {
        (entry["expectation"].removeprefix("expect_"), result.column)
        for entry, result in zip(SUITE, validate(frame, SUITE), strict=True)
    }
    assert every - failed == {("table_row_count_to_be_between", "")}
    assert broken(validate(frame.clear(), SUITE[:1])) == {("table_row_count_to_be_between", "")}


def test_a_missing_column_is_an_exception_not_a_failure(rows):
    results = {(r.name, r.column): r for r in validate(rows.drop("status", "tokens_sum"), SUITE)}
    missing = results["expect_column_values_to_be_in_set", "status"]
    assert not missing.success
    assert 'column "status"' in missing.exception
    assert missing.unexpected_count is None
    assert results["expect_column_pair_values_to_be_equal", "tokens_sum, tokens_total_stated"].exception
    assert results["expect_compound_columns_to_be_unique", "system, event_id"].exception is None


def test_results_are_matched_by_position(rows):
    suite = [
        {"expectation": "expect_column_values_to_be_in_set", "column": "status", "value_set": ["error"]},
        {"expectation": "expect_table_row_count_to_be_between", "max_value": 1},
        {"expectation": "expect_column_values_to_be_in_set", "column": "status", "value_set": ["ok"]},
    ]
    results = validate(rows, suite)
    assert [result.success for result in results] == [False, False, True]
    assert [result.unexpected_count for result in results] == [40, None, 0]
    assert [result.observed for result in results] == ["40 of 40 unexpected", "40", "0 of 40 unexpected"]


def test_an_unknown_expectation_is_said(rows):
    with pytest.raises(ValueError, match="no expectation expect_wonders"):
        validate(rows, [{"expectation": "expect_wonders"}])


def test_importing_the_module_does_not_load_great_expectations():
    import subprocess
    import sys

    code = (
        "import sys, aiops_pipelines.resources.expectations; assert 'great_expectations' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
