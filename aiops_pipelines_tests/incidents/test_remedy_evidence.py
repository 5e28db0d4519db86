"""Effects of remedies out of a real file: the same queries and attacks, asked before and since."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from aiops_pipelines.incidents.remedy_effects import Effect
from aiops_pipelines.incidents.remedy_spans import Span
from aiops_pipelines.resources.remedy_evidence import RemedyEvidence
from aiops_pipelines.systems import System

BEFORE = Span(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 8, tzinfo=UTC))
SINCE = Span(datetime(2026, 6, 8, tzinfo=UTC), datetime(2026, 6, 22, tzinfo=UTC))


@pytest.fixture
def add(warehouse):
    def append(table, rows):
        empty = warehouse.tables[table].empty()
        frame = pl.DataFrame([{"system": "desk"} | row for row in rows])
        frame = frame.with_columns(pl.col(name).cast(empty.schema[name]) for name in frame.columns)
        with warehouse.writing() as writer:
            writer.append(table, pl.concat([empty, frame], how="diagonal"))

    return append


@pytest.fixture
def evidence(warehouse, project):
    desk = System(name="desk", title="Desk", inference_log={"folder": project.data})
    return RemedyEvidence(warehouse, desk)


def indexes(add, queries, gain):
    """Two indexes: on the one since, every second query scores `gain` more than 0.5 and the others as before."""
    for version, at in (("ix-0", BEFORE.start), ("ix-1", SINCE.start)):
        row = {"index_version": version, "valid_from": at, "ranker": "dense", "metric": "ndcg_at_10"}
        add("rag.retrieval_changes", [row])
        more = gain if version == "ix-1" else 0.0
        scores = [
            {
                "index_version": version,
                "ranker": "dense",
                "query_id": f"q{n}",
                "ndcg_at_10": 0.5 + more * (n % 2),
            }
            for n in range(queries)
        ]
        add("rag.retrieval_scores", scores)


def test_an_index_that_finds_more_is_compared_query_by_query(add, evidence):
    """Ten queries of 20 gain 0.2: 0.1 on average with an error of 0.1026 / sqrt(20), t(19) = 2.093."""
    indexes(add, 20, 0.2)
    found = evidence.effect("retrieval_worse", "", BEFORE, SINCE)
    assert isinstance(found, Effect) and found.unit == "nDCG@10"
    assert (found.value, found.low) == pytest.approx((0.1, 0.1 - 2.093 * 0.1026 / 20**0.5), abs=1e-4)


def test_a_query_whose_judgements_changed_in_between_is_left_out(add, evidence):
    indexes(add, 20, 0.2)
    changed = {"query_id": "q1", "valid_from": datetime(2026, 6, 3, tzinfo=UTC)}
    add("rag.judgements", [changed | {"document": "a.md", "grade": 1}])
    found = evidence.effect("retrieval_worse", "", BEFORE, SINCE)
    assert isinstance(found, Effect) and found.value == pytest.approx(9 * 0.2 / 19)


def test_few_queries_are_no_measure(add, evidence):
    indexes(add, 9, 0.2)
    found = evidence.effect("retrieval_worse", "", BEFORE, SINCE)
    assert found == "9 queries were asked alike on both sides, and 10 are needed"


def test_attacks_that_hold_again_are_compared_attack_by_attack(add, evidence):
    """Of twelve attacks six gave way before; since, one does in one of two weeks: 5.5 of 12 are won back."""
    weeks = {date(2026, 6, 1): range(6), date(2026, 6, 8): [0], date(2026, 6, 15): []}
    add(
        "compliance.adversarial_results",
        [
            {
                "week": week,
                "query_id": f"a{n}",
                "category": "secrets",
                "result": "gave way" if n in gave else "held",
            }
            for week, gave in weeks.items()
            for n in range(12)
        ],
    )
    add(
        "compliance.adversarial_results",
        [{"week": date(2026, 6, 1), "query_id": "b0", "category": "other", "result": "gave way"}],
    )
    found = evidence.effect("attack_gave_way", "secrets", BEFORE, SINCE)
    assert isinstance(found, Effect) and found.value == pytest.approx(5.5 / 12)
    assert 0 < found.low < found.value


def test_calls_hang_together_by_the_user_that_only_their_trace_names(add, evidence):
    for trace, user in (("t1", "u1"), ("t2", "u1"), ("t3", "u2")):
        add("inference_log.traces", [{"trace_id": trace, "user_id": user}])

    def call(trace: str, at: datetime) -> None:
        row = {"event_id": f"{trace}-{at:%d}", "trace_id": trace, "occurred_at": at, "retrieved": []}
        add("inference_log.inferences", [row])

    for side in (BEFORE, SINCE):
        for trace in ("t1", "t2"):
            call(trace, side.start)
    few = "the calls are of fewer than two users, so nothing says how far chance goes"
    assert evidence.effect("index_stale", "", BEFORE, SINCE) == few
    for side in (BEFORE, SINCE):
        call("t3", side.start)
    assert isinstance(evidence.effect("index_stale", "", BEFORE, SINCE), Effect)
