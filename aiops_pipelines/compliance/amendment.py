"""An amendment as data: which figures of a published month have changed, from what to what, and why.

The report it amends stays as it is. What arrived is `arrivals`, what was said before `editions`; how an
amendment looks is decided in `resources`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from aiops_pipelines.compliance.arrivals import Source, why
from aiops_pipelines.compliance.controls import controls, evaluate
from aiops_pipelines.compliance.editions import Said
from aiops_pipelines.compliance.figures import Figure
from aiops_pipelines.compliance.month_evidence import MonthEvidence
from aiops_pipelines.compliance.report_log import KEEP
from aiops_pipelines.document import plain_data
from aiops_pipelines.wording import month, some

SCHEMA = "aiops_pipelines.compliance_report_amendment/1"
STATEMENT = (
    "The report stays as it was published, and so do its earlier amendments. This one says which of their "
    "figures are no longer what the tables hold, and what was stored since. It gives no legal opinion."
)
Data = dict[str, Any]


@dataclass(frozen=True)
class Amended:
    """The published report's row, its figures, those of its last edition, and the next amendment's number."""

    report: Mapping[str, Any]
    published: Said
    before: Said
    number: int


def amendment(
    e: MonthEvidence,
    of: Amended,
    moved: list[Figure],
    known: Mapping[str, Figure],
    found: Mapping[Source, str],
    made_at: datetime,
) -> Data:
    """Return the amendment of one system and month, ready for JSON.

    Args:
        e: the month's evidence as it is now.
        of: what is amended.
        moved: the figures that changed, as `editions.changed` gives them; at least one.
        known: all figures as they are now.
        found: what was stored since the last edition, as `arrivals.arrivals` gives it.
        made_at: UTC.
    """
    data: Data = plain_data(
        {
            "schema": SCHEMA,
            "system": {name: getattr(e.system, name) for name in ("name", "title", "owner", "profile")},
            "month": e.month,
            "start": e.start,
            "end": e.end,
            "number": of.number,
            "made_at": made_at,
            "read_until": e.until,
            "amends": {name: of.report[name] for name in ("json_file", "json_sha256", "published_at")},
            "headline": f"Amendment {of.number} to the report of {month(e.month)}: "
            f"{some(len(moved), 'figure')} changed.",
            "statement": STATEMENT,
            "why": list(found.values()) or ["Nothing that was stored since explains the change."],
            "changes": [_change(of, figure, found) for figure in moved],
            "unchanged": sum(not figure.to_date for figure in known.values()) - len(moved),
            "controls": _controls(e, of, known),
            "checkpoint": _checkpoint(e),
        }
    )
    return data


def _change(of: Amended, figure: Figure, found: Mapping[Source, str]) -> Data:
    key = figure.key
    return {
        **asdict(figure),
        "published": of.published.get(key),
        "before": of.before[key],
        "why": why(figure, found),
    }


def _controls(e: MonthEvidence, of: Amended, known: Mapping[str, Figure]) -> list[Data]:
    """Return the controls whose status the changed figures have moved."""
    then = {
        key: replace(figure, value=of.before.get(key, figure.value), missing="not evidenced")
        for key, figure in known.items()
    }
    rows = []
    for control in controls():
        was, now = (evaluate(control, figures, e.system.profile).status for figures in (then, known))
        if was != now:
            rows.append({"id": control.id, "requirement": control.requirement, "before": was, "now": now})
    return rows


def _checkpoint(e: MonthEvidence) -> Data:
    last = max(e.rows("checkpoints"), key=lambda row: (row["tree_size"], row["signed_at"]), default=None)
    return {"title": KEEP, "note": last["note"] if last else "NOT EVIDENCED: no checkpoint was signed."}
