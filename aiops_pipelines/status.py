"""How each system is doing, in a few lines: frames in, sentences and figures out.

The sentences on a week are those of its review; here they are put beside what was found in all weeks so far.
How they look is decided in `terminal`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from aiops_pipelines.costs.invoices import invoice_sentence
from aiops_pipelines.document import TONES, Tone
from aiops_pipelines.incidents.legal_clocks import NOT_EVIDENCED, legal_lines
from aiops_pipelines.incidents.lifecycle import due_at, waits_for
from aiops_pipelines.incidents.remedy_words import NOT_HELD, with_proofs, worst
from aiops_pipelines.incidents.review_alerts import present_alerts
from aiops_pipelines.incidents.review_inputs import ReviewInputs, Row
from aiops_pipelines.incidents.review_quality import CAUSES, WORST_FIRST, metric_name
from aiops_pipelines.incidents.review_retrieval import freshness, slice_sentence, worse_slices
from aiops_pipelines.incidents.review_service import service
from aiops_pipelines.incidents.review_spend import cause_name, growth, month_sentence, spend
from aiops_pipelines.status_books import Line, audit_log_line, problems_line, report_line
from aiops_pipelines.systems import monday
from aiops_pipelines.wording import day, inert, listed, moment, percent, some, usd

CAUSES_SHOWN = 2
FORECAST = ("month", "through", "spent_usd", "forecast_usd", "low_usd", "high_usd")
VERDICT_TONES: Mapping[str, Tone] = {"OK": "good", "CANNOT TELL": "unknown", "DEGRADED": "bad"}
NOT_YET = "Not worked out yet: it comes with the first complete week."


@dataclass(frozen=True)
class Known:
    """What is known of one system: the frames of a review whose week is the last complete one, and the books.

    `review.incidents` are the incidents as they stand now; `log_entries` is the length of the audit log;
    `reports`, `amendments` and `late` are as `report_line` takes them.
    """

    review: ReviewInputs
    checkpoints: pl.DataFrame
    problems: pl.DataFrame
    log_entries: int
    reports: pl.DataFrame
    amendments: pl.DataFrame
    late: pl.DataFrame


@dataclass(frozen=True)
class Status:
    """One system's status."""

    system: str
    title: str
    now: datetime
    lines: tuple[Line, ...]


def last_complete_week(known: ReviewInputs) -> date:
    """Return the Monday of the last week that is over."""
    return monday(known.now) - timedelta(days=7)


def status(known: Known) -> Status:
    """Return what there is to say of one system."""
    review = replace(known.review, week=last_complete_week(known.review))
    lines = (
        _health(review),
        _quality(review),
        _spend(review),
        _freshness(review),
        _incidents(review),
        audit_log_line(known.log_entries, known.checkpoints, review.rows("verifications")),
        report_line(known.reports, known.amendments, known.late),
        problems_line(known.problems),
    )
    return Status(review.system.name, review.system.title, review.now, lines)


def _latest(review: ReviewInputs, frame: str) -> ReviewInputs | None:
    """Return the inputs as of the last week that a frame has rows of; a light system's weeks come monthly."""
    weeks = [row["week"] for row in review.rows(frame)]
    return replace(review, week=max(weeks)) if weeks else None


def _said(week: date, sentence: str) -> str:
    return f"Week of {day(week)}: {sentence}"


def _health(review: ReviewInputs) -> Line:
    if not review.rows("traffic"):
        return Line("Service", "unknown", NOT_YET)
    section, row = service(review), next(iter(review.this_week("traffic")), None)
    calls = row["calls"] if row else 0
    figures = {
        "week": review.week,
        "calls": calls,
        "error_rate": row["errors"] / calls if row and calls else None,
        "latency_p95_ms": row and row["latency_p95_ms"],
    }
    states = review.rows("alerts")
    told = present_alerts(states)
    figures["alerts"] = {row["rule"]: row["state"] for row in states if row["until"] is None}
    tone: Tone = min([section.tone, *(one for one, _ in told if one == "bad")], key=TONES.index)
    return Line("Service", tone, _said(review.week, section.meaning), tuple(told), figures)


