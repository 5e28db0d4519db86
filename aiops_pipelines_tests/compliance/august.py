"""August 2026 of one made-up system, small enough to count by hand: ten calls, and one on either side of the month."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import polars as pl

from aiops_pipelines.compliance.month_evidence import AUDIT_LOG, INFERENCES, MonthEvidence
from aiops_pipelines_tests.incidents import fourteen_weeks as weeks

MONTH = date(2026, 8, 1)
NOW = datetime(2026, 9, 7, 6, tzinfo=UTC)
NAME = weeks.NAME
NOTE = "aiops.example/support\n9\npQ1q6m6vJmS0b0J2Z6m7yq3o2l1b7pQe4n5v6c7x8Y0=\n\n\u2014 aiops.example/support 9f2d7c10AAAA\n"
START = datetime(2026, 8, 1, tzinfo=UTC)


def day(number: int, hour: int = 9) -> datetime:
    return START + timedelta(days=number - 1, hours=hour)


def _event(category: str, action: str) -> dict[str, str]:
    return {"guardrail": "input", "category": category, "action": action}


@cache
def inferences() -> pl.DataFrame:
    """Ten calls of August 3 to 12, one of 31 July 23:59, one of 1 September 00:00; two lack a prompt version, one a model, one its times."""
    pii = ['{"email": 2}', '{"email": 1, "phone": 1}', "{}", None]
    rows: list[dict[str, Any]] = [
        {
            "event_id": "july",
            "occurred_at": START - timedelta(minutes=1),
            "pii_counts": '{"iban": 9}',
            "model_served": "gpt-july",
        }
    ]
    for number in range(10):
        rows.append({
            "event_id": f"call-{number}",
            "occurred_at": day(3 + number),
            "endpoint": "chat" if number % 2 else "summarise",
            "provider": "anthropic" if number == 9 else "openai",
            "model_served": None if number == 4 else "claude-x" if number == 9 else "gpt-x",
            "prompt_version": None if number in (2, 3) else "v3" if number < 6 else "v4",
            "index_version": "c07be1d9f3aa",
            "latency_ms": None if number == 5 else 900 + number,
            "status": "blocked" if number in (7, 8) else "ok",
            "guardrail_events": {7: [_event("prompt_injection", "block")], 8: [_event("prompt_injection", "blocked"), _event("toxic_language", "flag")]}.get(number, []),
            "pii_counts": pii[number % 4],
            "cost_reported_usd": {0: Decimal(9), 1: Decimal("0.003"), 2: Decimal("0.0025")}.get(number),
        })  # fmt: skip
    rows.append({**rows[1], "event_id": "september", "occurred_at": datetime(2026, 9, 1, tzinfo=UTC)})
    return pl.DataFrame(
        [{name: {"system": NAME, **row}.get(name) for name in INFERENCES} for row in rows], schema=INFERENCES
    )


@cache
def audit_log() -> pl.DataFrame:
    """Nine entries: the July call, August calls 0 to 5, a decision and a conflict; calls 6 to 9 are not in the log."""
    rows: list[dict[str, Any]] = [
        {"kind": "inference", "occurred_at": START - timedelta(minutes=1), "event_id": "july"}
    ]
    rows += [{"kind": "inference", "occurred_at": day(3 + n), "event_id": f"call-{n}"} for n in range(6)]
    rows += [
        {
            "kind": "decision.baseline_approved",
            "occurred_at": day(10),
            "actor": "r.okafor",
            "summary": "Baseline of June approved.",
        }
    ]
    rows += [{"kind": "conflict", "occurred_at": day(11), "summary": "A second version of call-1 arrived."}]
    full = [{"system": NAME, "entry_index": n, **row} for n, row in enumerate(rows)]
    return pl.DataFrame([{name: row.get(name) for name in AUDIT_LOG} for row in full], schema=AUDIT_LOG)


@cache
def checkpoints() -> pl.DataFrame:
    rows = [
        {"system": NAME, "tree_size": size, "root_hash": root, "note": NOTE, "signed_at": day(signed)}
        for size, root, signed in ((4, "older", 7), (9, "pQ1q6m6vJmS0b0J2Z6m7yq3o2l1b7pQe4n5v6c7x8Y0=", 31))
    ]
    return weeks.table("compliance.audit_checkpoints", rows)


@cache
def quarantine() -> pl.DataFrame:
    rows = [
        {
            "system": NAME,
            "source_file": "a.jsonl",
            "source_line": n,
            "reason": reason,
            "quarantined_at": day(4),
        }
        for n, reason in (
            (1, "The line is no JSON."),
            (2, "The line is no JSON."),
            (3, "The time has no zone."),
        )
    ]
    return weeks.table("inference_log.quarantine", rows)


@cache
def changes() -> pl.DataFrame:
    rows = [
        (NAME, day(9), "chat", "prompt_version", "v3", "v4"),
        (NAME, day(12), "chat", "model_served", "gpt-x", "claude-x"),
        (NAME, START - timedelta(days=2), "chat", "prompt_version", "v2", "v3"),
    ]
    schema = {
        "system": pl.String,
        "occurred_at": pl.Datetime("us", "UTC"),
        "endpoint": pl.String,
        "what": pl.String,
        "before": pl.String,
        "after": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


@cache
def source_days() -> pl.DataFrame:
    """Two sources: 3 and 1 calls are missing in August, one came under a number twice; July has gaps of its own."""
    rows = [("a", day(3), 3, 0), ("a", day(31), 0, 1), ("b", day(9), 1, 0), ("c", day(0), 7, 2)]
    return weeks.table(
        "inference_log.source_days",
        [
            {
                "system": NAME,
                "source_id": source,
                "day": at.date(),
                "calls": 9,
                "missing": gone,
                "repeats": twice,
            }
            for source, at, gone, twice in rows
        ],
    )


@cache
def invoices() -> pl.DataFrame:
    """June and July were billed, July for one model as well and at first wrongly; September's bill says nothing of August."""
    rows = [
        (JUNE, None, "90", 0.1),
        (JULY, None, "100", 0.05),
        (JULY, "gpt-x", "1", -0.5),
        (date(2026, 9, 1), None, "7", 0.9),
    ]
    sums = {"computed_usd": Decimal(90), "calls": 9, "unpriced": 0, "entered_by": "ann", "entered_at": NOW}
    wrong = {"system": NAME, "month": JULY, "invoiced_usd": Decimal(9), "difference": 0.9, "holds": False}
    return weeks.table(
        "costs.invoice_checks",
        [
            {
                "system": NAME,
                "month": month,
                "model": model,
                "invoiced_usd": Decimal(usd),
                "difference": share,
                "holds": True,
            }
            | sums
            for month, model, usd, share in rows
        ]
        + [wrong | sums],
    )


