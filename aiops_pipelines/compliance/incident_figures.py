"""The report's figures on incidents: how many, opened by whom and how soon, and which clocks were met."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from statistics import median
from typing import Any

from aiops_pipelines.compliance.deadlines import regimes
from aiops_pipelines.compliance.month_evidence import MonthEvidence
from aiops_pipelines.incidents.legal_clocks import NOT_EVIDENCED, legal_result
from aiops_pipelines.incidents.remedy_words import BETTER, CANNOT_TELL, HELD, NOT_HELD, worst
from aiops_pipelines.incidents.reported import PERSON, RULE
from aiops_pipelines.incidents.review_incidents import clock_results

Values = dict[str, Any]
VERDICTS = {"held": HELD, "better": BETTER, "not_held": NOT_HELD, "cannot_tell": CANNOT_TELL}


def incident_figures(e: MonthEvidence) -> Values:
    """Return the values of the figures whose keys begin with incidents or remedies."""
    touched = e.touched_incidents()
    opened = [row for row in e.rows("incidents") if e.start <= row["opened_at"] < e.end]
    clocks = [result for row in touched for result in clock_results(row, e.end).values()]
    still = [row for row in touched if row["resolved_at"] is None or row["resolved_at"] > e.end]
    return {
        "incidents.opened": len(opened),
        "incidents.opened_by_people": sum(row["source"] == PERSON for row in opened),
        "incidents.days_to_detect_by_rules": _days_to_detect(opened, RULE),
        "incidents.days_to_detect_by_people": _days_to_detect(opened, PERSON),
        "incidents.open_at_end": len(still),
        "incidents.clocks_met": clocks.count("met"),
        "incidents.clocks_missed": clocks.count("missed"),
        **_remedies(e),
        **{key: value for regime in regimes() for key, value in _legal(e, regime).items()},
    }


def _remedies(e: MonthEvidence) -> Values:
    """Count the month's remedies by what is known of them; one that no run judged yet is in no verdict."""
    recorded = e.recorded_remedies()
    verdicts = [worst(proofs) for _, proofs in recorded]
    counts = {key: verdicts.count(verdict) for key, verdict in VERDICTS.items()}
    found = {"recorded": len(recorded), **counts}
    return {f"remedies.{key}": value if recorded else None for key, value in found.items()}


def _days_to_detect(opened: Sequence[Mapping[str, Any]], source: str) -> float | None:
    """Return the median time from the beginning of incidents to their opening, days."""
    took = [row["opened_at"] - row["began_at"] for row in opened if row["source"] == source]
    return median(took) / timedelta(days=1) if took else None


def _legal(e: MonthEvidence, regime: str) -> Values:
    """Count a regime's clocks; nothing is known of them while an incident is there of which nobody spoke."""
    rows = [row for row in e.legal_rows() if row["regime"] == regime]
    results, spoken = [legal_result(row, e.end) for row in rows], {row["incident_id"] for row in rows}
    all_spoken = NOT_EVIDENCED not in results and all(
        row["incident_id"] in spoken for row in e.touched_incidents()
    )
    known = regime in e.system.regimes and all_spoken
    return {
        f"incidents.{regime}_{result}": results.count(result) if known else None
        for result in ("met", "missed")
    }