def _quality(review: ReviewInputs) -> Line:
    judged = _latest(review, "verdicts")
    if judged is None:
        return Line(
            "Quality", "unknown", "No week is judged yet: that starts when the baseline weeks are over."
        )
    now = judged.this_week("verdicts")
    counts = {word: sum(row["verdict"] == word for row in now) for word in WORST_FIRST}
    worst = min((row["verdict"] for row in now), key=WORST_FIRST.index)
    of_each = listed([f"{n} {word}" for word, n in counts.items() if n])
    degraded = _degraded_weeks(judged)
    details: list[tuple[Tone, str]] = [("bad", _degraded_sentence(row)) for row in degraded]
    if not degraded:
        details = [("plain", f"No week was DEGRADED so far, of {some(len(_weeks(judged)), 'week')} judged.")]
    figures = {
        "week": judged.week,
        "verdicts": counts,
        "by_metric": {f"{row['sample']}/{row['metric']}": row["verdict"] for row in now},
        "degraded_weeks": degraded,
    }
    sentence = _said(judged.week, f"{some(len(now), 'verdict')}, {of_each}.")
    return Line("Quality", VERDICT_TONES[worst], sentence, tuple(details), figures)


def _weeks(review: ReviewInputs) -> set[date]:
    return {row["week"] for row in review.rows("verdicts")}


def _degraded_weeks(review: ReviewInputs) -> list[Row]:
    """Return each degraded week with its metrics and its likeliest cause, if one was found."""
    causes = {row["week"]: row for row in review.rows("causes") if row["rank"] == 1}
    metrics: dict[date, list[str]] = {}
    for row in review.rows("verdicts"):
        if row["verdict"] == "DEGRADED":
            metrics.setdefault(row["week"], []).append(metric_name(row))
    return [
        {"week": week, "metrics": sorted(names), "cause": causes[week]["cause"] if week in causes else None}
        for week, names in sorted(metrics.items())
    ]


def _degraded_sentence(row: Row) -> str:
    cause = row["cause"] and CAUSES.get(row["cause"], inert(row["cause"].replace("_", " ")))
    why = f"most likely {cause}" if cause else "no cause was found"
    return f"DEGRADED in the week of {day(row['week'])}: {inert(listed(row['metrics']))}; {why}."


def _spend(review: ReviewInputs) -> Line:
    if not review.rows("spend"):
        return Line("Spend", "unknown", NOT_YET)
    compared = _latest(review, "growth") or review
    section = spend(compared)
    before, causes, _ = growth(compared.this_week("growth"))
    biggest = dict(list(causes.items())[:CAUSES_SHOWN])
    spent, grown = section.figures[0].value, section.figures[1].value
    figures = {
        "week": compared.week,
        "spend_usd": spent,
        "baseline_week_usd": before or None,
        "growth": grown,
        "biggest_causes": biggest,
    }
    outlook: list[tuple[Tone, str]] = []
    for row in review.rows("month"):
        figures |= {name: row[name] for name in FORECAST}
        outlook.append(("plain", month_sentence(row)))
    bills = [row for row in review.rows("invoices") if row["holds"]]
    if bills := sorted(bills, key=lambda row: (row["month"], row["entered_at"])):
        beyond = abs(bills[-1]["difference"]) > review.system.limits.invoice_difference
        outlook.append(("bad" if beyond else "plain", f"Invoice of {invoice_sentence(bills[-1])}"))
        figures["invoice_difference"] = bills[-1]["difference"]
    if spent is None or grown is None:
        return Line("Spend", section.tone, _said(compared.week, section.meaning), tuple(outlook), figures)
    limit = percent(review.system.limits.weekly_spend_growth, signed=True)
    sentence = f"{usd(spent)}, {percent(grown, signed=True)} against a baseline week (limit {limit})."
    moved = [f"{cause_name(cause)} {usd(change, signed=True)}" for cause, change in biggest.items() if change]
    details: list[tuple[Tone, str]] = [("plain", f"Most of it: {listed(moved)}.")] if moved else []
    return Line("Spend", section.tone, _said(compared.week, sentence), (*details, *outlook), figures)


