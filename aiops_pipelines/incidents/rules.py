"""The rules that turn measurements into signals: which limit was broken, when, and what that points to.

A rule reads the facts of one system and tells, period by period, whether its limit held. A period that
could not be judged gives no reading: missing data neither opens nor calms anything, except by the rules
that watch for silence, missing scores and another judge. Adding a rule takes its function, its line in RULES
and a runbook for each new cause.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import polars as pl

from aiops_pipelines.drift.verdict import mix_moved
from aiops_pipelines.incidents.facts import Facts, Reading, Row, day_of, days, week_of
from aiops_pipelines.incidents.review_quality import metric_name
from aiops_pipelines.incidents.rules_complete import calls_missing, invoice_differs
from aiops_pipelines.incidents.rules_guard import attack_gave_way, guardrail_off
from aiops_pipelines.incidents.rules_spend import (
    daily_budget,
    endpoint_budget,
    monthly_budget,
    spend_anomaly,
    spend_growth,
)
from aiops_pipelines.monitoring.quality import ANOTHER_JUDGE, RETIRED, UNSEEN
from aiops_pipelines.systems import Limits, monday

CAUSES = {
    "model_change": "Answers got worse after the served model changed",
    "index_staleness": "Answers are given from an index that lags behind its documents",
    "retrieval_worse": "The index finds less for the known queries than the one before it",
    "prompt_change": "Answers got worse after the prompt changed",
    "query_mix": "Scores are lower because users ask about other things",
    "judge_change": "Quality cannot be told because the judge of the scores changed",
    "scores_missing": "Scores are missing, so quality cannot be told",
    "quality_unexplained": "Answers got worse without a known cause",
    "cost_growth": "Weekly spend has grown beyond its limit",
    "cost_anomaly": "A day cost more than is usual for its hours",
    "budget": "A budget is spent",
    "errors": "More calls fail, or answer nothing, than the limit or the baseline allows",
    "refusals": "The model declines to answer more often than before",
    "latency": "Answers are slower than the limit or the baseline allows",
    "volume": "Far fewer calls arrive than is usual for the weekday",
    "held_document": "A document looks made against retrieval and is held for review",
    "injection_attempts": "Guardrails block a burst of calls",
    "guardrail_off": "A guardrail acts no more, or much less",
    "adversarial": "Attacks that are asked on purpose give way",
    "audit_log": "The audit log does not verify",
    "no_data": "No calls have been logged",
    "log_incomplete": "Calls that were made did not reach the log",
    "invoice_differs": "The provider billed other than the logged calls cost",
}
"""Every cause a rule can give, with the title of its incident."""

SIGNALS = pl.Schema(
    {
        "system": pl.String(),
        "period_start": pl.Datetime("us", "UTC"),
        "period_end": pl.Datetime("us", "UTC"),
        "signal": pl.String(),
        "subject": pl.String(),
        "cause": pl.String(),
        "severity": pl.String(),
        "value": pl.Float64(),
        "limit_value": pl.Float64(),
        "evidence": pl.String(),
    }
)
CALM = pl.Schema(
    {name: SIGNALS[name] for name in ("system", "signal", "subject", "period_start", "period_end")}
)

DRIFT_CAUSES = ("model_change", "index_staleness", "prompt_change", "query_mix")

Readings = Iterator[Reading]


def quality_degraded(facts: Facts, limits: Limits) -> Readings:
    """A week's metric is DEGRADED with statistical certainty; the week's strongest cause is blamed.

    What speaks for the cause is said once a week, with the metric that fell most.
    """
    causes = {row["week"]: row for row in facts.drift_causes.rows(named=True) if row["rank"] == 1}
    judged = [row for row in facts.drift_verdicts.rows(named=True) if row["verdict"] in ("OK", "DEGRADED")]
    fell = sorted((row for row in judged if row["verdict"] == "DEGRADED"), key=lambda row: row["drop"])
    worst = {row["week"]: row for row in fell}
    for row in judged:
        found = causes.get(row["week"], {"cause": "quality_unexplained", "evidence": ""})
        name = metric_name(row)
        said = [f"{name[0].upper()}{name[1:]}: {row['reason'][0].lower()}{row['reason'][1:]}"]
        said += [found["evidence"]] if row is worst.get(row["week"]) and found["evidence"] else []
        subject, broken = f"{row['metric']} ({row['sample']})", row["verdict"] == "DEGRADED"
        figures, evidence = (row["drop"], row["margin"]), " ".join(said)
        yield Reading(*week_of(row["week"]), broken, found["cause"], "P2", *figures, evidence, subject)


def query_mix_moved(facts: Facts, limits: Limits) -> Readings:
    """Users turned to endpoints that were always answered worse; within each, answers may be as before."""
    for row in facts.drift_verdicts.rows(named=True):
        if row["mix_p_adjusted"] is not None:
            subject, week = f"{row['metric']} (mix of endpoints)", week_of(row["week"])
            figures, said = (row["mix_drop"], limits.margin), f"{metric_name(row)}: {row['reason']}"
            yield Reading(*week, mix_moved(row, limits), "query_mix", "P3", *figures, said, subject)


def judge_changed(facts: Facts, limits: Limits) -> Readings:
    """Another judge than the baseline's scored a week, or it drifted, so how good answers were is unknown."""
    for row in facts.drift_verdicts.rows(named=True):
        changed = (row["reason"] or "").startswith(ANOTHER_JUDGE)
        if changed or row["verdict"] in ("OK", "DEGRADED"):
            subject = f"{row['metric']} ({row['sample']})"
            week, reason = week_of(row["week"]), row["reason"] or ""
            yield Reading(*week, changed, "judge_change", "P3", None, None, reason, subject)


