"""The review's sections on running the system: service, personal data and the audit log."""

from aiops_pipelines.compliance.finding import verification_order
from aiops_pipelines.document import Action, Chart, Column, Figure, Section, Table, Tone
from aiops_pipelines.incidents.review_alerts import (
    alert_figure,
    alert_table,
    blind,
    latency_table,
    rule_name,
    states_at_end,
)
from aiops_pipelines.incidents.review_inputs import ReviewInputs, Row
from aiops_pipelines.wording import count, inert, listed, percent, some

SILENT = "Unknown: no call was logged this week."


def _service_meaning(r: ReviewInputs, row: Row | None) -> tuple[str, Tone]:
    limits = r.system.limits
    if not row or not row["calls"]:
        return "No call was logged this week: nobody used the system, or its log did not arrive.", "unknown"
    rate, p95, over = row["errors"] / row["calls"], row["latency_p95_ms"], []
    if rate > limits.error_rate:
        over.append(f"{percent(rate)} failed (limit {percent(limits.error_rate)})")
    if p95 is not None and p95 > limits.latency_p95_ms:
        over.append(f"1 in 20 took longer than {count(p95)} ms (limit {count(limits.latency_p95_ms)} ms)")
    if over:
        return f"{some(row['calls'], 'call')}: {listed(over)}.", "bad"
    within = "how long they took was not logged" if p95 is None else f"19 in 20 took at most {count(p95)} ms"
    return (
        f"{some(row['calls'], 'call')}: {percent(rate)} failed, {within}.",
        "unknown" if p95 is None else "good",
    )


def service(r: ReviewInputs) -> Section:
    """Say how many calls there were, how many failed, and how long they took."""
    row = next(iter(r.this_week("traffic")), None)
    calls, limits = row["calls"] if row else None, r.system.limits
    meaning, tone = _service_meaning(r, row)
    by_week = {found["week"]: found for found in r.rows("traffic")}
    fields = {"calls": "calls", "p50": "latency_p50_ms", "p95": "latency_p95_ms"}
    rows = tuple(
        {
            "week": week.isoformat(),
            **{name: by_week.get(week, {}).get(field) for name, field in fields.items()},
        }
        for week in r.weeks()
    )
    p95_limit = limits.latency_p95_ms
    figures = (
        Figure("Calls", calls, "count", "probes included"),
        Figure(
            "Errors",
            row["errors"] / calls if row and calls else None,
            "percent",
            f"limit {percent(limits.error_rate)}",
        ),
        Figure("Refusals", row["refusals"] / calls if row and calls else None, "percent"),
        Figure("Latency, median", row and row["latency_p50_ms"], "ms"),
        Figure(
            "Latency, 95th percentile", row and row["latency_p95_ms"], "ms", f"limit {count(p95_limit)} ms"
        ),
        alert_figure(r),
    )
    tables = (latency_table(r), alert_table(r)) if by_week else ()
    took = "Milliseconds from request to the end of the answer."
    charts = (
        Chart("latency_by_week", "Latency by week", took, rows, {"limit": p95_limit}),
        Chart("calls_by_week", "Calls by week", "Logged calls a week, probes included.", rows),
    )
    states = states_at_end(r)
    firing = [row for row in states if row["state"] == "firing"]
    if firing:
        meaning += f" Firing at the end of the week: {listed([rule_name(row['rule']) for row in firing])}."
        tone = "bad"
    elif tone == "good" and blind(r):
        meaning, tone = f"{meaning} Too few calls for any alert to be judged.", "unknown"
    what = (
        "Read the failed and the slowest calls." if calls else "Check that the inference log still arrives."
    )
    actions = (Action(what, meaning, tone),) if tone in ("bad", "unknown") else ()
    return Section("service", "Service", meaning, tone, figures, charts if by_week else (), tables, actions)


def privacy(r: ReviewInputs) -> Section:
    """Say how much personal data was masked before it was stored, by type; never a value."""
    rows = sorted(r.this_week("masked"), key=lambda row: (-row["masked"], row["pii_type"]))
    found = [row for row in rows if row["masked"]]
    total = sum(row["masked"] for row in rows) if r.week in r.heard() else None
    meaning = SILENT
    if total is not None:
        kinds = listed([f"{row['pii_type'].replace('_', ' ')} {count(row['masked'])}" for row in found[:3]])
        meaning = f"Personal data was masked {some(total, 'time')} before it was stored"
        meaning += f": {inert(kinds)}{' and others' if len(found) > 3 else ''}." if found else "."
    columns = (Column("Type"), Column("Times masked", "count"))
    cells = tuple((row["pii_type"], row["masked"]) for row in found)
    table = Table("Masked this week by type", columns, cells, "compliance.pii_weekly", "None was found.")
    figures = (Figure("Masked", total, "count", "values are never stored"),)
    return Section(
        "privacy", "Personal data", meaning, "unknown" if total is None else "plain", figures, (), (table,)
    )


def audit_log(r: ReviewInputs) -> Section:
    """Say whether the audit log still proves what it says."""
    row, title = max(r.this_week("verifications"), key=verification_order, default=None), "Audit log"
    if row is None:
        meaning = "The audit log was not verified this week."
        act = Action("Verify the audit log.", "Nobody recomputed it this week.", "unknown")
        return Section(
            "audit_log", title, meaning, "unknown", (Figure("Verification", None),), (), (), (act,)
        )
    findings, intact = row["findings"] or [], row["intact"]
    said = (
        "every hash agrees"
        if intact
        else f"{some(len(findings), 'finding')}, the first: {(findings or ['none'])[0]}"
    )
    word = "is intact" if intact else "does NOT verify"
    meaning = inert(f"The audit log {word}: {count(row['entries'])} entries recomputed, {said}")
    meaning = meaning.removesuffix(".") + "."
    figures = (
        Figure("Verification", "intact" if intact else "broken", "verdict"),
        Figure("Entries recomputed", row["entries"], "count"),
        Figure("Merkle root", row["root_hash"], "code"),
    )
    cells = tuple((text,) for text in findings)
    tables = (Table("Findings", (Column("What was found"),), cells, "compliance.audit_verifications"),)
    what = "Freeze the audit log and compare it with the last checkpoint kept outside."
    actions = () if intact else (Action(what, meaning, "bad"),)
    tone: Tone = "good" if intact else "bad"
    return Section("audit_log", title, meaning, tone, figures, (), tables if findings else (), actions)