@cache
def proposals() -> pl.DataFrame:
    row = {
        "system": NAME,
        "month": MONTH,
        "rank": 1,
        "proposal": "Re-index on every change of the corpus.",
        "evidence": "Two weeks of stale answers.",
    }
    return weeks.table("drift.improvement_proposals", [row])


@cache
def savings() -> pl.DataFrame:
    """A proposal for August, another lever that found nothing, and a proposal for July."""
    kept = {"endpoint": "chat", "model": "gpt-x", "evidence": "", "examples": [], "calls": 9}
    usd = {"saving_usd": Decimal(9), "low_usd": Decimal(7), "high_usd": Decimal(11), "spend_usd": Decimal(40)}
    rows = [
        {"month": MONTH, "rank": 2, "lever": "context pruning", "verdict": "cannot tell", "reason": "Few."},
        {"month": MONTH, "rank": 1, "lever": "prompt caching", "verdict": "propose", "change": "Cache it.", "further_usd": Decimal(8), "loss_high": 0.0, "loss_measure": "the same text", **usd},
        {"month": JULY, "rank": 1, "lever": "unused tools", "verdict": "propose", **usd},
    ]  # fmt: skip
    return weeks.table("costs.savings_proposals", [{"system": NAME, **kept, **row} for row in rows])


@cache
def costs() -> pl.DataFrame:
    """Every call costs a quarter of a cent, but for call-0, which has no known price; call-9 is not priced yet."""
    rows = [
        {"system": NAME, "event_id": event_id, "price_status": "priced", "cost_usd": Decimal("0.0025")}
        for event_id in ("july", *(f"call-{n}" for n in range(1, 9)), "september")
    ]
    rows += [{"system": NAME, "event_id": "call-0", "price_status": "unknown"}]
    return weeks.table("costs.call_costs", rows)


@cache
def user_signals() -> pl.DataFrame:
    """Two calls of August were rated up, one down, and one was asked again; July's was rated down."""
    found = {"july": "rated_down", "call-1": "rated_up", "call-2": "rated_up", "call-3": "rated_down"}
    rows = [{"system": NAME, "event_id": event_id, "signal": signal} for event_id, signal in found.items()]
    return weeks.table(
        "monitoring.user_signals", [*rows, {"system": NAME, "event_id": "call-5", "signal": "rephrased"}]
    )


