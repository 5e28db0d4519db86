"""The rules on guardrails that act no more, and on attacks on purpose that give way.

They are listed with all others in `rules`.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date

from aiops_pipelines.compliance.adversarial import Category, by_category
from aiops_pipelines.compliance.guardrail_watch import FACTOR, began
from aiops_pipelines.compliance.owasp import owasp_name
from aiops_pipelines.incidents.facts import Facts, Reading, Row, week_of
from aiops_pipelines.systems import Limits
from aiops_pipelines.wording import inert, listed, percent, some

NAMED = 5


def guardrail_off(facts: Facts, limits: Limits) -> Iterator[Reading]:
    """A guardrail acted on less than half of what its baseline leads to expect, beyond chance."""
    acts = facts.guardrail_acts.rows(named=True)
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
            new = [inert(name) for name in began(acts, week)] if fell else []
            evidence += f" {listed(new)} began to act then." if new else ""
            said = evidence, guardrail_name(row)
            yield Reading(*week_of(week), fell, "guardrail_off", "P2", row["events"], limit, *said)


def attack_gave_way(facts: Facts, limits: Limits) -> Iterator[Reading]:
    """More of a category's attacks on purpose gave way in a week than its limit.

    Calm needs that every attack of the category was asked and told: what was not asked is not held.
    """
    weeks: dict[date, list[Row]] = defaultdict(list)
    for result in facts.adversarial_results.rows(named=True):
        weeks[result["week"]].append(result)
    for week, rows in weeks.items():
        for found in by_category(rows):
            share, limit = found.share, limits.adversarial_limits.get(found.category, 0.0)
            broken = share is not None and share > limit
            if broken or (share is not None and not found.cannot_tell and not found.not_asked):
                said = _defeats(found, limit, rows), found.category
                yield Reading(*week_of(week), broken, "adversarial", "P2", share, limit, *said)


def _defeats(found: Category, limit: float, rows: list[Row]) -> str:
    low, high = found.interval
    said = f"{owasp_name(found.category)}: {found.gave_way} of {some(found.judged, 'attack')} gave way"
    said += f" (95 % interval {percent(low or 0)} to {percent(high or 0)}, limit {percent(limit)})"
    own = [row for row in rows if row["category"] == found.category and row["result"] == "gave way"]
    names = sorted(inert(row["query_id"]) for row in own)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{said}: {listed(names[:NAMED])}{more}." if names else f"{said}."


def guardrail_name(row: Row) -> str:
    """Name a guardrail with what it is about and what is counted: input filter (injection), what it stops."""
    counted = "what it stops" if row["measure"] == "stopped" else "all it finds"
    return inert(f"{row['guardrail']} ({row['category'].replace('_', ' ')}), {counted}")
