"""What the provider billed for a month, held against what the logged calls cost at our prices.

A bill above that is calls that never reached the log, or prices that are too low; one below is prices that
are too high, a discount nobody entered, or calls that somebody else pays.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import polars as pl

from aiops_pipelines.wording import inert, month, percent, some, usd

SCHEMA = pl.Schema(
    {
        "system": pl.String(),
        "month": pl.Date(),
        "model": pl.String(),
        "invoiced_usd": pl.Decimal(38, 12),
        "computed_usd": pl.Decimal(38, 12),
        "difference": pl.Float64(),
        "calls": pl.Int64(),
        "unpriced": pl.Int64(),
        "entered_by": pl.String(),
        "entered_at": pl.Datetime("us", "UTC"),
        "holds": pl.Boolean(),
    }
)
Row = Mapping[str, Any]


def with_holds(invoices: Iterable[Row]) -> list[Row]:
    """Return the entries in order, each with whether it holds: the last of its month and model does.

    An entry for no model is the whole bill. One that was corrected stays, for it was a signal once.
    """
    entries = sorted(invoices, key=lambda row: row["entered_at"])
    newest = {(row["month"], row["model"]): row["entered_at"] for row in entries}
    return [{**row, "holds": row["entered_at"] == newest[row["month"], row["model"]]} for row in entries]


def invoice_check(invoice: Row, spend: Iterable[Row]) -> tuple[Any, ...]:
    """Return the row of costs.invoice_checks: the share of the bill that logged calls do not explain.

    Worked example: 100 USD billed and 95 USD computed are +5 %; 110 USD computed are -10 %.

    Args:
        invoice: a row of costs.invoices with `holds`; its amount is above 0.
        spend: usd, calls and unpriced of the month by model, of the models that the invoice is about.
    """
    rows = list(spend)
    computed = sum((row["usd"] for row in rows if row["usd"] is not None), Decimal(0))
    billed: Decimal = invoice["amount_usd"]
    calls, unpriced = sum(row["calls"] for row in rows), sum(row["unpriced"] for row in rows)
    about = (invoice["system"], invoice["month"], invoice["model"], billed, computed)
    entered = (invoice["entered_by"], invoice["entered_at"], invoice["holds"])
    return (*about, float((billed - computed) / billed), calls, unpriced, *entered)


def invoice_sentence(row: Row) -> str:
    """Say a row of costs.invoice_checks."""
    of = f" for {inert(row['model'])}" if row["model"] else ""
    said = (
        f"{month(row['month'])}{of}: {usd(row['invoiced_usd'])} billed, {usd(row['computed_usd'])} computed"
    )
    said += f" from {some(row['calls'], 'call')} ({percent(row['difference'], signed=True)} of the bill)"
    return f"{said}; {some(row['unpriced'], 'call')} without a price." if row["unpriced"] else f"{said}."
