"""The calls of a system and what they cost, as the splits, the outlook and the price commands read them."""

from collections.abc import Collection
from datetime import date, timedelta

import polars as pl

from aiops_pipelines.costs.cells import NEEDED, spend_cells
from aiops_pipelines.costs.compared import Compared, Period, SpendError, compared, without_cost
from aiops_pipelines.costs.prices import APART, call_costs
from aiops_pipelines.costs.repriced import at_prices_of, repriced
from aiops_pipelines.costs.savings import SPENT, Saved, saved
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

BEGINNING, END = date(1, 1, 1), date(9999, 12, 30)
PLAIN = (*NEEDED, *APART, "provider", "tokens_total", "token_convention")
COLUMNS = ", ".join(f"i.{name}" for name in PLAIN if name != "endpoint")
COLUMNS += ", coalesce(i.endpoint, t.endpoint) as endpoint"
"""What cells and prices are made from; the texts of calls stay where they are."""
CALLS = "inference_log.inferences i left join inference_log.traces t using (system, trace_id)"
"""What is known of calls: a trace may tell what its calls leave open."""


def calls_and_costs(
    warehouse: Warehouse,
    system: str,
    first: date = BEGINNING,
    last: date = END,
    days: Collection[date] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the calls from one day to another, both included, or of some days, and their costs."""
    of_period = "i.system = ? and i.occurred_at >= ? and i.occurred_at < ?"
    keys: list[object] = [system, first, min(last, END) + timedelta(days=1)]
    if days is not None:
        of_period += " and i.occurred_at::date in (select unnest(?::date[]))"
        keys.append(list(days))
    calls = warehouse.read(f"select {COLUMNS} from {CALLS} where {of_period}", keys)
    costs = warehouse.read(
        "select c.* from costs.call_costs c join inference_log.inferences i using (system, event_id) "
        f"where {of_period}",
        keys,
    )
    return calls, costs


def compared_periods(warehouse: Warehouse, system: str, before: Period, after: Period) -> Compared:
    """Split the change in a system's spend between two periods.

    Raises:
        SpendError: a period cannot be compared.
    """
    of_before, of_after = (calls_and_costs(warehouse, system, *period) for period in (before, after))
    cells = spend_cells(*of_before, every="1d"), spend_cells(*of_after, every="1d")
    left_out = without_cost(*of_before), without_cost(*of_after)
    return compared(system, before, after, cells, left_out)


def repriced_period(warehouse: Warehouse, system: System, as_of: date, period: Period) -> pl.DataFrame:
    """Return what a period's calls would have cost at the prices of a date, by model; nothing is stored.

    Raises:
        SpendError: the period has no call.
    """
    calls, costs = calls_and_costs(warehouse, system.name, *period)
    then = call_costs(at_prices_of(calls, as_of), PriceBook(system.prices).price_of)
    return repriced(system.name, calls, costs, then)


def saved_period(warehouse: Warehouse, system: System, before: Period, after: Period) -> Saved:
    """Say what the answers of a period saved against how those of an earlier one were made.

    The calls of both are at the prices of the later period's last day; probes are in neither.

    Raises:
        SpendError: the periods cannot be compared.
    """
    then, now = (_production(warehouse, system, period, min(after[1], END)) for period in (before, after))
    verdicts = warehouse.rows("drift.drift_verdicts", system=system.name)
    return saved(system.name, before, after, (then, now), verdicts)


def _production(warehouse: Warehouse, system: System, period: Period, as_of: date) -> pl.DataFrame:
    """Return the calls of users in a period with SPENT, their cost that of another day."""
    calls = warehouse.read(
        f"select {COLUMNS}, i.trace_id, i.status, coalesce(i.session_id, t.session_id) as session_id, "
        f"coalesce(i.user_id, t.user_id) as user_id from {CALLS} where i.known_query_id is null "
        "and i.system = ? and i.occurred_at >= ? and i.occurred_at < ?",
        [system.name, period[0], min(period[1], END) + timedelta(days=1)],
    )
    then = call_costs(at_prices_of(calls, as_of), PriceBook(system.prices).price_of)
    costs = then.select("event_id", "cost_usd")
    return calls.join(costs, on="event_id", how="left").select(SPENT.names()).cast(SPENT)


def hours_with_calls(warehouse: Warehouse, system: str) -> pl.DataFrame:
    """Return hour, calls and cost_usd of the hours with calls; null where no call has a price."""
    return warehouse.read(
        "select hour, sum(calls)::bigint as calls, sum(cost_usd) as cost_usd from costs.hourly_usage "
        "where system = ? group by hour order by hour",
        [system],
    )


def calls_without_price(warehouse: Warehouse, system: str) -> pl.DataFrame:
    """Return provider, model, tier, calls, tokens, first and last time of the calls without a price."""
    return warehouse.read(
        "select provider, coalesce(model_served, model_requested) as model, service_tier, count(*) as calls, "
        "sum(coalesce(input_uncached, 0) + coalesce(cache_read, 0) + coalesce(cache_write, 0) "
        "+ coalesce(output_visible, 0) + coalesce(reasoning, 0))::bigint as tokens, "
        "min(occurred_at) as first_at, max(occurred_at) as last_at "
        "from costs.call_costs join inference_log.inferences using (system, event_id) "
        "where system = ? and price_status = 'unknown' group by all order by calls desc, model",
        [system],
    )


def savings_proposals_of(warehouse: Warehouse, system: str, month: date | None = None) -> pl.DataFrame:
    """Return costs.savings_proposals of a month, the latest if none is named, by rank.

    Raises:
        SpendError: that month was not looked at.
    """
    table = "costs.savings_proposals"
    found = warehouse.rows(table, system=system) if warehouse.built(table) else pl.DataFrame()
    if found.height:
        found = found.filter(pl.col("month") == (month or found["month"].max())).sort("rank")
    if found.is_empty():
        when = month.strftime("%Y-%m") if month else "any month"
        raise SpendError(
            f"No savings were looked for in {when} of {system}. The monthly work, aiops run, does it once a "
            "month is over."
        )
    return found
