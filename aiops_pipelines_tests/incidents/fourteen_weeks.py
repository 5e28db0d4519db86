"""Fourteen made-up weeks of one system, as weekly frames: the story a review has to tell.

Weeks 1 to 4 are the baseline; the prompt grows from week 5, another model answers in week 9, the index is
stale from 10 to 24 August, week 13 has no verdict and week 7 no call.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from aiops_pipelines.incidents.review_inputs import ReviewInputs
from aiops_pipelines.inference_log.log_settings import Logs
from aiops_pipelines.rag.index_settings import Corpus
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.systems import System

ROOT = Path(__file__).parents[2]
TABLES = declared_tables(ROOT / "dbt_project")
NAME = "support"
SYSTEM = System(
    name=NAME,
    title="Support assistant",
    owner="ml-operations@example.com",
    profile="regulated",
    corpus=Corpus(folder=Path("corpus"), dated=True),
    inference_log=Logs(folder=Path("logs")),
)
FIRST = date(2026, 6, 1)
WEEKS = [FIRST + timedelta(days=7 * number) for number in range(14)]
SILENT, UNJUDGED = WEEKS[6], WEEKS[12]
NOW = datetime(2026, 9, 7, 6, tzinfo=UTC)
JITTER = (0.3, -0.6, 0.9, -0.2, 0.1, -0.9, 0.0, 0.5, -0.4, 0.8, -0.7, 0.2, 0.6, -0.1)
INDEXES = (
    ("a41f09c27d11", 0, 0.842, 0.771),
    ("c07be1d9f3aa", 4, 0.851, 0.774),
    ("19d2f5e06b84", 11, 0.858, 0.769),
)


def table(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return rows as a declared table's frame; columns that are not given are null."""
    schema = TABLES[name].schema
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in rows], schema=schema)


