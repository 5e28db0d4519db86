"""What people decided, held against the log: what is excused, and what is not."""

from datetime import UTC, datetime
from typing import Any

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.decided import against_rows, details

AT = datetime(2026, 6, 8, 9, tzinfo=UTC)
ROW: dict[str, Any] = {
    "system": "shop",
    "incident_id": "INC-1",
    "event": "acknowledged",
    "at": AT,
    "reason": "",
}


def found(row: dict[str, Any], completed: tuple[range, ...] = ()) -> list[str]:
    logged = [(7, "decision:a", leaf.encode({"details": details(ROW)}))]
    return [finding.severity for finding in against_rows(logged, [row], completed)]


def test_a_row_stands_as_it_was_logged_also_with_a_column_more_or_less() -> None:
    assert found(ROW) == found(ROW | {"minutes": 3.5}) == []
    assert found({key: value for key, value in ROW.items() if key != "reason"}) == []


def test_a_row_that_says_something_else_is_an_error() -> None:
    assert found(ROW | {"at": AT.replace(hour=8)}) == found(ROW | {"incident_id": "INC-2"}) == ["error"]


def test_what_came_back_into_an_older_log_alone_is_noted() -> None:
    lost = ROW | {"incident_id": "INC-2"}
    assert found(lost, (range(0, 3), range(5, 8))) == ["note"]
    assert found(lost, (range(0, 7),)) == ["error"]
