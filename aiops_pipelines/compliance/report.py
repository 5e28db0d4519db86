"""The monthly compliance report as data: what was computed about one system's month, section by section.

Every figure carries the SQL that recomputes it. The report says what is evidenced and what is not; whether
that is enough is for people to say. How it looks is decided in `resources`.
"""

import json
from dataclasses import asdict
from typing import Any

from aiops_pipelines.compliance.controls import Cell, Evaluated, controls, evaluate, is_stale, legal_facts
from aiops_pipelines.compliance.figures import figures
from aiops_pipelines.compliance.month_evidence import MonthEvidence
from aiops_pipelines.compliance.report_conduct import guardrails, incidents, privacy, quality
from aiops_pipelines.compliance.report_log import changes, integrity, record_keeping
from aiops_pipelines.compliance.report_parts import Known
from aiops_pipelines.document import plain_data
from aiops_pipelines.wording import count, month

SCHEMA = "aiops_pipelines.compliance_report/1"
STATEMENT = (
    "This report states what was computed from the log of one system in one month, and what was not. "
    "It gives no legal opinion: whether the evidence is enough is for accountable people to judge."
)
SECTIONS = (integrity, record_keeping, quality, privacy, guardrails, incidents, changes)
STATUSES = ("EVIDENCED", "PARTLY EVIDENCED", "NOT EVIDENCED")
Data = dict[str, Any]


def compliance_report(e: MonthEvidence) -> Data:
    """Return the report of one system and month, ready for JSON; same evidence, same report.

    Raises:
        ValueError: a frame holds rows of another system, or the month is not named by its first day.
    """
    known = figures(e)
    matrix = [evaluate(control, known, e.system.profile) for control in controls()]
    report = {
        "schema": SCHEMA,
        "system": {name: getattr(e.system, name) for name in ("name", "title", "owner", "profile")},
        "month": e.month,
        "start": e.start,
        "end": e.end,
        "read_until": e.until,
        "headline": _headline(matrix, month(e.month)),
        "statement": STATEMENT,
        "sections": [{"number": n, **asdict(make(e, Known(known)))} for n, make in enumerate(SECTIONS, 1)],
        "controls": [_control(row) for row in matrix],
        "evidenced": sum(row.status == "EVIDENCED" for row in matrix),
        "not_evidenced": sum(row.status != "EVIDENCED" for row in matrix),
        "legal_facts": [
            fact.model_dump() | {"stale": is_stale(fact, e.until.date())} for fact in legal_facts()
        ],
    }
    data: Data = plain_data(report)
    return data


def canonical_json(report: Data) -> str:
    """Write the report as JSON whose bytes hang on its content only: sorted keys, ASCII."""
    return json.dumps(report, sort_keys=True, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def _headline(matrix: list[Evaluated], of: str) -> str:
    full, part, none = (sum(row.status == status for row in matrix) for status in STATUSES)
    return (
        f"For {of}, {count(full)} of {count(len(matrix))} controls are evidenced in full, "
        f"{count(part)} in part and {count(none)} not at all."
    )


def _cell(cell: Cell) -> Data:
    return {"label": cell.label, "reason": cell.reason, "figure": cell.figure and asdict(cell.figure)}


def _control(row: Evaluated) -> Data:
    return {
        "id": row.control.id,
        "requirement": row.control.requirement,
        "section": row.control.section,
        "profiles": row.control.profiles,
        "asked": row.asked,
        "status": row.status,
        "cells": [_cell(cell) for cell in row.cells],
    }
