"""The report's sections on conduct: quality, privacy, guardrails and transparency, incidents."""

from dataclasses import replace
from datetime import timedelta

import polars as pl

from aiops_pipelines.compliance.month_evidence import MonthEvidence
from aiops_pipelines.compliance.report_parts import NOT_EVIDENCED, Known, ReportSection, table
from aiops_pipelines.costs.proposal_words import proposals_table
from aiops_pipelines.document import TONES, Chart, Table, Tone
from aiops_pipelines.incidents.legal_clocks import legal_result, legal_sentence, legal_table
from aiops_pipelines.incidents.remedy_words import remedy_table, some_remedies
from aiops_pipelines.incidents.review_guard import attack_table, watch_table
from aiops_pipelines.incidents.review_incidents import incident_table
from aiops_pipelines.incidents.review_quality import quality_charts, verdict_table
from aiops_pipelines.wording import count, day, listed, some

WEEKS_CHARTED = 26
INFERENCES = "inference_log.inferences"


def quality(e: MonthEvidence, known: Known) -> ReportSection:
    """Say whether quality fell in the month, and in which weeks nobody can tell."""
    rows = e.weekly("verdicts")
    absent = [week for week in e.weeks() if week not in {row["week"] for row in rows}]
    degraded, unsure, ok = (known[f"quality.{name}"] for name in ("degraded", "cannot_tell", "ok"))
    tone: Tone = "bad" if degraded else "unknown" if absent or unsure else "good"
    meaning = f"Quality was not judged in any of the {some(len(absent), 'week')} that ended in this month."
    if rows:
        meaning = f"{some(len(rows), 'verdict')}: {degraded} DEGRADED, {unsure} CANNOT TELL, {ok} OK; "
        missing = listed([day(week) for week in absent])
        meaning += f"no verdict for the week of {missing}." if absent else "every week was judged."
    tables = (_verdicts(e), _causes(e), _proposals(e), _savings(e))
    return ReportSection("quality", "Quality", meaning, tone, known.of("quality"), _charts(e), tables)


def _verdicts(e: MonthEvidence) -> Table:
    rows = sorted(e.weekly("verdicts"), key=lambda row: (row["week"], row["sample"], row["metric"]))
    judged = verdict_table(rows, "Verdicts, with 95 % intervals and the smallest detectable drop")
    absent = [week for week in e.weeks() if week not in {row["week"] for row in rows}]
    unknown = [None] * (len(judged.columns) - 4)
    silent = [(week, "every metric", "no verdict", *unknown, "Not judged.") for week in absent]
    return replace(judged, rows=tuple(sorted((*judged.rows, *silent), key=lambda row: row[0])))


def _causes(e: MonthEvidence) -> Table:
    rows = sorted(e.weekly("causes"), key=lambda row: (row["week"], row["rank"]))
    return table(
        "Likely causes",
        {"Week of": "day", "Rank": "count", "Cause": "text", "Evidence": "text"},
        tuple((row["week"], row["rank"], row["cause"].replace("_", " "), row["evidence"]) for row in rows),
        "drift.drift_causes",
        "None was named.",
    )


def _proposals(e: MonthEvidence) -> Table:
    rows = sorted(
        (row for row in e.rows("proposals") if row["month"] == e.month), key=lambda row: row["rank"]
    )
    return table(
        "Improvements proposed",
        {"Rank": "count", "Proposal": "text", "Evidence": "text"},
        tuple((row["rank"], row["proposal"], row["evidence"]) for row in rows),
        "drift.improvement_proposals",
        "None was proposed.",
    )


def _savings(e: MonthEvidence) -> Table:
    rows = [row for row in e.rows("savings") if row["month"] == e.month]
    return proposals_table(sorted(rows, key=lambda row: row["rank"]))