def _freshness(review: ReviewInputs) -> Line:
    judged = _latest(review, "freshness")
    if review.system.corpus is None or judged is None:
        section = freshness(review)
        return Line("Index", section.tone, NOT_YET if review.system.corpus else section.meaning)
    section, row = freshness(judged), judged.this_week("freshness")[0]
    stale = [found["week"] for found in judged.rows("freshness") if found["verdict"] == "stale"]
    so_far = (
        f"Stale so far: {some(len(stale), 'week')}, {_span(stale)}." if stale else "No week was stale so far."
    )
    figures = {name: row[name] for name in ("week", "verdict", "stale_share", "lag_days")}
    weak = worse_slices(judged)
    figures["worse_tags"] = sorted(one["slice"] for one in weak)
    details: list[tuple[Tone, str]] = [("warn" if stale else "plain", so_far)]
    details += [("warn", slice_sentence(one)) for one in weak]
    return Line(
        "Index",
        section.tone,
        _said(judged.week, section.meaning),
        tuple(details),
        figures | {"stale_weeks": sorted(stale)},
    )


def _span(weeks: Iterable[date]) -> str:
    return listed([day(week) for week in sorted(weeks)])


def _incidents(review: ReviewInputs) -> Line:
    still = open_incidents(review.rows("incidents"))
    numbers = {row["incident_id"] for row in still}
    legal = (*_not_held(review, numbers), *_legal(review, numbers))
    if not still:
        worst: Tone = min((tone for tone, _ in legal), key=TONES.index, default="good")
        return Line("Incidents", worst, "No incident is open.", legal, {"open": []})
    shown = [incident_line(row, review.now) for row in still]
    details = tuple(
        (tone, f"{row['incident_id']} {sentence}") for row, (tone, sentence) in zip(still, shown, strict=True)
    )
    kept = ("incident_id", "severity", "title", "status", "opened_at")
    figures = {"open": [{name: row[name] for name in kept} | {"due_at": due_at(row)} for row in still]}
    late = sum(is_late(row, review.now) for row in still)
    missed = f"; {late} past the next clock" if late else ""
    tone: Tone = min((tone for tone, _ in (*shown, *legal)), key=TONES.index)
    return Line("Incidents", tone, f"{len(still)} not resolved{missed}.", (*details, *legal), figures)


def _not_held(review: ReviewInputs, still: set[str]) -> Iterator[tuple[Tone, str]]:
    """Say which open incidents have a last remedy that did not hold."""
    last = {
        row["incident_id"]: (row, proofs)
        for row, proofs in with_proofs(review.remedies, review.remedy_proofs)
    }
    for number, (row, proofs) in last.items():
        if number in still and worst(proofs) == NOT_HELD:
            yield "bad", inert(f"{number} {row['remedy_id']} did not hold: {row['did']}")


def _legal(review: ReviewInputs, still: set[str]) -> tuple[tuple[Tone, str], ...]:
    """Say which notices are owed, of resolved incidents too, and of how many open ones nobody said a word."""
    clocks = review.rows("legal_clocks")
    owed = [row for row in clocks if row["state"] in ("running", "due", "overdue")]
    lines = [
        (tone, f"{row['incident_id']} {sentence}") for row in owed for tone, sentence in legal_lines([row])
    ]
    unsaid = {row["incident_id"] for row in clocks if row["state"] == NOT_EVIDENCED} & still
    if unsaid:
        said = f"Awareness of {some(len(unsaid), 'open incident')} is NOT EVIDENCED, and a law may ask for it"
        lines.append(("unknown", f"{said}: aiops incident aware, or classify as not_reportable."))
    return tuple(lines)


def open_incidents(rows: Iterable[Row]) -> list[Row]:
    """Return the incidents that are not resolved, the gravest and oldest first."""
    still = [row for row in rows if row["status"] != "resolved"]
    return sorted(still, key=lambda row: (row["severity"], row["opened_at"], row["incident_id"]))


def is_late(row: Mapping[str, Any], now: datetime) -> bool:
    """Say whether an unresolved incident's next step is past due."""
    due = due_at(row)
    return due is not None and due <= now


def incident_line(row: Mapping[str, Any], now: datetime) -> tuple[Tone, str]:
    """Say what an incident is, where it stands and what is due: P2 Spend grew (open); resolve by ..."""
    what = f"{row['severity']} {inert(row['title'])}"
    if row["status"] == "resolved":
        return "plain", f"{what} (resolved {moment(row['resolved_at'])})."
    due, late, step = due_at(row), is_late(row, now), waits_for(row)
    clock = f"{step} {'overdue since' if late else 'by'} {moment(due)}" if due else "no clock runs"
    return "bad" if late or row["severity"] == "P1" else "warn", f"{what} ({row['status']}); {clock}."
