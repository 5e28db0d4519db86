"""The command line: status, incidents and problems."""

import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.incidents.review_inputs import ReviewInputs
from aiops_pipelines.project import Project
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.status import Known, status
from aiops_pipelines.systems import System
from aiops_pipelines_tests.commands.small_run import (
    AS_OF,
    SYSTEM,
    TABLES,
    WEEKS,
    frame,
    refused,
    verdict,
    write_inputs,
)
from aiops_pipelines_tests.incidents.fourteen_weeks import spend


def test_status_says_how_each_topic_stands(aiops, finished):
    answer = aiops(finished, "status")
    assert answer.code == 0
    for said in (
        "support Support [red]assistant[/red], as of 6 Jul 2026 06:00 UTC",
        "✓ Service Week of 29 Jun 2026: 40 calls: 2.5 % failed, 19 in 20 took at most 1,500 ms.",
        "? Quality Week of 29 Jun 2026: 1 verdict, 1 CANNOT TELL.",
        "✗ DEGRADED in the week of 22 Jun 2026: answer support on known queries; most likely the served model",
        "! Spend Week of 29 Jun 2026: $3.00, +50.0 % against a baseline week (limit +25.0 %).",
        "Most of it: length of retrieved context +$0.60 and another mix of models or tiers +$0.30.",
        "✓ Index Week of 29 Jun 2026: The served index was level with the corpus. ! Stale so far: 1 week, 15 Jun 2026.",
        "! Incidents 1 not resolved.",
        "P3 Weekly spend has grown beyond its limit (open); acknowledge by 6 Jul 2026 17:00 UTC.",
        "✓ Audit log 2 entries; the last checkpoint covers 2, signed 6 Jul 2026 06:00 UTC.",
        "! Problems 1 problem. ! 3 calls have no price.",
    ):
        assert said in answer.text
    assert max(map(len, answer.raw.splitlines())) <= 100


def test_status_as_json_carries_the_figures(aiops, finished):
    answer = aiops(finished, "status", "support", "--json")
    (one,) = json.loads(answer.raw)
    figures = {line["topic"]: line["figures"] for line in one["lines"]}
    assert figures["Service"] == {
        "week": "2026-06-29",
        "calls": 40,
        "error_rate": 0.025,
        "latency_p95_ms": 1500.0,
        "alerts": {},
    }
    assert figures["Quality"]["degraded_weeks"] == [
        {"week": "2026-06-22", "metrics": ["answer support on known queries"], "cause": "model_change"}
    ]
    assert figures["Spend"]["growth"] == pytest.approx(0.5)
    assert figures["Spend"]["biggest_causes"] == {"tokens:context": "0.6", "model_mix": "0.3"}
    assert figures["Index"]["stale_weeks"] == ["2026-06-15"]
    assert figures["Incidents"]["open"][0]["due_at"] == "2026-07-06T17:00:00+00:00"
    assert (figures["Audit log"]["checkpoint_size"], figures["Audit log"]["intact"]) == (2, True)


NO_REPORT = [
    *(TABLES[f"compliance.{name}"].empty() for name in ("compliance_reports", "report_amendments")),
    pl.DataFrame(schema={"month": pl.Date, "calls": pl.Int64}),
]


@given(st.lists(st.sampled_from(["OK", "DEGRADED", "CANNOT TELL"]), min_size=1, max_size=6))
def test_only_a_week_in_which_all_is_ok_is_green(words):
    verdicts = frame("drift.drift_verdicts", *(verdict(WEEKS[4], word) for word in words))
    system = System.model_validate(SYSTEM)
    empty = TABLES["operations.problems"].empty()
    known = Known(ReviewInputs(system, WEEKS[4], AS_OF, verdicts=verdicts), empty, empty, 0, *NO_REPORT)
    quality = next(line for line in status(known).lines if line.topic == "Quality")
    expected = "bad" if "DEGRADED" in words else "unknown" if "CANNOT TELL" in words else "good"
    assert quality.tone == expected
    assert sum(quality.figures["verdicts"].values()) == len(words)


