"""Invoices of providers: entered by somebody, logged, and held against what the month's calls cost."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.costs.invoices import SCHEMA, invoice_check, with_holds
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.periods import midnight, next_month
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.prices import agreed_names
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

INVOICES, CHECKS = "costs.invoices", "costs.invoice_checks"
SPEND = """
    select provider, coalesce(model_served, model_requested, '') as model, sum(cost_usd) as usd,
        count(*) as calls,
        count(*) filter (where cost_usd is null and coalesce(price_status, '') <> 'no_usage') as unpriced
    from inference_log.inferences left join costs.call_costs using (system, event_id)
    where system = ? and occurred_at >= ? and occurred_at < ?
    group by all
"""


class InvoiceRefused(Mendable, ValueError):
    """An invoice cannot be entered; the message says why and what to do."""


def invoice_checks(warehouse: Warehouse, system: str) -> pl.DataFrame:
    """Return costs.invoice_checks of a system: each invoice against the calls it is about."""
    entered = with_holds(warehouse.rows(INVOICES, system=system).rows(named=True))
    rows = [_checked(warehouse, row) for row in entered]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _checked(warehouse: Warehouse, invoice: Any) -> tuple[Any, ...]:
    start, end = (
        midnight(day).replace(tzinfo=None) for day in (invoice["month"], next_month(invoice["month"]))
    )
    spend = warehouse.read(SPEND, [invoice["system"], start, end]).rows(named=True)
    name = invoice["model"] and invoice["model"].lower()
    about = [
        row for row in spend if name is None or name in agreed_names(row["provider"], row["model"].lower())
    ]
    return invoice_check(invoice, about)


def enter_invoice(
    warehouse: Warehouse,
    book: AuditBook,
    system: System,
    month: date,
    amount: Decimal,
    model: str | None,
    by: str,
    clock: datetime,
) -> dict[str, Any]:
    """Keep what a provider billed, and enter that into the audit log; return its check.

    The log comes first: a decision that is logged and not carried out does no harm.

    Args:
        warehouse: with the system's calls.
        book: the audit logs.
        system: whose calls were billed.
        month: first day of the month.
        amount: USD.
        model: as the log or a contract names it; None for the whole bill.
        by: who enters it.
        clock: UTC.

    Raises:
        InvoiceRefused: nobody enters it, the month is not over, or the amount is none.
    """
    now = system.now(clock)
    if not by.strip():
        raise InvoiceRefused("An invoice is entered by somebody; give their name with --by.")
    if midnight(next_month(month)) > now:
        raise InvoiceRefused(f"{month:%Y-%m} is not over; an invoice of a month that is can be compared.")
    if not amount.is_finite() or not 0 < amount < Decimal(10) ** 12:
        raise InvoiceRefused("The amount is what was billed in USD, above 0, such as 1234.56.")
    told = model.strip() if model and model.strip() else None
    earlier = warehouse.rows(INVOICES, system=system.name)["entered_at"].max()
    at = max(now, earlier + timedelta(microseconds=1)) if isinstance(earlier, datetime) else now
    amount = amount.quantize(Decimal("1e-12"))
    row = {"system": system.name, "month": month, "model": told, "amount_usd": amount}
    row |= {"entered_by": by.strip(), "entered_at": at}
    of = f" for {told}" if told else ""
    summary = f"The provider billed {amount.normalize():f} USD{of} in {month:%Y-%m}."
    details = {"month": str(month), "model": told, "amount_usd": f"{amount.normalize():f}"}
    book.append(
        system.name, [decision_entry(system.name, "invoice_entered", at, by.strip(), summary, details)]
    )
    with warehouse.writing() as writer:
        writer.append(INVOICES, pl.DataFrame([row], schema=warehouse.tables[INVOICES].schema))
    checks = invoice_checks(warehouse, system.name)
    warehouse.replace(CHECKS, checks, system=system.name)
    found = checks.filter(pl.col("entered_at") == at)
    return found.row(0, named=True)