@cache
def hallucinations() -> pl.DataFrame:
    """August's rate of one judge; an earlier judge has none, a week and July another one."""
    row = {
        "system": NAME,
        "grain": "month",
        "period_start": MONTH,
        "judge": "faithfulness/1/b",
        "answers": 400,
        "with_unsupported": 30,
    }
    rated = row | {"rate": 0.075, "low": 0.05, "high": 0.11}
    rows = [
        rated,
        row | {"judge": "faithfulness/1/a", "answers": 9, "reason": "NOT MEASURED: 9 answers could be judged."},
        rated | {"grain": "week", "period_start": date(2026, 8, 3), "rate": 0.5},
        rated | {"period_start": JULY, "rate": 0.6},
    ]  # fmt: skip
    return weeks.table("monitoring.hallucination_rates", rows)


def no_clocks() -> pl.DataFrame:
    return weeks.table("incidents.legal_clocks", [])


JULY, JUNE = date(2026, 7, 1), date(2026, 6, 1)


@cache
def reports() -> pl.DataFrame:
    """June and July were published on the first of the month after."""
    rows = [
        {"system": NAME, "month": month, "published_at": at}
        for month, at in (
            (JUNE, datetime(2026, 7, 1, 8, tzinfo=UTC)),
            (JULY, datetime(2026, 8, 1, 8, tzinfo=UTC)),
        )
    ]
    return weeks.table("compliance.compliance_reports", rows)


@cache
def amendments() -> pl.DataFrame:
    """June was amended in July, which July's report names, and again in August, which August's report does."""
    rows = [
        {"system": NAME, "month": JUNE, "number": 1, "amended_at": datetime(2026, 7, 9, tzinfo=UTC), "changed": ["record.inferences"], "why": ["One."]},
        {"system": NAME, "month": JUNE, "number": 2, "amended_at": day(9), "changed": ["record.inferences", "privacy.masked"], "why": ["2 calls of the month arrived.", "Prices changed."]},
    ]  # fmt: skip
    return weeks.table("compliance.report_amendments", rows)


@cache
def deletions() -> pl.DataFrame:
    """Texts deleted in July and twice in August; of the last, one call's a day before its term was over."""
    made = [(START - timedelta(days=9), 70, 3, 180), (day(2), 30, 1, 180), (day(5), 5, 2, 181)]
    rows = [
        {
            "system": NAME,
            "deleted_at": at,
            "text_days": 180,
            "calls": n,
            "others": 0,
            "held": held,
            "holds": [],
        }
        | {"newest": at - timedelta(days=age)}
        for at, n, held, age in (*made, (day(6), 1, 2, 179))
    ]
    return weeks.table("compliance.text_deletions", rows)


@cache
def erasures() -> pl.DataFrame:
    """One person erased in July, two in August, in 12 and in 3 days, one of whom is still named; one refused."""
    done = {"status": "erased", "holds": [], "decided_by": "r.okafor", "reason": "Asked"}
    rows = [
        done | {"decided_at": START - timedelta(days=1), "asked_on": date(2026, 5, 1), "scanned_at": NOW, "left_over": 9, "in_sources": 9, "calls": 1, "erasure_id": "ERA-0"},
        done | {"decided_at": day(13), "asked_on": date(2026, 8, 1), "scanned_at": NOW, "left_over": 0, "in_sources": 4, "calls": 5, "erasure_id": "ERA-1"},
        done | {"decided_at": day(14), "asked_on": date(2026, 8, 11), "scanned_at": NOW, "left_over": 2, "in_sources": 0, "calls": 6, "erasure_id": "ERA-2"},
        done | {"decided_at": day(15), "asked_on": date(2026, 8, 1), "status": "refused", "holds": ["HOLD-1"], "calls": 7, "erasure_id": "ERA-3"},
    ]  # fmt: skip
    return weeks.table("compliance.erasures", [{"system": NAME} | row for row in rows])


@cache
def holds() -> pl.DataFrame:
    """One is in force, on one user; one was released."""
    placed = {"system": NAME, "reason": "Lawsuit 4", "placed_by": "r.okafor", "placed_at": day(3)}
    rows = [
        placed | {"hold_id": "HOLD-1", "person": "a keyed hash"},
        placed | {"hold_id": "HOLD-2", "since": day(1), "released_at": day(4), "released_by": "r.okafor"},
    ]
    return weeks.table("compliance.legal_holds", rows)


@cache
def backups() -> pl.DataFrame:
    """Two from before both erasures of August, one of which is destroyed; one from after them."""
    rows = [
        {"system": NAME, "backup_id": f"BAK-{n}", "made_at": at, "destroyed_at": gone}
        for n, (at, gone) in enumerate(((day(2), None), (day(3), day(20)), (day(30), None)))
    ]
    return weeks.table("compliance.backups", rows)


