from datetime import UTC, date, datetime, timedelta

import polars as pl

from aiops_pipelines.drift.verdict import verdicts
from aiops_pipelines.monitoring.baseline import freeze
from aiops_pipelines.monitoring.quality import JUDGED
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.week_scores import score_week
from aiops_pipelines.systems import Baseline, Limits
from aiops_pipelines_tests.resources.test_completion import call, insert

JUNE_1, NOW = date(2026, 6, 1), datetime(2026, 7, 1, tzinfo=UTC)


class Content:
    """A judge that finds every answer good."""

    def score(self, samples: pl.DataFrame) -> pl.DataFrame:
        rows = [
            (event, "support", 1.0 if answer else None, None if answer else "no answer was logged", "j/1")
            for event, answer in samples.select("event_id", "answer").iter_rows()
        ]
        return pl.DataFrame(rows, schema=JUDGED, orient="row")


class Uneven(Content):
    """A judge that finds answers to even and odd calls a little different."""

    def score(self, samples: pl.DataFrame) -> pl.DataFrame:
        odd = pl.col("event_id").str.tail(1).is_in(list("13579"))
        return super().score(samples).with_columns(value=pl.col("value") - 0.001 * odd)


def test_a_user_whom_only_the_trace_names_is_the_cluster_of_the_call(warehouse: Warehouse) -> None:
    answered = {"answer": "Yes.", "query": "Really?"}
    rows = [call("e1", 6, 2), call("e2", 6, 3), call("e3", 6, 4) | {"user_id": "u3"}, call("e4", 6, 5)]
    traced = [row | answered | {"trace_id": f"t{n}"} for n, row in enumerate(rows, start=1)]
    insert(warehouse, "inference_log.inferences", *traced)
    seen = {"system": "shop", "ingested_at": datetime(2026, 6, 9, tzinfo=UTC)}
    users = {"t1": "u1", "t2": "u1", "t3": "u9"}
    insert(
        warehouse, "inference_log.traces", *(seen | {"trace_id": t, "user_id": u} for t, u in users.items())
    )
    scores = score_week(warehouse, Content(), "shop", JUNE_1).sort("event_id")
    assert scores["cluster"].to_list() == ["u1", "u1", "u3", "e4"]


def test_a_week_in_which_answers_vanish_is_not_ok(warehouse: Warehouse) -> None:
    """From one week to the next every second call ends well and says nothing."""
    base = {"query": "Really?", "status": "ok"}
    log = [
        call(f"{day}-{n}", 6, day) | base | {"user_id": f"u{n}", "answer": answer}
        for day in (2, 9)
        for n in range(60)
        for answer in ["" if day == 9 and n % 2 else f"Yes {n}."]
    ]
    insert(warehouse, "inference_log.inferences", *log)
    before, after = (
        score_week(warehouse, Uneven(), "shop", JUNE_1 + timedelta(days=days)) for days in (0, 7)
    )
    baselines, observations = freeze(before, Baseline(weeks=1, minimum_rows=1), NOW)
    [row] = verdicts(after, baselines, observations, Limits(), JUNE_1 + timedelta(days=7)).rows(named=True)
    assert (row["verdict"], row["n"]) == ("CANNOT TELL", 30)
    assert "could not be measured rose by 50.0 points" in row["reason"]


def test_scores_of_calls_whose_texts_were_deleted_since_are_kept(warehouse: Warehouse) -> None:
    """A call that comes late makes an old week due again, and its other texts are gone by then."""
    base = {"query": "Really?", "status": "ok", "answer": "Yes."}
    insert(warehouse, "inference_log.inferences", *(call(f"e{n}", 6, 2) | base for n in range(3)))
    before = score_week(warehouse, Content(), "shop", JUNE_1)
    warehouse.replace("monitoring.quality_scores", before, system="shop", week=JUNE_1)
    with warehouse.writing() as writer:
        emptied = pl.DataFrame(
            {"event_id": ["e0", "e1"], "query": None, "answer": None, "texts_deleted_at": NOW},
            schema_overrides={"query": pl.String, "answer": pl.String},
        )
        writer.update("inference_log.inferences", emptied, ["event_id"])
    insert(warehouse, "inference_log.inferences", call("late", 6, 3) | base)
    after = score_week(warehouse, Content(), "shop", JUNE_1).sort("event_id")
    assert after["event_id"].to_list() == ["e0", "e1", "e2", "late"] and after["value"].to_list() == [1.0] * 4


def test_a_short_answer_whose_text_was_deleted_is_no_missing_one(warehouse: Warehouse) -> None:
    """Nor do days whose texts are there weigh more than those whose texts are gone."""
    base = {"query": "Really?", "status": "ok", "answer": "Yes.", "output_visible": 1, "answered": True}
    log = [call(f"{day}-{n:03d}", 6, day) | base for day in (2, 3) for n in range(600)]
    insert(warehouse, "inference_log.inferences", *log)
    before = score_week(warehouse, Content(), "shop", JUNE_1)
    warehouse.replace("monitoring.quality_scores", before, system="shop", week=JUNE_1)
    for days in ((2,), (2, 3)):
        gone = [row["event_id"] for row in log if row["occurred_at"].day in days]
        with warehouse.writing() as writer:
            emptied = pl.DataFrame({"event_id": gone, "texts_deleted_at": NOW})
            empty = emptied.with_columns(query=pl.lit(None, pl.String), answer=pl.lit(None, pl.String))
            writer.update("inference_log.inferences", empty, ["event_id"])
        after = score_week(warehouse, Content(), "shop", JUNE_1)
        assert after["value"].null_count() == 0
        of_second = after.filter(pl.col("event_id").str.starts_with("3-"))
        assert 0.4 < of_second.height / after.height < 0.6
    assert after.sort("event_id").equals(before.sort("event_id"))


def test_attacks_on_purpose_are_not_scored(warehouse: Warehouse) -> None:
    attack = {
        "system": "shop",
        "query_id": "a1",
        "category": "LLM01",
        "must_not_contain": [],
        "retired": False,
    }
    insert(warehouse, "rag.adversarial_queries", attack | {"valid_from": datetime(2026, 1, 1, tzinfo=UTC)})
    base = {"query": "Really?", "status": "ok", "answer": "Yes."}
    probes = [call(f"e-{name}", 6, 2) | base | {"known_query_id": name} for name in ("a1", "q1")]
    insert(warehouse, "inference_log.inferences", *probes)
    assert set(score_week(warehouse, Content(), "shop", JUNE_1)["event_id"]) == {"e-q1"}
