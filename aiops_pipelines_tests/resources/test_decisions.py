from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import polars as pl
import pytest

from aiops_pipelines.monitoring.baseline import freeze
from aiops_pipelines.monitoring.quality import JUDGED
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.decisions import replace_baseline
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.week_scores import score_week
from aiops_pipelines.systems import Baseline
from aiops_pipelines_tests.resources.test_completion import call, insert, system

pytestmark = pytest.mark.usefixtures("kept_open")

WEEKS = [date(2026, 6, 1) + timedelta(weeks=week) for week in range(4)]
NOW = datetime(2026, 7, 2, tzinfo=UTC)
RULE = {"baseline": {"weeks": 2, "minimum_rows": 1}}


class Version:
    """A judge of some version, which is what it gives every call; it counts the weeks it was asked for."""

    def __init__(self, number: int) -> None:
        self.number, self.asked = number, 0

    def score(self, samples: pl.DataFrame) -> pl.DataFrame:
        self.asked += 1
        rows = [
            (event, "support", self.number / 10, None, f"j/{self.number}") for event in samples["event_id"]
        ]
        return pl.DataFrame(rows, schema=JUDGED, orient="row")


class Book:
    """An audit book that only remembers."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def append(self, system: str, entries: list[dict[str, Any]]) -> None:
        self.entries += entries


@pytest.fixture
def judged(warehouse: Warehouse) -> Warehouse:
    """Four weeks of calls; the first judge scored the first three, of which two are the baseline."""
    calls = [
        call(f"e{week}-{n}", 6, 2 + 7 * week) | {"answer": "Yes."} for week in range(4) for n in range(3)
    ]
    insert(warehouse, "inference_log.inferences", *calls)
    scores = pl.concat(
        score_week(warehouse, Version(1 if week < 3 else 2), "shop", WEEKS[week]) for week in range(4)
    )
    baselines, observations = freeze(
        scores.filter(pl.col("week") < WEEKS[3]), Baseline(**RULE["baseline"]), NOW
    )
    with warehouse.writing() as writer:
        writer.append("monitoring.quality_scores", scores)
        writer.append("monitoring.baselines", baselines)
        writer.append("monitoring.baseline_scores", observations)
    return warehouse


def replaced(warehouse: Warehouse, judge: Version, first: date) -> dict[str, Any]:
    book = Book()
    replace_baseline(
        warehouse,
        cast(AuditBook, book),
        system(**RULE),
        "Ada",
        "A new judge, says eve@example.com.",
        first,
        NOW,
        judge,
    )
    (entry,) = book.entries
    assert entry["details"]["reason"] == "A new judge, says [EMAIL]." and "eve" not in entry["summary"]
    return warehouse.rows("monitoring.baselines").row(0, named=True)


def test_the_weeks_of_a_new_baseline_are_scored_by_the_judge_in_use(judged: Warehouse) -> None:
    found = replaced(judged, Version(2), WEEKS[0])
    assert (found["judge"], found["mean"], found["first_week"]) == ("j/2", pytest.approx(0.2), WEEKS[0])
    judges = dict(judged.rows("monitoring.quality_scores").sort("week").select("week", "judge").iter_rows())
    assert list(judges.values()) == ["j/2", "j/2", "j/1", "j/2"]
    assert set(judged.rows("monitoring.baseline_scores")["value"]) == {0.2}


def test_weeks_of_one_judge_are_not_scored_again(judged: Warehouse) -> None:
    with judged.writing() as writer:
        writer.delete("monitoring.quality_scores", week=WEEKS[3])
    judge = Version(2)
    assert replaced(judged, judge, WEEKS[1])["judge"] == "j/1"
    assert judge.asked == 0
