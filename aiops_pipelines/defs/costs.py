"""Costs: what each call cost at the price of its date, and an exact split of why spend grew."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from aiops_pipelines.costs.cells import spend_cells
from aiops_pipelines.costs.growth import spend_growth as growth_of_week
from aiops_pipelines.costs.growth import spend_growth_since_baseline as growth_since_baseline
from aiops_pipelines.costs.prices import call_costs as price_calls
from aiops_pipelines.defs.bodies import Work, labels, spec, table
from aiops_pipelines.defs.cadences import CONTINUOUS, WEEKLY, one_run, systems, weeks
from aiops_pipelines.project import Project
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines.resources.spend_tables import calls_and_costs
from aiops_pipelines.resources.warehouse import Warehouse

UNPRICED_CALLS = """
    select inferences.* from inference_log.inferences
    left join costs.call_costs using (system, event_id)
    where system = ? and (call_costs.event_id is null or call_costs.price_status = 'unknown')
"""
"""New calls, and those a newer price book may know."""


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
            for model, calls_of_model in _without_price(warehouse, system.name).iter_rows():
                work.problem(
                    system.name,
                    f"{calls_of_model} calls of the model {model} have no known price and count as unknown; "
                    "add a contract price to the system's file.",
                )
    work.close()
    shown = pl.concat(priced) if priced else warehouse.tables["costs.call_costs"].empty()
    counts = shown.group_by("system", "price_status").agg(pl.len().alias("calls"), pl.col("cost_usd").sum())
    return dg.MaterializeResult(
        metadata={"dagster/row_count": shown.height, "priced now": table(counts.sort("system"))}
    )


def _without_price(warehouse: Warehouse, system: str) -> pl.DataFrame:
    return warehouse.read(
        "select coalesce(model_served, model_requested) as model, count(*) as calls from costs.call_costs "
        "join inference_log.inferences using (system, event_id) "
        "where system = ? and price_status = 'unknown' group by all order by all",
        [system],
    )


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
            cells = spend_cells(*calls_and_costs(warehouse, system.name))
            first = sorted(cells["period"].unique())[: system.baseline.weeks]
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
