"""Numbers of sources: gaps and repeats by day, worked out by hand, and a late call that closes its gap."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from aiops_pipelines.resources.source_days import source_days
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.test_completion import insert

pytestmark = pytest.mark.usefixtures("kept_open")

START = datetime(2026, 6, 1, 9, tzinfo=UTC)


def call(source: str | None, seq: int | None, day: int = 0, **more: Any) -> dict[str, Any]:
    at = START + timedelta(days=day, seconds=seq or 0)
    base = {"system": "s", "event_id": f"{source}-{seq}-{day}-{more.get('copy', '')}", "occurred_at": at}
    return base | {"source_id": source, "source_seq": seq} | {k: v for k, v in more.items() if k != "copy"}


def days(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    names = ("source_id", "day", "calls", "first_seq", "last_seq", "missing", "repeats")
    return source_days(warehouse, "s").select(names).rows()


def test_gaps_count_on_the_day_of_the_call_after_them(warehouse: Warehouse) -> None:
    rows = [call("a", n) for n in (5, 6, 9)] + [call("a", n, 1) for n in (10, 14)] + [call("b", 1)]
    random.Random(1).shuffle(rows)
    insert(warehouse, "inference_log.inferences", *rows, call(None, None), call("a", 7, system="other"))
    one, two = date(2026, 6, 1), date(2026, 6, 2)
    assert days(warehouse) == [
        ("a", one, 3, 5, 9, 2, 0),
        ("a", two, 2, 10, 14, 3, 0),
        ("b", one, 1, 1, 1, 0, 0),
    ]
    late = call("a", 12, 9)  # logged under a later day: its own gap closes, the other two stay
    insert(warehouse, "inference_log.inferences", late)
    assert sum(row[5] for row in days(warehouse)) == 4
    insert(
        warehouse,
        "inference_log.inferences",
        *(call("a", n) for n in (7, 8)),
        *(call("a", n, 1) for n in (11, 13)),
    )
    assert sum(row[5] for row in days(warehouse)) == 0


def test_a_source_that_counts_from_the_start_again_repeats_itself(warehouse: Warehouse) -> None:
    insert(
        warehouse,
        "inference_log.inferences",
        *(call("a", n) for n in (1, 2, 3)),
        *(call("a", n, 1) for n in (1, 2)),
    )
    assert days(warehouse) == [("a", date(2026, 6, 1), 5, 1, 3, 0, 2)]


def test_numbers_without_a_source_are_those_of_one(warehouse: Warehouse) -> None:
    insert(warehouse, "inference_log.inferences", call(None, 1), call(None, 3))
    assert days(warehouse) == [("unknown", date(2026, 6, 1), 2, 1, 3, 1, 0)]


def test_without_numbers_there_is_nothing_to_say(warehouse: Warehouse) -> None:
    insert(warehouse, "inference_log.inferences", call("a", None))
    assert days(warehouse) == []


@pytest.mark.parametrize("seed", range(5))
def test_what_is_taken_out_is_what_is_missing(warehouse: Warehouse, seed: int) -> None:
    pick = random.Random(seed)
    made = [(source, n) for source in "ab" for n in range(100)]
    ends = {(source, n) for source in "ab" for n in (0, 99)}
    gone = set(pick.sample([one for one in made if one not in ends], 30))
    insert(
        warehouse, "inference_log.inferences", *(call(s, n, n // 25) for s, n in made if (s, n) not in gone)
    )
    assert sum(row[5] for row in days(warehouse)) == 30