def test_a_tag_that_is_found_worse_stands_in_the_status():
    fresh = {"system": "support", "week": WEEKS[4], "verdict": "fresh", "stale_share": 0.0, "lag_days": 0.0}
    worse = {"system": "support", "index_version": "ix", "valid_from": AS_OF - timedelta(days=20)}
    worse |= {"ranker": "dense"}
    worse |= {"kind": "tag", "slice": "billing", "metric": "ndcg_at_10", "mean": 0.5, "low": 0.4, "high": 0.6}
    worse |= {"queries": 20, "rest": 0.85, "verdict": "worse"}
    known = ReviewInputs(
        System.model_validate(SYSTEM),
        WEEKS[4],
        AS_OF,
        freshness=frame("rag.index_freshness", fresh),
        slices=frame("rag.retrieval_slices", worse),
    )
    empty = TABLES["operations.problems"].empty()
    index = next(
        line for line in status(Known(known, empty, empty, 0, *NO_REPORT)).lines if line.topic == "Index"
    )
    assert index.figures["worse_tags"] == ["billing"]
    assert ("warn", True) in [(tone, "on billing are found worse" in said) for tone, said in index.details]


@pytest.mark.parametrize(("difference", "tone"), [(0.05, "bad"), (-0.05, "bad"), (0.01, "plain")])
def test_the_last_invoice_stands_beside_what_was_spent(difference, tone):
    bill = {
        "system": "support",
        "invoiced_usd": Decimal(100),
        "computed_usd": Decimal(95),
        "calls": 9,
        "unpriced": 0,
        "holds": True,
    }
    older = bill | {
        "month": AS_OF.date().replace(day=1),
        "difference": 0.5,
        "entered_at": AS_OF - timedelta(days=9),
    }
    newer = bill | {
        "month": AS_OF.date().replace(day=1),
        "model": "m",
        "difference": difference,
        "entered_at": AS_OF,
    }
    known = ReviewInputs(
        System.model_validate(SYSTEM),
        WEEKS[4],
        AS_OF,
        spend=spend(),
        invoices=frame("costs.invoice_checks", older, newer),
    )
    empty = TABLES["operations.problems"].empty()
    lines = status(Known(known, empty, empty, 0, *NO_REPORT)).lines
    line = next(line for line in lines if line.topic == "Spend")
    assert [one for one, said in line.details if "Invoice of" in said and "for m" in said] == [tone]
    assert line.figures["invoice_difference"] == difference


def test_nothing_known_is_never_green():
    system, empty = System.model_validate(SYSTEM), TABLES["operations.problems"].empty()
    lines = status(Known(ReviewInputs(system, WEEKS[4], AS_OF), empty, empty, 0, *NO_REPORT)).lines
    tones = {line.topic: line.tone for line in lines}
    assert {tones[topic] for topic in ("Service", "Quality", "Spend", "Index", "Audit log")} == {"unknown"}


def test_status_before_the_first_run_says_so(aiops, tmp_path):
    write_inputs(tmp_path)
    refused(aiops(tmp_path, "status"), "Nothing was run yet: aiops run")
    assert not (tmp_path / "warehouse").exists()


def test_status_names_a_file_that_cannot_be_used_beside_the_others(aiops, data):
    (data / "systems" / "other.yaml").write_text("title: no name")
    answer = aiops(data, "status")
    assert answer.code == 0 and "other.yaml: name: Field required" in answer.error
    refused(aiops(data, "status", "other"), "other.yaml: name: Field required")


def test_looking_does_not_wait_for_a_run_that_writes(aiops, data):
    code = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    )
    file = str(Project(data).warehouse)
    with subprocess.Popen(
        [sys.executable, "-c", code, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline().strip() == "held"
        for command in ("status", "incidents", "problems"):
            assert aiops(data, command).code == 0
        writer.stdin.close()


def test_incidents_lists_what_is_due(aiops, finished):
    answer = aiops(finished, "incidents")
    assert "(open); acknowledge by 6 Jul 2026 17:00 UTC." in answer.text
    assert "✓" not in answer.raw


def test_problems_lists_what_stands_in_the_way(aiops, finished):
    assert "! costs 3 calls have no price." in aiops(finished, "problems", "support").text


def test_problems_are_those_of_runs_and_what_lies_there_now_is_for_check(aiops, data):
    warehouse = Warehouse(Project(data).warehouse, TABLES)
    warehouse.replace("operations.problems", TABLES["operations.problems"].empty(), system="support")
    warehouse.publish(Project(data).published, {})
    said = aiops(data, "problems", "support").text
    assert "✓ No run reported a problem; aiops check support looks at what lies there now." in said
