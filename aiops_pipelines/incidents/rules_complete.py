"""The rules on calls that did not reach the log: by the numbers of their sources, and by what was billed.

They are listed with all others in `rules`.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date

from aiops_pipelines.costs.invoices import invoice_sentence
from aiops_pipelines.incidents.facts import Facts, Reading, Row, day_of
from aiops_pipelines.systems import Limits
from aiops_pipelines.wording import inert, listed, month, percent, some

NAMED = 3


def calls_missing(facts: Facts, limits: Limits) -> Iterator[Reading]:
    """More numbers of a day than the limit are missing, or came twice; a day that is not over waits."""
    days: dict[date, list[Row]] = defaultdict(list)
    for found in facts.source_days.rows(named=True):
        days[found["day"]].append(found)
    limit = limits.missing_calls_per_day
    for day, rows in days.items():
        start, end = day_of({"day": day})
        for what, said in (("missing", "never reached the log"), ("repeats", "came under a number twice")):
            lost, calls = sum(row[what] for row in rows), sum(row["calls"] for row in rows)
            if end <= facts.now:
                worst = sorted((row for row in rows if row[what]), key=lambda row: -row[what])
                of = listed([f"{inert(row['source_id'])} ({row[what]})" for row in worst[:NAMED]])
                evidence = f"{some(lost, 'call')} of {day} {said}, beside {calls} that did"
                evidence += f" (limit {limit}), of {of}." if of else f" (limit {limit})."
                yield Reading(start, end, lost > limit, "log_incomplete", "P2", lost, limit, evidence, what)


def invoice_differs(facts: Facts, limits: Limits) -> Iterator[Reading]:
    """A bill and what the logged calls cost differ by more than the limit.

    It is known from when the bill was entered: the month it is about may have been reported long since.
    """
    limit = limits.invoice_difference
    for row in facts.invoice_checks.rows(named=True):
        at, differs = min(row["entered_at"], facts.now), abs(row["difference"]) > limit
        evidence = f"{invoice_sentence(row)} The limit is {percent(limit)}."
        figures = (row["difference"], limit, evidence)
        subject = f"{month(row['month'])} {inert(row['model'] or '')}".strip()
        yield Reading(at, at, differs, "invoice_differs", "P3", *figures, subject)
