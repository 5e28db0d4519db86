"""The rule on guardrails that act no more: each week's readings of `compliance.guardrail_watch`.

It is listed with all others in `rules`.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date

from aiops_pipelines.compliance.guardrail_watch import FACTOR, began
from aiops_pipelines.incidents.facts import Facts, Reading, Row, week_of
from aiops_pipelines.systems import Limits
from aiops_pipelines.wording import inert, listed


def guardrail_off(facts: Facts, limits: Limits) -> Iterator[Reading]:
    """A guardrail acted on less than half of what its baseline leads to expect, beyond chance."""
    weeks: dict[date, list[Row]] = defaultdict(list)
    for reading in facts.guardrail_readings.rows(named=True):
        weeks[reading["week"]].append(reading)
    for week, rows in weeks.items():
        told = [row for row in rows if row["verdict"] in ("held", "fell")]
        every = len(told) > 1 and all(row["verdict"] == "fell" and not row["events"] for row in told)
        for row in told:
            fell, limit = row["verdict"] == "fell", FACTOR * row["expected"]
            evidence = f"{guardrail_name(row)}: {row['reason']}"
            evidence += " No guardrail acted at all; look whether verdicts are still logged." if every else ""
            new = [inert(name) for name in began(facts.guardrail_acts.rows(named=True), week)]
            evidence += f" {listed(new)} began to act then." if fell and new else ""
            said = evidence, guardrail_name(row)
            yield Reading(*week_of(week), fell, "guardrail_off", "P2", row["events"], limit, *said)


def guardrail_name(row: Row) -> str:
    """Name a guardrail with what it is about and what is counted: input filter (injection), stopped."""
    return inert(f"{row['guardrail']} ({row['category'].replace('_', ' ')}), {row['measure']}")
