"""The review's section on incidents, and how an incident's clocks are judged."""

from datetime import datetime

from aiops_pipelines.document import TONES, Action, Column, Figure, Section, Table, Tone
from aiops_pipelines.incidents.clocks import ClockResult, clock_result
from aiops_pipelines.incidents.legal_clocks import legal_result, legal_rows, legal_sentence, legal_table
from aiops_pipelines.incidents.remedy_words import (
    NOT_HELD,
    Remedied,
    remedy_table,
    some_remedies,
    with_proofs,
    worst,
)
from aiops_pipelines.incidents.reported import PERSON
from aiops_pipelines.incidents.review_inputs import ReviewInputs, Row
from aiops_pipelines.wording import inert, moment, some

CLOCKS = ("acknowledge", "mitigate", "resolve")


def clock_results(row: Row, as_at: datetime) -> dict[str, ClockResult]:
    """Judge an incident's clocks at a moment; who mitigates has acknowledged, who resolves has mitigated."""
    resolved = row["resolved_at"]
    mitigated = row["mitigated_at"] or resolved
    done = {"acknowledge": row["acknowledged_at"] or mitigated, "mitigate": mitigated, "resolve": resolved}
    return {clock: clock_result(row[f"{clock}_due_at"], done[clock], as_at) for clock in CLOCKS}


def incident_table(rows: list[Row], as_at: datetime, title: str) -> Table:
    """Return incidents with their clocks as they stood at a moment."""
    columns = (
        Column("Severity", "code"),
        Column("Incident"),
        Column("Opened", "moment"),
        *(Column(clock.capitalize(), "verdict") for clock in CLOCKS),
        Column("Resolve by", "moment"),
        Column("Opened by"),
        Column("Signals", "count"),
        Column("Runbook", "code"),
    )
    cells = tuple(
        (
            row["severity"],
            f"{row['title']} ({row['incident_id']})",
            row["opened_at"],
            *clock_results(row, as_at).values(),
            row["resolve_due_at"],
            f"a person, {row['reported_by']}" if row.get("source") == PERSON else "rules",
            row["signals"],
            row["runbook"],
        )
        for row in rows
    )
    return Table(title, columns, cells, "incidents.incidents", "No incident.")


def incidents(r: ReviewInputs) -> Section:
    """Say what is open, and which clocks were missed by the end of the week."""
    touched = [row for row in r.rows("incidents") if row["opened_at"] <= r.end]
    touched = [row for row in touched if row["resolved_at"] is None or row["resolved_at"] >= r.start]
    touched.sort(key=lambda row: (row["severity"], row["opened_at"], row["incident_id"]))
    still = [row for row in touched if row["resolved_at"] is None or row["resolved_at"] > r.end]
    missed = [row for row in touched if "missed" in clock_results(row, r.end).values()]
    grave = any(row["severity"] == "P1" for row in still)
    watched = r.week in r.heard()
    tone: Tone = "bad" if grave or missed else "warn" if still else "good" if watched else "unknown"
    figures = (
        Figure("Open incidents", len(still), "count", f"{len(touched)} seen this week"),
        Figure("With a missed clock", len(missed), "count", "acknowledge, mitigate or resolve"),
    )
    tables = [incident_table(touched, r.end, "Incidents of the week, clocks as they stood at its end")]
    legal = legal_rows(r.rows("legal_clocks"), r.rows("incidents"), r.start, r.end)
    if legal:
        tables.append(legal_table(legal, r.rows("incidents"), r.end))
        tone = "bad" if any(legal_result(row, r.end) == "missed" for row in legal) else tone
    actions = tuple(_action(row, row in missed) for row in still)
    meaning = _meaning(still, missed)
    if judged := _remedies(r, {row["incident_id"] for row in touched}):
        tables.append(remedy_table(judged, "Remedies that periods of the week judged, as they stand now"))
    if failed := sum(worst(proofs) == NOT_HELD for _, proofs in judged):
        meaning += f" {some_remedies(failed)} did not hold."
        tone = min(tone, "warn", key=TONES.index)
    if not touched and not watched:
        meaning = "No incident is open, but no call was logged either: nothing was watched."
    meaning += legal_sentence(legal, r.end)
    return Section("incidents", "Incidents", meaning, tone, figures, (), tuple(tables), actions)


def _remedies(r: ReviewInputs, touched: set[str]) -> list[Remedied]:
    """Return the remedies of these incidents that stood in the week and were judged by it, with their proofs.

    One that the next remedy took over from before the week was judged by earlier weeks alone.
    """
    return [
        (remedy, proofs)
        for remedy, proofs in with_proofs(r.remedies, r.remedy_proofs)
        if remedy["at"] < r.end
        and remedy["incident_id"] in touched
        and any(row["judged_until"] and row["judged_until"] > r.start for row in proofs)
    ]


def _meaning(still: list[Row], missed: list[Row]) -> str:
    late = f"{some(len(missed), 'incident')} missed a clock" if missed else ""
    if still:
        worst = (
            f"{some(len(still), 'incident')} open, the gravest {still[0]['severity']}: {still[0]['title']}"
        )
        return inert(worst) + (f"; {late}." if late else ".")
    return f"Nothing is open, but {late}." if late else "No incident is open."


def _action(row: Row, late: bool) -> Action:
    due = f"Resolve by {moment(row['resolve_due_at'])}." if row["resolve_due_at"] else "It has no due date."
    why = f"Runbook: {row['runbook'] or 'none'}. {row['evidence'] or ''}"
    return Action(
        f"{row['severity']}: {row['title']}. {due}", why, "bad" if late or row["severity"] == "P1" else "warn"
    )