@cache
def drills() -> pl.DataFrame:
    """One that failed, and after it one that passed, a week and 15 hours before the evidence is read."""
    said = {"system": NAME, "drilled_by": "r.okafor", "backup_id": "BAK-2", "backup_made_at": day(30)}
    rows = [
        said
        | {"number": 1, "drilled_at": day(30), "tree_size": 0, "passed": False, "findings": ["x is gone."]},
        said | {"number": 2, "drilled_at": day(30, 15), "tree_size": 9, "passed": True, "findings": []},
    ]
    return weeks.table("compliance.restore_drills", rows)


@cache
def remedies() -> pl.DataFrame:
    """Five of August, one of July and one of September; the fifth of August is not judged yet."""
    recorded = {"R1": day(3), "R2": day(10), "R3": day(17), "R4": day(24), "R5": day(30)}
    recorded |= {"R0": day(1) - timedelta(days=1), "R6": day(31) + timedelta(days=1)}
    said = {
        "system": NAME,
        "incident_id": "INC-a",
        "kind": "prompt",
        "did": "Rolled it back.",
        "actor": "mira",
    }
    rows = [said | {"remedy_id": name, "at": at, "recorded_at": at} for name, at in recorded.items()]
    return weeks.table("incidents.remedies", rows)


@cache
def remedy_proofs() -> pl.DataFrame:
    """A remedy goes by the worst of its limits."""
    verdicts = {"R0": ["held"], "R1": ["held", "held"], "R2": ["held", "not held", "CANNOT TELL"]}
    verdicts |= {"R3": ["better, not back", "held"], "R4": ["CANNOT TELL", "held"], "R6": ["not held"]}
    rows = [
        {
            "system": NAME,
            "incident_id": "INC-a",
            "remedy_id": name,
            "signal": "errors",
            "subject": str(number),
        }
        | {"verdict": verdict, "reason": f"Of {name}.", "periods_after": 1, "also_changed": []}
        for name, each in verdicts.items()
        for number, verdict in enumerate(each)
    ]
    return weeks.table("incidents.remedy_proofs", rows)


TABLES = {
    "inferences": "inference_log.inferences",
    "audit_log": "compliance.audit_log",
    "checkpoints": "compliance.audit_checkpoints",
    "verifications": "compliance.audit_verifications",
    "quarantine": "inference_log.quarantine",
    "verdicts": "drift.drift_verdicts",
    "source_days": "inference_log.source_days",
    "invoices": "costs.invoice_checks",
    "guarded": "compliance.guardrail_readings",
    "attacks": "compliance.adversarial_results",
    "causes": "drift.drift_causes",
    "baselines": "monitoring.baselines",
    "hallucinations": "monitoring.hallucination_rates",
    "proposals": "drift.improvement_proposals",
    "savings": "costs.savings_proposals",
    "incidents": "incidents.incidents",
    "legal_clocks": "incidents.legal_clocks",
    "remedies": "incidents.remedies",
    "remedy_proofs": "incidents.remedy_proofs",
    "changes": "drift.change_events",
    "costs": "costs.call_costs",
    "user_signals": "monitoring.user_signals",
    "deletions": "compliance.text_deletions",
    "erasures": "compliance.erasures",
    "holds": "compliance.legal_holds",
    "backups": "compliance.backups",
    "drills": "compliance.restore_drills",
    "reports": "compliance.compliance_reports",
    "amendments": "compliance.report_amendments",
}


def evidence(**changed: pl.DataFrame) -> MonthEvidence:
    """Return the evidence of August; single frames can be given instead."""
    made = {
        "inferences": inferences, "audit_log": audit_log, "checkpoints": checkpoints, "verifications": weeks.verifications,
        "quarantine": quarantine, "verdicts": weeks.verdicts, "source_days": source_days, "invoices": invoices, "guarded": weeks.guarded, "attacks": weeks.attacks, "causes": weeks.causes, "baselines": weeks.baselines,
        "hallucinations": hallucinations, "proposals": proposals, "savings": savings, "incidents": weeks.incidents,
        "legal_clocks": no_clocks, "remedies": remedies, "remedy_proofs": remedy_proofs, "changes": changes,
        "costs": costs, "user_signals": user_signals, "reports": reports, "amendments": amendments,
        "deletions": deletions, "erasures": erasures, "holds": holds,
        "backups": backups, "drills": drills,
    }  # fmt: skip
    frames = {name: changed[name] if name in changed else make() for name, make in made.items()}
    return MonthEvidence(weeks.SYSTEM, MONTH, NOW, **frames)
