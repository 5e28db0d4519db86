from datetime import UTC, date, datetime

import polars as pl

from aiops_pipelines.monitoring.quality import JUDGED
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.week_scores import score_week
from aiops_pipelines_tests.resources.test_completion import call, insert

JUNE_1 = date(2026, 6, 1)


class Content:
    """A judge that finds every answer good."""

    def score(self, samples: pl.DataFrame) -> pl.DataFrame:
        rows = [(event, "support", 1.0, None, "j/1") for event in samples["event_id"]]
        return pl.DataFrame(rows, schema=JUDGED, orient="row")


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
