"""The calls of a system and what they cost, as the splits and the price commands read them."""

from datetime import date, timedelta

import polars as pl

from aiops_pipelines.costs.cells import NEEDED, spend_cells
from aiops_pipelines.costs.compared import Compared, Period, compared
from aiops_pipelines.resources.warehouse import Warehouse

BEGINNING, END = date(1, 1, 1), date(9999, 12, 30)
PRICED = "provider, token_convention"
"""What pricing needs of a call beside the columns of a cell."""


def calls_and_costs(
    warehouse: Warehouse, system: str, first: date = BEGINNING, last: date = END
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the calls from one day to another, both included, without their texts, and their costs."""
    columns = ", ".join(f"i.{name}" for name in NEEDED)
    of_period = "i.system = ? and i.occurred_at >= ? and i.occurred_at < ?"
    keys = [system, first, last + timedelta(days=1)]
    calls = warehouse.read(
        f"select {columns}, {PRICED} from inference_log.inferences i where {of_period}", keys
    )
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
    unpriced = tuple(calls.height - costs["cost_usd"].count() for calls, costs in (of_before, of_after))
    return compared(system, before, after, cells, (unpriced[0], unpriced[1]))
