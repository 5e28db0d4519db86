"""Costs: what each call cost at the price of its date, and an exact split of why spend grew."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.costs.anomalies import hourly_series, judged_days, known_days, usual_days, with_causes
from aiops_pipelines.costs.cells import spend_cells
from aiops_pipelines.costs.counterfactual import Pricing
from aiops_pipelines.costs.forecast import month_forecast
from aiops_pipelines.costs.growth import first_weeks
from aiops_pipelines.costs.growth import spend_growth as growth_of_week
from aiops_pipelines.costs.growth import spend_growth_since_baseline as growth_since_baseline
from aiops_pipelines.costs.lever import PROPOSED
from aiops_pipelines.costs.levers import LEVERS
from aiops_pipelines.costs.opportunities import savings_proposals as proposals_of_month
from aiops_pipelines.costs.price_edits import edits, entries, sentence
from aiops_pipelines.costs.prices import call_costs as price_calls
from aiops_pipelines.costs.prices import missing_price
from aiops_pipelines.defs.bodies import Work, labels, spec, table
from aiops_pipelines.defs.cadences import (
    CONTINUOUS,
    MONTHLY,
    WEEKLY,
    months,
    one_run,
    systems,
    weeks,
    weeks_of_month,
)
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.invoices import CHECKS
from aiops_pipelines.resources.invoices import invoice_checks as checks_of
from aiops_pipelines.resources.month_calls import month_groups
from aiops_pipelines.resources.prices import PriceBook, book_version
from aiops_pipelines.resources.spend_tables import calls_and_costs, calls_without_price, hours_with_calls
from aiops_pipelines.resources.warehouse import Warehouse

UNPRICED_CALLS = """
    select inferences.* exclude (query, answer, retrieved, guardrail_events, usage_raw)
    from inference_log.inferences
    left join costs.call_costs using (system, event_id)
    where system = ? and (call_costs.event_id is null or call_costs.price_status = 'unknown')
