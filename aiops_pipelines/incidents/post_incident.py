"""The draft of a post-incident review: what the tables know of an incident, and what is left to people.

It is Markdown in which text from outside is only text. How an incident came to its status is in `course`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from aiops_pipelines.compliance.deadlines import NOT_ADVICE
from aiops_pipelines.incidents.course import Row
from aiops_pipelines.incidents.legal_clocks import legal_lines
from aiops_pipelines.incidents.legal_events import sentence
from aiops_pipelines.incidents.lifecycle import STEPS
from aiops_pipelines.incidents.remedy_words import told, with_proofs
from aiops_pipelines.incidents.reported import PERSON
from aiops_pipelines.incidents.review_incidents import clock_results
from aiops_pipelines.wording import inert, moment, some

SIGNALS_SHOWN, ROWS_SHOWN = 10, 5
STATUSES = {"acknowledge": "acknowledged", "mitigate": "mitigated", "resolve": "resolved"}
_MARKUP = re.compile(r"([\\`*_\[\]<>|!#~])")
TO_PEOPLE = """## Left to those who were there
- Root cause:
- What helped besides, and what stood in the way:
- [ ] Action: ..., owner: ..., due: ...
"""


@dataclass(frozen=True)
class Known:
    """What is known of one incident: its row, and the rows of the tables of these names that belong to it."""

    incident: Row
    signals: pl.DataFrame
    events: pl.DataFrame
    announcements: pl.DataFrame
    diagnoses: pl.DataFrame
    legal_events: pl.DataFrame = field(default_factory=pl.DataFrame)
    legal_clocks: pl.DataFrame = field(default_factory=pl.DataFrame)
    remedies: pl.DataFrame = field(default_factory=pl.DataFrame)
    remedy_proofs: pl.DataFrame = field(default_factory=pl.DataFrame)


def draft(known: Known, title: str, now: datetime) -> str:
    """Return the draft; `title` is the system's, `now` UTC-aware."""
    row = known.incident
    parts = [
        f"# {row['incident_id']}: {plain(row['title'])}",
        f"{plain(title)}, {row['severity']}, {row['status']}. Drafted {moment(now)} from what was recorded.",
        "## What happened",
        plain(row["evidence"] or "No evidence is kept."),
        "## How long it took",
        "\n".join(f"- {line}" for line in _times(known, now)),
        *_law(known),
        "## Timeline (UTC)",
        "\n".join(f"- {at:%Y-%m-%d %H:%M} {what}" for at, what in sorted(_timeline(known))),
        "## What helped",
        "\n".join(_helped(known)) or "No remedy was recorded.",
        "## What the runbook's queries answered",
        "\n\n".join(_answers(known)) or "They were not asked.",
        TO_PEOPLE,
    ]
    return "\n\n".join(parts)


def _times(known: Known, now: datetime) -> Iterator[str]:
    """Yield the time to detect and to take each step; a step that a later one includes was taken with it."""
    row, first = known.incident, known.signals["period_start"].min()
    noticed = known.announcements.filter(change="opened")["queued_at"].min()
    if isinstance(first, datetime) and isinstance(noticed, datetime):
        since = "from the start of the first period with a signal to the first notice"
        yield f"detect: {span(noticed - first)}, {since}"
    if row["source"] == PERSON:
        took = span(row["opened_at"] - row["began_at"])
        yield f"detect: {took}, by a person, from when it began, as reported, to the report"
    results = clock_results(row, now)
    for at, step in enumerate(STEPS):
        done = next((row[f"{STATUSES[one]}_at"] for one in STEPS[at:] if row[f"{STATUSES[one]}_at"]), None)
        took = span(done - row["opened_at"]) if done else "not yet"
        yield f"{step}: {took}; its clock was due {moment(row[f'{step}_due_at'])}: {results[step]}"


def span(time: timedelta) -> str:
    """Write a length of time: 26 h 5 min."""
    minutes = round(time / timedelta(minutes=1))
    hours = f"{minutes // 60} h " if abs(minutes) >= 60 else ""
    return f"{hours}{minutes % 60} min"


def _timeline(known: Known) -> Iterator[tuple[datetime, str]]:
    signals = known.signals.sort("period_end").rows(named=True)
    for row in signals[:SIGNALS_SHOWN]:
        yield row["period_end"], f"signal {row['signal']} ({row['severity']}): {plain(row['evidence'])}"
    if len(signals) > SIGNALS_SHOWN:
        yield signals[-1]["period_end"], f"the last of {some(len(signals) - SIGNALS_SHOWN, 'more signal')}"
    if known.incident["source"] == PERSON:
        reporter = plain(known.incident["reported_by"])
        yield known.incident["began_at"], f"it began, as {reporter} reports"
        yield known.incident["opened_at"], f"opened by {reporter}"
    for row in known.announcements.rows(named=True):
        became = f"sent to {row['place'].split('-')[0]}" if row["sent_at"] else "not sent"
        yield row["queued_at"], f"announced: {row['change']}, {became}"
    for row in known.events.rows(named=True):
        yield (
            row["at"],
            f"{row['event']} by {plain(row['actor'])}: {plain(row['reason'] or 'no reason given')}",
        )
    for row in known.remedies.rows(named=True):
        said = f"{row['remedy_id']}, {row['kind']}, by {row['actor']}: {row['did']} {row['outcome'] or ''}"
        yield row["at"], f"remedy {plain(said)}"
    for row in known.legal_events.rows(named=True):
        yield row["at"], plain(sentence(row))


def _helped(known: Known) -> Iterator[str]:
    """Yield each remedy with what is known of it, and what says so for each limit below it."""
    for remedy, proofs in with_proofs(known.remedies, known.remedy_proofs):
        first, *others = (plain(sentence) for _, sentence in told(remedy, proofs))
        yield "\n".join([f"- {first}", *(f"  - {sentence}" for sentence in others)])


def _law(known: Known) -> list[str]:
    """Return the legal clocks with their heading; nothing where no regime asks."""
    lines = [f"- {plain(sentence)}" for _, sentence in legal_lines(known.legal_clocks.rows(named=True))]
    return ["## What the law asks for", "\n".join([*lines, "", plain(NOT_ADVICE)])] if lines else []


def _answers(known: Known) -> Iterator[str]:
    """Yield each question with its first answer, which is the one those who were called had."""
    first = known.diagnoses.filter(pl.col("asked_at") == pl.col("asked_at").min()).sort("position")
    for row in first.rows(named=True):
        if row["failure"]:
            yield f"**{plain(row['question'])}** No answer: {plain(row['failure'])}"
            continue
        found = json.loads(row["answer"])
        lines = [found["columns"], ["---"] * len(found["columns"]), *found["rows"][:ROWS_SHOWN]]
        yield "\n".join([f"**{plain(row['question'])}**", "", *map(_line, lines)])


def _line(cells: Sequence[object]) -> str:
    return (
        f"| {' | '.join('' if cell is None else '---' if cell == '---' else plain(cell) for cell in cells)} |"
    )


def plain(text: object) -> str:
    """Return text from outside so that Markdown shows it and does nothing else."""
    return _MARKUP.sub(r"\\\1", inert(" ".join(str(text).split())))