def scores_missing(facts: Facts, limits: Limits) -> Readings:
    """A metric has fewer scores than in the baseline in a week with calls; a week without any is silence."""
    heard = {monday(day["day"]) for day in days(facts)}
    for row in facts.drift_verdicts.rows(named=True):
        reason, week = row["reason"] or "", week_of(row["week"])
        if row["week"] in heard and not reason.startswith(RETIRED):
            missing = row["verdict"] == "CANNOT TELL" and (not row["n"] or reason.endswith(UNSEEN))
            subject = f"{row['metric']} ({row['sample']})"
            yield Reading(*week, missing, "scores_missing", "P3", None, None, reason, subject)


def index_stale(facts: Facts, limits: Limits) -> Readings:
    """Answers of a week were given from chunks that are no longer in the corpus."""
    for row in facts.index_freshness.rows(named=True):
        if row["verdict"] in ("fresh", "stale"):
            week, broken, share = week_of(row["week"]), row["verdict"] == "stale", row["stale_share"]
            yield Reading(*week, broken, "index_staleness", "P2", share, limits.stale_share, row["reason"])


def retrieval_worse(facts: Facts, limits: Limits) -> Readings:
    """An index finds less than the one before it, beyond chance and beyond the tolerated drop.

    The ranking that is judged is the embeddings', which is what an index serves.
    """
    for row in facts.retrieval_changes.rows(named=True):
        if row["ranker"] == "dense" and row["before"]:
            drop = -row["difference"] / row["before"]
            broken = row["verdict"] == "worse" and drop > limits.margin
            at, figures, said = row["valid_from"], (drop, limits.margin), row["reason"]
            yield Reading(*week_of(monday(at)), broken, "retrieval_worse", "P2", *figures, said, at=at)


def service_alert(facts: Facts, limits: Limits) -> Readings:
    """An alert on failures, refusals, latency, volume or a burn rate is open, and the period is a breach.

    Limits, chance and hysteresis are judged in `monitoring`; a breach that opened no alert is no signal, and
    an alert that is recovering calms nothing. An outage has the
    cause of any other failures, errors, and raises it to P1: it is one incident however it begins and ends. A
    day on which most calls fail is one signal and not two.
    """
    rows = facts.alert_readings.rows(named=True)
    outages = {row["period_start"] for row in rows if row["rule"] == "no_useful_outputs" and _fires(row)}
    for row in rows:
        if row["rule"] == "errors" and row["period_start"] in outages:
            continue
        if _fires(row) or (row["level"] == "clear" and row["state"] == "ok"):
            period, figures = (row["period_start"], row["period_end"]), (row["value"], row["limit_value"])
            said = row["cause"], row["severity"], *figures, row["evidence"], row["rule"]
            yield Reading(*period, _fires(row), *said)


def _fires(row: Row) -> bool:
    return bool(row["level"] == "breach" and row["state"] == "firing")


def guardrail_burst(facts: Facts, limits: Limits) -> Readings:
    """Guardrails blocked more calls in a day than the limit."""
    for row in days(facts):
        blocked, limit = row["blocked"], limits.guardrail_blocks_per_day
        evidence = (
            f"Guardrails blocked {blocked} of {row['calls']} calls on {row['day']} (limit {limit} a day)."
        )
        yield Reading(*day_of(row), blocked > limit, "injection_attempts", "P2", blocked, limit, evidence)


def document_held(facts: Facts, limits: Limits) -> Readings:
    """A document was held out of the index; it is calm again when somebody released it or it moved on."""
    for row in facts.document_findings.rows(named=True):
        if row["status"] != "noted":
            at = min(row["found_at"], facts.now)
            said = f"{row['document']} ({row['change']}) is not served as it is. {row['evidence']}"
            figures = (row["share_after"], None)
            yield Reading(at, at, True, "held_document", "P2", *figures, said, row["document"])
            if row["status"] != "held":
                end = min(row["decided_at"], facts.now)
                yield Reading(end, end, False, "held_document", "P2", *figures, "", row["document"])