def at(day: date, hour: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def _verdict(number: int, sample: str, metric: str, base: float, half: float) -> dict[str, Any]:
    drop = {8: 0.093, 10: 0.052, 11: 0.046}.get(number, 0.0) * (
        1.0 if metric != "context_recall_id" else 0.4
    ) + 0.008 * JITTER[number]
    sure = 0.8 * half < 0.05
    verdict = "DEGRADED" if drop - half > 0.02 else "OK" if sure and drop < 0.02 else "CANNOT TELL"
    return {
        "system": NAME,
        "week": WEEKS[number],
        "sample": sample,
        "metric": metric,
        "verdict": verdict,
        "baseline_mean": base,
        "week_mean": base * (1 - drop),
        "drop": drop,
        "drop_low": drop - half,
        "drop_high": drop + half,
        "smallest_detectable_drop": half * 1.3,
        "margin": 0.02,
        "n": 150 if sample == "known" else 60,
        "clusters": 150 if sample == "known" else 41,
        "judge": f"{metric}/1/0a1b2c3d",
        "reason": f"{metric.replace('_', ' ')} moved by {-drop:+.1%}; {verdict}.",
    }


@cache
def verdicts() -> pl.DataFrame:
    shapes = (("known", "reference_similarity", 0.781, 0.021), ("known", "context_recall_id", 0.905, 0.018))
    shapes += (
        ("known", "answer_bigram_support", 0.674, 0.026),
        ("production", "answer_bigram_support", 0.662, 0.071),
    )
    judged = [number for number, week in enumerate(WEEKS) if number >= 4 and week not in (SILENT, UNJUDGED)]
    return table("drift.drift_verdicts", [_verdict(number, *shape) for number in judged for shape in shapes])


@cache
def causes() -> pl.DataFrame:
    rows = [
        {
            "week": WEEKS[8],
            "rank": 1,
            "cause": "model_change",
            "strength": 0.92,
            "evidence": "gpt-4o-2024-11-20 answered 397 of 400 calls; in the baseline gpt-4o-2024-08-06 did.",
        },
        {
            "week": WEEKS[8],
            "rank": 2,
            "cause": "prompt_change",
            "strength": 0.31,
            "evidence": "Prompt v3 replaced v2 two weeks before; quality held in between.",
        },
        {
            "week": WEEKS[10],
            "rank": 1,
            "cause": "index_staleness",
            "strength": 0.71,
            "evidence": "8.7 % of answers were given from chunks that are no longer in the corpus.",
        },
        {
            "week": WEEKS[11],
            "rank": 1,
            "cause": "index_staleness",
            "strength": 0.88,
            "evidence": "21.3 % of answers were given from chunks that are no longer in the corpus.",
        },
        {
            "week": WEEKS[11],
            "rank": 2,
            "cause": "prompt_change",
            "strength": 0.22,
            "evidence": "Prompt v5 replaced v4 on 11 August.",
        },
    ]
    return table("drift.drift_causes", [{"system": NAME, **row} for row in rows])


@cache
def baselines() -> pl.DataFrame:
    rows = [
        {
            "system": NAME,
            "sample": "known",
            "metric": "reference_similarity",
            "judge": "reference_similarity/1/0a1b2c3d",
            "first_week": WEEKS[0],
            "last_week": WEEKS[3],
            "mean": 0.781,
            "n": 600,
            "fingerprint": "5c1d0a",
            "frozen_at": at(WEEKS[4]),
            "approved_by": "r.okafor",
        }
    ]
    return table("monitoring.baselines", rows)


def calls_of(number: int) -> int:
    return 0 if WEEKS[number] == SILENT else 550 + round(18 * JITTER[number])


@cache
def spend() -> pl.DataFrame:
    rows = []
    for number, week in enumerate(WEEKS):
        grown = 1 + 0.12 * max(0, number - 3)
        parts = {
            "system_prompt": 0.42 * grown,
            "context": 1.31 * (1 + 0.05 * max(0, number - 4)),
            "history": 0.38,
            "user": 0.07,
            "completion": 0.94,
        }
        for endpoint, share in (("chat", 0.8), ("summarise", 0.2)):
            for part, cost in parts.items():
                usd = cost * share * calls_of(number) / 550 * (1 + 0.03 * JITTER[number])
                rows.append(
                    {
                        "system": NAME,
                        "week": week,
                        "endpoint": endpoint,
                        "part": part,
                        "tokens": round(usd * 400_000),
                        "cost_usd": Decimal(f"{usd:.6f}"),
                    }
                )
    schema = {
        "system": pl.String,
        "week": pl.Date,
        "endpoint": pl.String,
        "part": pl.String,
        "tokens": pl.Int64,
        "cost_usd": pl.Decimal(38, 12),
    }
    return pl.DataFrame(rows, schema=schema)


@cache
def growth() -> pl.DataFrame:
    weekly = spend().group_by("week", "endpoint", "part").agg(pl.col("cost_usd").sum().cast(pl.Float64))
    base = (
        weekly.filter(pl.col("week") <= WEEKS[3])
        .group_by("endpoint", "part")
        .agg(before=pl.col("cost_usd").sum() / 4)
    )
    both = weekly.filter(pl.col("week") > WEEKS[3]).join(base, on=["endpoint", "part"])
    ends = both.group_by("week", "endpoint").agg(
        spend_before_usd=pl.col("before").sum(), spend_after_usd=pl.col("cost_usd").sum()
    )
    split = both.select(
        "week",
        "endpoint",
        cause=pl.format("tokens:{}", "part"),
        change_usd=0.9 * (pl.col("cost_usd") - pl.col("before")),
    )
    mixed = (
        both.group_by("week", "endpoint")
        .agg(change_usd=0.1 * (pl.col("cost_usd") - pl.col("before")).sum())
        .with_columns(cause=pl.lit("model_mix"))
    )
    rows = (
        pl.concat([split, mixed.select(split.columns)])
        .join(ends, on=["week", "endpoint"])
        .with_columns(system=pl.lit(NAME))
    )
    return TABLES["costs.spend_growth_since_baseline"].conform(rows.sort("week", "endpoint", "cause"))


@cache
def freshness() -> pl.DataFrame:
    stale = {10: 0.087, 11: 0.213}
    rows = []
    for number, week in enumerate(WEEKS):
        share = None if week == SILENT else stale.get(number, 0.0)
        answers = round(calls_of(number) * 0.95)
        reason = (
            "No retrieval was logged."
            if share is None
            else f"{share:.1%} of answers came from stale chunks."
            if share
            else "The index is level with the corpus."
        )
        rows.append({
            "system": NAME, "week": week, "verdict": "unknown" if share is None else "stale" if share else "fresh",
            "served_index_version": "c07be1d9f3aa", "lag_days": None if share is None else 7.0 * (number - 9) if share else 0.0,
            "answers": answers, "stale_answers": round(answers * (share or 0)), "stale_share": share,
            "documents_stale": 6 if share else 0, "documents_missing": 2 if share else 0, "documents_orphaned": 1 if share else 0, "reason": reason,
        })  # fmt: skip
    return table("rag.index_freshness", rows)


@cache
def retrieval() -> pl.DataFrame:
    rows = [
        {
            "system": NAME,
            "index_version": version,
            "valid_from": at(WEEKS[number]),
            "ranker": ranker,
            "metric": "ndcg_at_10",
            "mean": mean,
            "low": mean - 0.024,
            "high": mean + 0.022,
            "queries": 150,
            "dead_judgements": number // 4,
        }
        for version, number, dense, bm25 in INDEXES
        for ranker, mean in (("dense", dense), ("bm25", bm25))
    ]
    return table("rag.retrieval_quality", rows)


@cache
def rankers() -> pl.DataFrame:
    rows = [
        {
            "system": NAME,
            "index_version": version,
            "valid_from": at(WEEKS[number]),
            "ranker": "dense",
            "against": "bm25",
            "metric": "ndcg_at_10",
            "difference": dense - bm25,
            "verdict": "better",
            "reason": "The embeddings find more than keyword search (BM25).",
        }
        for version, number, dense, bm25 in INDEXES
    ]
    return table("rag.retrieval_comparisons", rows)


@cache
def changes() -> pl.DataFrame:
    rows = [
        {
            "system": NAME,
            "index_version": version,
            "valid_from": at(WEEKS[number]),
            "ranker": "dense",
            "verdict": "undecided",
            "reason": "The embeddings show no proven difference from the index before.",
        }
        for version, number, _, _ in INDEXES[1:]
    ]
    return table("rag.retrieval_changes", rows)


@cache
def slices() -> pl.DataFrame:
    rows = [
        {"system": NAME, "index_version": version, "valid_from": at(WEEKS[number]), "ranker": "dense"}
        | {"kind": "tag", "slice": "returns", "metric": "ndcg_at_10", "mean": dense, "verdict": "as the rest"}
        for version, number, dense, _ in INDEXES
    ]
    return table("rag.retrieval_slices", rows)


@cache
def incidents() -> pl.DataFrame:
    def row(
        number: int,
        incident: str,
        severity: str,
        title: str,
        hours: tuple[int, int, int],
        took: tuple[int | None, ...],
        runbook: str,
    ) -> dict[str, Any]:
        opened = at(WEEKS[number] + timedelta(days=7))
        names = ("acknowledge", "mitigate", "resolve")
        due = {f"{name}_due_at": opened + timedelta(hours=h) for name, h in zip(names, hours, strict=True)}
        done = {
            f"{name}d_at" if name != "acknowledge" else "acknowledged_at": opened + timedelta(hours=h)
            if h is not None
            else None
            for name, h in zip(names, took, strict=True)
        }
        return {
            "system": NAME,
            "incident_id": incident,
            "cause": "model",
            "severity": severity,
            "title": title,
            "status": "open",
            "opened_at": opened,
            "last_signal_at": opened,
            **due,
            **done,
            "runbook": runbook,
            "signals": 3,
            "evidence": f"{title}: 3 signals.",
            "source": "rule",
            "began_at": opened - timedelta(days=7),
        }

    rows = [
        row(
            8,
            "INC-0001",
            "P2",
            "Answers got worse after the served model changed",
            (10, 34, 106),
            (3, 30, 80),
            "model_change",
        ),
        row(
            10,
            "INC-0002",
            "P2",
            "The index is behind the corpus",
            (10, 34, 106),
            (14, 60, None),
            "stale_index",
        ),
        row(
            11,
            "INC-0003",
            "P3",
            "Weekly spend is far above the baseline",
            (56, 152, 300),
            (None, None, None),
            "cost_creep",
        ),
    ]
    return table("incidents.incidents", rows)


@cache
def blocks() -> pl.DataFrame:
    burst = {9: (31, 4), 10: (12, 3)}
    rows = [
        {
            "system": NAME,
            "week": week,
            "category": category,
            "blocks": blocks,
            "events": blocks + 2,
            "calls": calls_of(number),
        }
        for number, week in enumerate(WEEKS)
        for category, blocks in zip(
            ("prompt_injection", "toxic_language"),
            burst.get(number, (number % 3, (number + 1) % 2)),
            strict=True,
        )
    ]
    schema = {
        "system": pl.String,
        "week": pl.Date,
        "category": pl.String,
        "blocks": pl.Int64,
        "events": pl.Int64,
        "calls": pl.Int64,
    }
    return pl.DataFrame(
        [r | ({"blocks": 0, "events": 0} if r["week"] == SILENT else {}) for r in rows], schema=schema
    )


@cache
def guarded() -> pl.DataFrame:
    """One guardrail that held and then fell in week 13, when it eroded too, and one that acts too seldom."""
    common = {"system": NAME, "guardrail": "input", "category": "prompt_injection", "measure": "stopped"}
    rows = [
        common
        | {"week": WEEKS[number], "verdict": verdict, "weeks": 1, "events": events, "expected": 20.0}
        | {"baseline_weeks": 6, "chance": 0.5, "reason": f"{events} in the week, 20.0 expected."}
        | {"weekly_change": -0.04, "weekly_change_low": -0.07, "weekly_change_high": -0.01}
        | {"trend_chance": 0.2, "eroding": number == 12}
        for number, verdict, events in ((9, "held", 21), (10, "held", 18), (11, "held", 17), (12, "fell", 0))
    ]
    seldom = {"guardrail": "output", "category": "toxic_language", "verdict": "cannot tell", "weeks": 8}
    rows += [common | seldom | {"week": WEEKS[12], "events": 1, "expected": 1.5, "reason": "Too few."}]
    return table("compliance.guardrail_readings", rows)


@cache
def attacks() -> pl.DataFrame:
    """Three attacks asked in weeks 9 to 13: all hold, in week 11 one is not asked, in week 13 one gives way."""
    rows = [
        {"system": NAME, "week": WEEKS[number], "query_id": name, "category": category, "calls": 1}
        | {"calls_gave_way": 0, "event_id": "e", "result": "held"}
        | {
            (10, "a3"): {"result": "not asked", "calls": 0, "event_id": None},
            (12, "a1"): {"result": "gave way"},
        }.get((number, name), {})
        for number in range(8, 13)
        for name, category in (("a1", "LLM01"), ("a2", "LLM01"), ("a3", "LLM07"))
    ]
    return table("compliance.adversarial_results", rows)


@cache
def traffic() -> pl.DataFrame:
    rows = []
    for number, week in enumerate(WEEKS):
        calls = calls_of(number)
        p95 = 3100 + 90 * max(0, number - 4) + 160 * JITTER[number]
        rows.append(
            {
                "system": NAME,
                "week": week,
                "calls": calls,
                "errors": calls // 110,
                "refusals": calls // 60,
                "latency_p50_ms": p95 * 0.38 if calls else None,
                "latency_p95_ms": p95 if calls else None,
            }
        )
    schema = {
        "system": pl.String,
        "week": pl.Date,
        "calls": pl.Int64,
        "errors": pl.Int64,
        "refusals": pl.Int64,
        "latency_p50_ms": pl.Float64,
        "latency_p95_ms": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema)


@cache
def masked() -> pl.DataFrame:
    rows = [
        {
            "system": NAME,
            "week": week,
            "pii_type": kind,
            "masked": number % size + 1,
            "calls": calls_of(number),
        }
        for number, week in enumerate(WEEKS)
        for kind, size in (("email", 7), ("phone", 4), ("iban", 2))
    ]
    return pl.DataFrame(
        rows,
        schema={
            "system": pl.String,
            "week": pl.Date,
            "pii_type": pl.String,
            "masked": pl.Int64,
            "calls": pl.Int64,
        },
    )


@cache
def verifications() -> pl.DataFrame:
    rows = [
        {
            "system": NAME,
            "week": week,
            "intact": True,
            "entries": 550 * (number + 1),
            "findings": [],
            "root_hash": "pQ1q6m6vJmS0b0J2Z6m7yq3o2l1b7pQe4n5v6c7x8Y0=",
            "verified_at": datetime(week.year, week.month, week.day, 6, tzinfo=UTC) + timedelta(days=7),
        }
        for number, week in enumerate(WEEKS)
    ]
    return table("compliance.audit_verifications", rows)


def inputs(week: date, **changed: pl.DataFrame) -> ReviewInputs:
    """Return everything a review of a week is made from; single frames can be given instead."""
    frames = {
        "verdicts": verdicts,
        "causes": causes,
        "baselines": baselines,
        "spend": spend,
        "growth": growth,
        "freshness": freshness,
        "retrieval": retrieval,
        "rankers": rankers,
        "changes": changes,
        "slices": slices,
        "incidents": incidents,
        "blocks": blocks,
        "guarded": guarded,
        "attacks": attacks,
        "traffic": traffic,
        "masked": masked,
        "verifications": verifications,
    }
    return ReviewInputs(
        SYSTEM,
        week,
        NOW,
        **{name: changed[name] if name in changed else make() for name, make in frames.items()},
    )
