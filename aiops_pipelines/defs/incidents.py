"""Incidents: broken limits become signals, signals of one cause one incident, and a week becomes a page."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from aiops_pipelines.defs.bodies import Work, labels, plot, table
from aiops_pipelines.defs.cadences import CONTINUOUS, WEEKLY, one_run, weeks
from aiops_pipelines.document import Chart
from aiops_pipelines.incidents import lifecycle, rules
from aiops_pipelines.incidents.announcements import announcements
from aiops_pipelines.incidents.legal_clocks import legal_changes
from aiops_pipelines.incidents.review import weekly_review as review_week
from aiops_pipelines.incidents.review_inputs import ReviewInputs
from aiops_pipelines.incidents.runbooks import (
    Runbook,
    by_cause,
    digests,
    load_runbooks,
    uncovered,
)
from aiops_pipelines.periods import longest_wait
from aiops_pipelines.project import Project
from aiops_pipelines.resources.completion import enter
from aiops_pipelines.resources.diagnosis import diagnose
from aiops_pipelines.resources.fact_tables import facts_of, gathered
from aiops_pipelines.resources.first_file import write_whole
from aiops_pipelines.resources.legal_book import CLOCKS as LEGAL_CLOCKS
from aiops_pipelines.resources.legal_book import EVENTS as LEGAL_EVENTS
from aiops_pipelines.resources.legal_book import legal_clocks_now
from aiops_pipelines.resources.notifier import deliver
from aiops_pipelines.resources.pages import review_page
from aiops_pipelines.resources.remedy_book import REMEDIES
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

REVIEWED = {
    "verdicts": "drift.drift_verdicts",
    "causes": "drift.drift_causes",
    "baselines": "monitoring.baselines",
    "hallucinations": "monitoring.hallucination_rates",
    "spend": "costs.weekly_spend",
    "pricing": "costs.daily_pricing",
    "growth": "costs.spend_growth_since_baseline",
    "month": "costs.month_forecast",
    "anomalies": "costs.spend_anomalies",
    "freshness": "rag.index_freshness",
    "retrieval": "rag.retrieval_quality",
    "rankers": "rag.retrieval_comparisons",
    "changes": "rag.retrieval_changes",
    "slices": "rag.retrieval_slices",
    "incidents": "incidents.incidents",
    "legal_clocks": "incidents.legal_clocks",
    "remedies": "incidents.remedies",
    "remedy_proofs": "incidents.remedy_proofs",
    "blocks": "compliance.guardrail_weekly",
    "guarded": "compliance.guardrail_readings",
    "attacks": "compliance.adversarial_results",
    "traffic": "monitoring.weekly_traffic",
    "masked": "compliance.pii_weekly",
    "verifications": "compliance.audit_verifications",
    "alerts": "monitoring.alerts",
    "percentiles": "monitoring.latency_percentiles",
}

PLOTS = 4
"""Charts of the newest review that the asset's page shows."""


@dg.asset(
    deps=[
        "alert_readings",
        "daily_traffic",
        "drift_verdicts",
        "drift_causes",
        "index_freshness",
        "retrieval_changes",
        "document_findings",
        "spend_growth_since_baseline",
        "spend_anomalies",
        "daily_pricing",
        "source_days",
        "invoice_checks",
        "guardrail_readings",
        "adversarial_results",
    ],
    pool="duckdb",
    **labels("incidents", CONTINUOUS),
)
def signals(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """Every limit that was broken, in which period and by how much. A breach is data, not a failed check."""
    work = Work(context, project, warehouse, "signals")
    for system in work.operated():
        with work.guarding(system.name):
            found = rules.signals(facts_of(warehouse, system, work.clock), system.limits)
            warehouse.replace("incidents.signals", found, system=system.name)
    work.close()
    shown = warehouse.rows("incidents.signals").sort("period_end", descending=True)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": shown.height,
            "latest": table(shown.select("system", "signal", "cause", "severity", "evidence")),
        }
    )


@dg.asset(deps=["signals"], pool="duckdb", **labels("incidents", CONTINUOUS))
def incidents(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """One incident per cause, however many signals point to it: severity, clocks, runbook."""
    work = Work(context, project, warehouse, "incidents")
    called: dict[str, list[dict[str, Any]]] = {}
    runbooks, mistakes = load_runbooks(project.runbooks)
    if not mistakes and (missing := uncovered(runbooks)):
        mistakes.append(missing)
    for system in work.operated():
        with work.guarding(system.name):
            called[system.name] = _update(work, system, runbooks)
            for mistake in mistakes:
                work.problem(system.name, mistake)
    for name, rows in called.items():
        with work.guarding(name):
            if rows:
                answers = diagnose(warehouse, rows, runbooks, work.clock)
                with warehouse.writing() as writer:
                    writer.append("incidents.diagnoses", answers)
    work.close()
    shown = warehouse.rows("incidents.incidents").sort("opened_at", descending=True)
    still = shown.filter(pl.col("status") != "resolved").height
    columns = (
        "system",
        "incident_id",
        "severity",
        "status",
        "title",
        "opened_at",
        "resolve_due_at",
        "runbook",
    )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": shown.height,
            "not resolved": still,
            "incidents": table(shown.select(columns)),
        }
    )