def audit_broken(facts: Facts, limits: Limits) -> Readings:
    """The audit log of a week does not verify; a later verification of the week does not undo that."""
    rows = sorted(facts.audit_verifications.rows(named=True), key=lambda row: not row["intact"])
    for row in {row["week"]: row for row in rows}.values():
        findings = list(row["findings"] or [])
        evidence = (
            f"{len(findings)} findings in {row['entries']} entries of the audit log. {' '.join(findings[:3])}"
        )
        yield Reading(
            *week_of(row["week"]), not row["intact"], "audit_log", "P1", len(findings), 0, evidence.strip()
        )


def silence(facts: Facts, limits: Limits) -> Readings:
    """No call was logged for longer than the limit, between two calls or up to now.

    The period is the stretch that broke the limit, so that a silence that goes on stays one signal. A call
    that is dated after now ends no silence.
    """
    limit = timedelta(hours=limits.silent_hours)
    logged = facts.call_times["occurred_at"] if facts.call_times.width else pl.Series(dtype=pl.Datetime)
    times = logged.drop_nulls().sort().to_list()
    times = times[: bisect_right(times, facts.now)]
    for last, following in pairwise([*times, facts.now] if times else ()):
        hours = (following - last) / timedelta(hours=1)
        if following - last > limit:
            evidence = f"No call was logged from {last:%Y-%m-%d %H:%M} to {following:%Y-%m-%d %H:%M} UTC "
            evidence += f"({hours:.0f} hours, limit {limits.silent_hours})."
            yield Reading(last, last + limit, True, "no_data", "P2", hours, limits.silent_hours, evidence)
    if times and facts.now - times[-1] <= limit:
        yield Reading(facts.now - limit, facts.now, False, "no_data", "P2", 0, limits.silent_hours, "")


@dataclass(frozen=True)
class Rule:
    """A rule, the causes it can point to and how long its whole periods are: day, week or month.

    One without judges what happens when it does: a document, a bill, a new index, silence.
    """

    find: Callable[[Facts, Limits], Readings]
    causes: tuple[str, ...]
    every: str = ""


RULES: Mapping[str, Rule] = {
    "quality_degraded": Rule(quality_degraded, (*DRIFT_CAUSES, "quality_unexplained"), "week"),
    "query_mix_moved": Rule(query_mix_moved, ("query_mix",), "week"),
    "judge_changed": Rule(judge_changed, ("judge_change",), "week"),
    "scores_missing": Rule(scores_missing, ("scores_missing",), "week"),
    "index_stale": Rule(index_stale, ("index_staleness",), "week"),
    "retrieval_worse": Rule(retrieval_worse, ("retrieval_worse",)),
    "spend_growth": Rule(spend_growth, ("cost_growth",), "week"),
    "spend_anomaly": Rule(spend_anomaly, ("cost_anomaly",), "day"),
    "monthly_budget": Rule(monthly_budget, ("budget",), "month"),
    "daily_budget": Rule(daily_budget, ("budget",), "day"),
    "endpoint_budget": Rule(endpoint_budget, ("budget",), "month"),
    "service_alert": Rule(service_alert, ("errors", "refusals", "latency", "volume"), "day"),
    "guardrail_burst": Rule(guardrail_burst, ("injection_attempts",), "day"),
    "guardrail_off": Rule(guardrail_off, ("guardrail_off",), "week"),
    "attack_gave_way": Rule(attack_gave_way, ("adversarial",), "week"),
    "document_held": Rule(document_held, ("held_document",)),
    "audit_broken": Rule(audit_broken, ("audit_log",), "week"),
    "silence": Rule(silence, ("no_data",)),
    "calls_missing": Rule(calls_missing, ("log_incomplete",), "day"),
    "invoice_differs": Rule(invoice_differs, ("invoice_differs",)),
}


def readings(facts: Facts, limits: Limits) -> list[tuple[str, Reading]]:
    """Return what every rule found, by the rule's name, earliest period first."""
    found = [(name, reading) for name, rule in RULES.items() for reading in rule.find(facts, limits)]
    return sorted(found, key=lambda item: (item[1].start, item[1].end))


def signals(facts: Facts, limits: Limits) -> pl.DataFrame:
    """Return every broken limit of one system's history: rows of `incidents.signals`, earliest first.

    A period that is not over ends now.
    """
    rows = [
        (
            facts.system,
            r.start,
            min(r.end, facts.now),
            name,
            r.subject,
            r.cause,
            r.severity,
            r.value,
            r.limit,
            r.evidence,
        )
        for name, r in readings(facts, limits)
        if r.broken
    ]
    return pl.DataFrame(rows, schema=SIGNALS, orient="row")


def calm_periods(facts: Facts, limits: Limits) -> pl.DataFrame:
    """Return the whole periods with data and no signal: system, signal, subject, start and end."""
    rows = [
        (facts.system, name, r.subject, r.start, r.end)
        for name, r in readings(facts, limits)
        if not r.broken and r.end <= facts.now
    ]
    return pl.DataFrame(rows, schema=CALM, orient="row")
