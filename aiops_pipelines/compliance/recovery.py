"""What the monthly report says of backups: when one was made, whether one could be restored, who is in one.

Making and drilling them is done in `resources`.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiops_pipelines.compliance.month_evidence import MonthEvidence
from aiops_pipelines.document import Column, Table
from aiops_pipelines.incidents.legal_clocks import NOT_EVIDENCED
from aiops_pipelines.wording import Kind, listed

PASSED, FAILED = "passed", "FAILED"
DRILLS_SHOWN = 12
COLUMNS: dict[str, Kind] = {
    **{"Drilled": "moment", "By": "code", "Backup": "code", "Made": "moment"},
    **{"Result": "verdict", "Entries": "count", "Findings": "text"},
}
Row = Mapping[str, Any]


def _result(drill: Row) -> str:
    return PASSED if drill["passed"] else FAILED


def recovery_figures(e: MonthEvidence) -> dict[str, Any]:
    """Return the figures of recovery: the last backup and drill, its age in days and what came of it."""
    drill = e.last_drill()
    return {
        "recovery.backup_at": max((row["made_at"] for row in e.rows("backups")), default=None),
        "recovery.drilled_at": drill.get("drilled_at"),
        "recovery.drill_age": (e.until - drill["drilled_at"]) / timedelta(days=1) if drill else None,
        "recovery.drill_result": _result(drill) if drill else None,
    }


def older_backups(e: MonthEvidence, erased: Sequence[Row]) -> int | None:
    """Count the backups that hold somebody who was erased; of one from that moment nobody can tell."""
    if not erased:
        return None
    last = max(row["decided_at"] for row in erased)
    there = [row for row in e.rows("backups") if row["destroyed_at"] is None]
    return len([row for row in there if row["made_at"] <= last])


def drills_table(e: MonthEvidence) -> Table:
    """Return the restore drills up to when the evidence was read."""
    last = sorted(e.rows("drills"), key=lambda row: row["number"])[-DRILLS_SHOWN:]
    named = ("drilled_at", "drilled_by", "backup_id", "backup_made_at")
    return Table(
        f"Restore drills (the last {DRILLS_SHOWN} at most)",
        tuple(Column(label, kind) for label, kind in COLUMNS.items()),
        tuple(
            (
                *(row[name] for name in named),
                _result(row),
                row["tree_size"],
                listed(row["findings"] or ["none"]),
            )
            for row in last
        ),
        "compliance.restore_drills",
        f"{NOT_EVIDENCED}: no backup was ever restored to try it.",
    )