def _update(work: Work, system: System, runbooks: Mapping[str, Runbook]) -> list[dict[str, Any]]:
    """Bring a system's incidents up to date and announce what changed; return those to diagnose."""
    warehouse, now = work.warehouse, system.now(work.clock)
    before = warehouse.rows("incidents.incidents", system=system.name)
    decided = warehouse.rows("incidents.incident_events", system=system.name)
    after = lifecycle.incidents(
        warehouse.rows("incidents.signals", system=system.name),
        decided,
        now,
        _runbook_of_each_cause(work, before, runbooks),
        rules.calm_periods(facts_of(warehouse, system, work.clock), system.limits),
        before,
        system.business_hours.calendar,
        warehouse.rows("incidents.reported_incidents", system=system.name),
    ).with_columns(looked_at=pl.lit(now))
    after = _with_digests(after, before, digests(work.project.runbooks))
    legal = legal_clocks_now(warehouse, system, after, now)
    since = before["looked_at"].max() if before.height else now
    told = warehouse.rows("incidents.announcements", system=system.name)
    news = lifecycle.changes(
        before,
        after,
        since,  # type: ignore[arg-type]
        now,
        lifecycle.EPISODE_GAP + longest_wait(system),
        before.join(told, on="incident_id", how="anti")["incident_id"].to_list(),
    )
    deadlines = legal_changes(warehouse.rows(LEGAL_CLOCKS, system=system.name), legal)
    with (
        warehouse.writing() as writer
    ):  # what is to be announced is kept with the change itself, or neither is
        writer.replace("incidents.incidents", after, system=system.name)
        writer.replace(LEGAL_CLOCKS, legal, system=system.name)
        told_now = pl.concat([news, deadlines], how="diagonal")
        writer.append("incidents.announcements", announcements(told_now, after, system, now))
    for table_name, events in (
        ("incidents.incident_events", decided),
        *((name, warehouse.rows(name, system=system.name)) for name in (LEGAL_EVENTS, REMEDIES)),
    ):
        for number in lifecycle.unmatched_events(after, events)["incident_id"].unique().sort():
            work.problem(
                system.name,
                f"What was decided on {number} ({table_name}) has no incident any more: late data moved its "
                "start. Look for the incident of the same cause in `aiops status` and decide again.",
            )
    for sentence in deliver(warehouse, system, work.project.notifications, now):
        work.problem(system.name, sentence)
    again = news.filter(pl.col("change").str.contains("^(opened|reopened|raised)"))
    unasked = after.filter(pl.col("status") != "resolved", pl.col("runbook").is_in(list(runbooks))).join(
        warehouse.rows("incidents.diagnoses", system=system.name), on="incident_id", how="anti"
    )
    numbers = pl.concat([again["incident_id"], unasked["incident_id"]]).to_list()
    return after.filter(pl.col("incident_id").is_in(numbers)).rows(named=True)


def _runbook_of_each_cause(
    work: Work, before: pl.DataFrame, runbooks: Mapping[str, Runbook]
) -> Mapping[str, str]:
    """Return the runbook of every cause; an incident keeps one whose file is there and cannot be read now."""
    kept = pl.col("runbook").is_in(list(digests(work.project.runbooks)))
    return dict(before.filter(kept).select("cause", "runbook").iter_rows()) | dict(by_cause(runbooks))


def _with_digests(after: pl.DataFrame, before: pl.DataFrame, now: Mapping[str, str]) -> pl.DataFrame:
    """Add the digest that each incident's runbook had when it was first seen with one."""
    first = before.select("incident_id", "runbook_digest")
    present = pl.col("runbook").replace_strict(now, default=None, return_dtype=pl.String)
    joined = after.join(first, on="incident_id", how="left", maintain_order="left")
    return joined.with_columns(runbook_digest=pl.coalesce("runbook_digest", present))


@dg.asset(
    deps=[
        "incidents",
        "remedy_proofs",
        "drift_verdicts",
        "drift_causes",
        "hallucination_rates",
        "weekly_spend",
        "daily_pricing",
        "spend_growth_since_baseline",
        "month_forecast",
        "spend_anomalies",
        "index_freshness",
        "retrieval_quality",
        "retrieval_comparisons",
        "retrieval_changes",
        "retrieval_slices",
        "guardrail_weekly",
        "guardrail_readings",
        "adversarial_results",
        "weekly_traffic",
        "pii_weekly",
        "audit_verifications",
        "alerts",
        "latency_percentiles",
    ],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("incidents", WEEKLY, "html"),
)
def weekly_reviews(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """The week on one page: what happened, what it means, what to do now. The last step of a week's work."""
    work = Work(context, project, warehouse, "weekly review")
    written: list[pl.DataFrame] = []
    charts: dict[str, list[Chart]] = {}
    for system in work.operated():
        with work.guarding(system.name):
            due = work.weeks(system)
            frames = gathered(warehouse, REVIEWED, system.name) if due else {}
            for week in due:
                review = review_week(ReviewInputs(system, week, system.now(work.clock), **frames))
                file = project.reports / system.name / "weekly" / f"{week}.html"
                write_whole(file, review_page(review).encode())
                rows = [(system.name, week, file.relative_to(project.data).as_posix(), review.headline)]
                row = pl.DataFrame(
                    rows, schema=warehouse.tables["incidents.weekly_reviews"].schema, orient="row"
                )
                warehouse.replace("incidents.weekly_reviews", row, system=system.name, week=week)
                written.append(row)
                charts[system.name] = [section.charts[0] for section in review.sections if section.charts]
            if due:
                enter(warehouse, system, WEEKLY, due, work.clock)
    work.close()
    shown = pl.concat(written) if written else warehouse.tables["incidents.weekly_reviews"].empty()
    plots = {f"{name}: {c.title}": plot(c) for name, some in charts.items() for c in some[:PLOTS]}
    pages = {
        f"page {r['system']}": dg.MetadataValue.path(str(project.data / r["html_file"]))
        for r in shown.rows(named=True)
    }
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": shown.height,
            "headlines": table(shown.drop("html_file"), 30),
            **pages,
            **plots,
        }
    )