def _charts(e: MonthEvidence) -> tuple[Chart, ...]:
    last = e.weeks()[-1]
    judged = [row for row in e.rows("verdicts") if row["week"] <= last]
    spans = {(row["first_week"], row["last_week"]) for row in e.rows("baselines")}
    earliest = min([row["week"] for row in judged] + [start for start, _ in spans], default=last)
    first = max(earliest, last - timedelta(weeks=WEEKS_CHARTED - 1))
    weeks = [first + timedelta(weeks=n) for n in range((last - first).days // 7 + 1)]
    frozen = {week for week in weeks for start, end in spans if start <= week <= end}
    return quality_charts(judged, weeks, frozen)


def privacy(e: MonthEvidence, known: Known) -> ReportSection:
    """Say what personal data was masked, and generate the record of processing."""
    masked = known["privacy.masked"]
    meaning = "Unknown: no inference was logged in the month, so nothing was looked at."
    if masked is not None:
        where = some(known["privacy.calls_with_masking"], "inference")
        meaning = (
            f"Personal data was found and masked {some(masked, 'time')} in {where}, before it was stored."
        )
    over, held = known["privacy.texts_over_term"], known["privacy.texts_held"]
    if over:
        kept = f" {some(over, 'inference')} {'is' if over == 1 else 'are'} kept with text beyond its term"
        meaning += f"{kept}, {count(held)} of them by a legal hold." if held else f"{kept}."
    kinds = table(
        "Personal data masked, by type",
        {"Type": "text", "Times": "count"},
        tuple(e.masked()),
        INFERENCES,
        "None.",
    )
    sent = e.calls().drop_nulls("provider").group_by("provider")
    models = pl.col("model_served").drop_nulls().unique().sort().str.join(", ")
    recipients = table(
        "Recipients: model providers seen in the month",
        {"Provider": "code", "Inferences": "count", "Models": "code"},
        tuple(sent.agg(pl.len(), models).sort("provider").iter_rows()),
        INFERENCES,
        f"{NOT_EVIDENCED}: no inference of the month names a provider.",
    )
    tables = (kinds, _processing(e, [row[0] for row in recipients.rows]), recipients, _erasures(e), _holds(e))
    left = over > held or known["erasure.left_over"]
    tone: Tone = "bad" if left else "unknown" if masked is None else "plain"
    return ReportSection("privacy", "Privacy", meaning, tone, known.of("privacy", "erasure"), (), tables)


def _erasures(e: MonthEvidence) -> Table:
    names = ("erasure_id", "asked_on", "decided_at", "status", "calls", "left_over", "in_sources")
    return table(
        "Requests to erase a person, decided in the month",
        {
            **{"Request": "code", "Asked": "day", "Decided": "moment", "What came of it": "text"},
            **{"Inferences": "count", "Places left": "count", "Lines in own log files": "count"},
        },
        tuple(tuple(row[name] for name in names) for row in e.decided_erasures()),
        "compliance.erasures",
        "None was decided.",
    )


def _holds(e: MonthEvidence) -> Table:
    names = ("hold_id", "since", "until", "incident_id", "placed_at", "reason")
    return table(
        "Legal holds in force",
        {
            **{"Hold": "code", "Of one user": "text", "Calls from": "moment", "until": "moment"},
            **{"Incident": "code", "Placed": "moment", "Reason": "text"},
        },
        tuple(
            (row["hold_id"], "yes" if row["person"] else "no", *(row[name] for name in names[1:]))
            for row in e.holding()
        ),
        "compliance.legal_holds",
        "None is in force.",
    )


def _processing(e: MonthEvidence, recipients: list[str]) -> Table:
    keep, over = e.system.retention, e.texts_over_term
    rows = (
        ("System", f"{e.system.title} ({e.system.name})"),
        ("Purpose", e.system.title),
        ("Responsible", e.system.owner),
        ("Data", "questions and answers with personal data masked, keyed pseudonyms of users"),
        ("Recipients", listed([*recipients, *_judges(e)]) or NOT_EVIDENCED),
        (
            "Retention of texts",
            f"{count(keep.text_days)} days by the system file; the first run of a day deletes what is older, "
            f"and {some(over, 'inference')} hold{'s' if over == 1 else ''} text beyond that",
        ),
        ("Retention of the audit log", f"{count(keep.audit_days)} days at least; nothing deletes entries"),
        (
            "Security",
            "masking before storage, keyed commitments instead of text in the log, signed checkpoints",
        ),
        ("Legal basis", NOT_EVIDENCED),
        ("Categories of data subjects", NOT_EVIDENCED),
    )
    title = "Record of processing (GDPR 30), from the system file and the log"
    return table(title, {"Item": "text", "Entry": "text"}, rows, INFERENCES)


def _judges(e: MonthEvidence) -> list[str]:
    """Return who else is sent questions, answers and retrieved texts: to judge them."""
    return [f"{e.system.judge.host}, which judges a sample of answers"] if e.system.judge else []


def guardrails(e: MonthEvidence, known: Known) -> ReportSection:
    """Say what the guardrails stopped, and what is on record of oversight and disclosure."""
    events, blocks = known["guardrails.events"], known["guardrails.blocks"]
    meaning = f"Unknown: {known.why_missing('guardrails')}."
    if events is not None:
        meaning = f"{some(events, 'guardrail verdict')} logged, {count(blocks)} of them a block."
    found = e.guardrail_events().select(pl.col("category", "action").fill_null("unknown"))
    counted = found.group_by("category", "action").agg(verdicts=pl.len()).sort("category", "action")
    by_category = table(
        "Guardrail verdicts by category",
        {"Category": "text", "Action": "code", "Verdicts": "count"},
        tuple(counted.iter_rows()),
        INFERENCES,
        "None was logged.",
    )
    disclosure = table(
        "Transparency (AI Act 50)",
        {"Item": "text", "Evidence": "text"},
        (("Sessions with an AI disclosure", NOT_EVIDENCED), ("Outputs that are marked", NOT_EVIDENCED)),
        "",
    )
    watched = watch_table(e.weekly("guarded"), "Whether guardrails still act, by week")
    attacks = attack_table(
        e.weekly("attacks"), "Attacks on purpose by category (OWASP), each by its worst week"
    )
    figures = known.of("guardrails", "adversarial", "oversight")
    tables = (by_category, watched, attacks, disclosure)
    tone: Tone = "unknown" if events is None else "plain"
    if known["guardrails.fell"] or known["guardrails.eroding"]:
        fell, eroding = known["guardrails.fell"] or 0, known["guardrails.eroding"] or 0
        meaning += (
            f" {some(fell, 'guardrail')} fell far below what was to be expected, {count(eroding)} erode."
        )
        tone = "bad" if fell else "warn"
    if known["adversarial.gave_way"]:
        meaning += f" {some(known['adversarial.gave_way'], 'attack')} on purpose gave way."
        tone = "bad"
    return ReportSection("guardrails", "Guardrails and transparency", meaning, tone, figures, (), tables)


def incidents(e: MonthEvidence, known: Known) -> ReportSection:
    """Say which incidents there were, and which clocks were met or missed by the end of the month."""
    touched = sorted(e.touched_incidents(), key=lambda row: (row["opened_at"], row["incident_id"]))
    opened, missed, still = (
        known[f"incidents.{name}"] for name in ("opened", "clocks_missed", "open_at_end")
    )
    silent = known["record.inferences"] is None
    tone: Tone = "bad" if missed else "warn" if still else "unknown" if silent else "good"
    meaning = f"{some(opened, 'incident')} opened, {count(still)} open at the end of the month; "
    meaning += f"{some(missed, 'clock')} missed."
    if silent and not touched:
        meaning = "No incident is on record, but no inference was logged either: nothing was watched."
    tables = [incident_table(touched, e.end, "Incidents open in the month, clocks as they stood at its end")]
    legal = e.legal_rows()
    if legal:
        tables.append(legal_table(legal, e.rows("incidents"), e.end))
        tone = "bad" if any(legal_result(row, e.end) == "missed" for row in legal) else tone
    meaning += legal_sentence(legal, e.end)
    if recorded := e.recorded_remedies():
        tables.append(remedy_table(recorded, "Remedies recorded in the month, as they are judged to date"))
    if not_held := known["remedies.not_held"]:
        meaning += f" {some_remedies(not_held)} of those recorded did not hold."
        tone = min(tone, "warn", key=TONES.index)
    figures = known.of("incidents", "remedies")
    return ReportSection("incidents", "Incidents", meaning, tone, figures, (), tuple(tables))