"""
"""New calls, and those a newer price book may know, without what nothing is priced by: most of a call."""


@dg.asset(
    deps=["inferences"],
    partitions_def=systems,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("costs", CONTINUOUS),
)
def call_costs(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """What each call cost at the price of its date. An unknown price is unknown, never 0."""
    work = Work(context, project, warehouse, "costs")
    priced: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            calls = warehouse.read(UNPRICED_CALLS, [system.name])
            if calls.height:
                costs = price_calls(calls, PriceBook(system.prices).price_of)
                with warehouse.writing() as writer:
                    writer.delete_matching("costs.call_costs", costs, ["system", "event_id"])
                    writer.append("costs.call_costs", costs)
                priced.append(costs)
            for row in calls_without_price(warehouse, system.name).iter_rows(named=True):
                said = missing_price(row["model"], row["service_tier"], row["calls"])
                work.problem(system.name, said)
    work.close()
    shown = pl.concat(priced) if priced else warehouse.tables["costs.call_costs"].empty()
    counts = shown.group_by("system", "price_status").agg(pl.len().alias("calls"), pl.col("cost_usd").sum())
    return dg.MaterializeResult(
        metadata={"dagster/row_count": shown.height, "priced now": table(counts.sort("system"))}
    )


@dg.asset(partitions_def=systems, backfill_policy=one_run, pool="duckdb", **labels("costs", CONTINUOUS))
def price_edits(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    audit_book: dg.ResourceParam[AuditBook],
) -> dg.MaterializeResult:
    """Every change of a price: who entered it, when a run noticed it and what it said before."""
    work = Work(context, project, warehouse, "price book")
    noticed: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            known = warehouse.rows("costs.price_edits", system=system.name)
            new = edits(system, entries(system, book_version()), known, work.clock)
            decided = [
                decision_entry(
                    system.name, "price_edited", work.clock, row["entered_by"] or "aiops", sentence(row), {}
                )
                for row in new.iter_rows(named=True)
            ]
            audit_book.append(system.name, decided)
            with warehouse.writing() as writer:
                writer.append("costs.price_edits", new)
            noticed.append(new)
    work.close()
    shown = pl.concat(noticed) if noticed else warehouse.tables["costs.price_edits"].empty()
    return dg.MaterializeResult(metadata={"dagster/row_count": shown.height, "noticed now": table(shown)})


@dg.multi_asset(
    specs=[
        spec(
            "spend_anomalies",
            "Days whose hours cost more than is usual for their time of the week, and what made them dear.",
            ["inferences", "call_costs", "hourly_usage"],
            labels("costs", CONTINUOUS),
        ),
        spec(
            "month_forecast",
            "What the current month will have cost, with an interval.",
            ["hourly_usage"],
            labels("costs", CONTINUOUS),
        ),
    ],
    partitions_def=systems,
    backfill_policy=one_run,
    pool="duckdb",
)
def outlook(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.MaterializeResult]:
    """Look at spend hour by hour: what was unusual so far, and where the month is going."""
    work = Work(context, project, warehouse, "spend outlook")
    found: dict[str, list[pl.DataFrame]] = {"spend_anomalies": [], "month_forecast": []}
    for system in work.operated():
        with work.guarding(system.name):
            now = system.now(work.clock)
            hours = hours_with_calls(warehouse, system.name)
            series = hourly_series(hours, system.limits.silent_hours, now)
            days = judged_days(system.name, series)
            wanted = [d for day in days.filter(pl.col("unusual") > 0)["day"] for d in (day, *usual_days(day))]
            cells = spend_cells(*calls_and_costs(warehouse, system.name, days=wanted), every="1d")
            found["spend_anomalies"].append(with_causes(days, cells))
            found["month_forecast"].append(month_forecast(system.name, known_days(series), now))
            for name, frames in found.items():
                warehouse.replace(f"costs.{name}", frames[-1], system=system.name)
    work.close()
    for name, frames in found.items():
        shown = pl.concat(frames) if frames else warehouse.tables[f"costs.{name}"].empty()
        standing_out = shown.filter(pl.col("unusual") > 0) if name == "spend_anomalies" else shown
        yield dg.MaterializeResult(
            asset_key=name, metadata={"dagster/row_count": shown.height, "found": table(standing_out)}
        )


@dg.asset(
    deps=["inferences", "call_costs"],
    partitions_def=systems,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("costs", CONTINUOUS),
)
def invoice_checks(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """What providers billed, as somebody entered it, against what the logged calls cost."""
    work = Work(context, project, warehouse, "invoices")
    for system in work.operated():
        with work.guarding(system.name):
            warehouse.replace(CHECKS, checks_of(warehouse, system.name), system=system.name)
    work.close()
    shown = warehouse.rows(CHECKS).sort("month", descending=True)
    return dg.MaterializeResult(metadata={"dagster/row_count": shown.height, "invoices": table(shown)})


@dg.multi_asset(
    specs=[
        spec(
            "spend_growth",
            "Why spend changed against the week before, split so that the causes add up exactly.",
            ["inferences", "call_costs"],
            labels("costs", WEEKLY),
        ),
        spec(
            "spend_growth_since_baseline",
            "The same split against the mean baseline week, which shows a creep that no single week does.",
            ["inferences", "call_costs", "baselines"],
            labels("costs", WEEKLY),
        ),
    ],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
)
def growth(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.MaterializeResult]:
    """Split each week's change in spend into its causes (LMDI-I)."""
    work = Work(context, project, warehouse, "spend growth")
    latest: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            due = work.weeks(system)
            if not due:
                continue
            calls, costs = calls_and_costs(warehouse, system.name)
            cells = spend_cells(calls, costs)
            begins = calls.select(pl.col("occurred_at").min().dt.date()).item()
            first = first_weeks(cells, begins, system.baseline.weeks)
            weekly = [growth_of_week(cells, week) for week in due]
            creep = [growth_since_baseline(cells, week, first) for week in due]
            with warehouse.writing() as writer:
                writer.replace("costs.spend_growth", pl.concat(weekly), system=system.name, week=due)
                writer.replace(
                    "costs.spend_growth_since_baseline", pl.concat(creep), system=system.name, week=due
                )
            latest.append(creep[-1])
    work.close()
    shown = pl.concat(latest) if latest else warehouse.tables["costs.spend_growth_since_baseline"].empty()
    causes = (
        shown.group_by("system", "week", "cause")
        .agg(pl.col("change_usd").sum())
        .sort("system", "change_usd", descending=[False, True])
    )
    for name in ("spend_growth", "spend_growth_since_baseline"):
        yield dg.MaterializeResult(
            asset_key=name, metadata={"dagster/row_count": shown.height, "latest week": table(causes)}
        )


@dg.asset(
    deps=[
        "inferences",
        "traces",
        "call_costs",
        "chunks",
        dg.AssetDep("quality_scores", partition_mapping=weeks_of_month),
    ],
    partitions_def=months,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("costs", MONTHLY),
)
def savings_proposals(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """What each lever would have saved on the month's calls, with interval and bound on what answers lose."""
    work = Work(context, project, warehouse, "savings")
    made: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            pricing = Pricing(PriceBook(system.prices).price_of)
            for month in work.months(system):
                groups = month_groups(warehouse, system, month)
                found = proposals_of_month(system.name, month, groups, LEVERS, pricing)
                warehouse.replace("costs.savings_proposals", found, system=system.name, month=month)
                made.append(found)
    work.close()
    shown = pl.concat(made) if made else warehouse.tables["costs.savings_proposals"].empty()
    proposed = shown.filter(pl.col("verdict") == PROPOSED)
    return dg.MaterializeResult(
        metadata={"dagster/row_count": shown.height, "proposed": table(proposed.drop("query"))}
    )
