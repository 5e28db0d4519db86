"""Invoices against computed spend: by hand, corrected, by model, and what cannot be entered."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aiops_pipelines.costs.invoices import invoice_check, invoice_sentence, with_holds
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.invoices import InvoiceRefused, enter_invoice
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.test_completion import call, insert, system

pytestmark = pytest.mark.usefixtures("kept_open")

JUNE, JULY_3 = date(2026, 6, 1), datetime(2026, 7, 3, tzinfo=UTC)


class Log:
    """An audit log that keeps what it is given."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def append(self, of: str, entries: list[dict[str, Any]]) -> None:
        self.entries += entries


def bill(amount: str = "100", model: str | None = None, day: int = 3) -> dict[str, Any]:
    at = datetime(2026, 7, day, tzinfo=UTC)
    base = {"system": "shop", "month": JUNE, "entered_by": "ann", "entered_at": at}
    return base | {"model": model, "amount_usd": Decimal(amount), "holds": True}


def test_the_difference_is_a_share_of_the_bill_by_hand() -> None:
    spend = [{"usd": Decimal(60), "calls": 6, "unpriced": 0}, {"usd": None, "calls": 3, "unpriced": 3}]
    assert invoice_check(bill(), spend)[3:8] == (Decimal(100), Decimal(60), 0.4, 9, 3)
    assert invoice_check(bill("50"), spend)[5] == pytest.approx(-0.2)
    assert invoice_check(bill(), [])[5:8] == (1.0, 0, 0)


def test_the_last_entry_of_a_month_and_model_holds() -> None:
    rows = [bill("100", day=9), bill("90", day=3), bill("5", "gpt-4o", day=4)]
    found = [(row["model"], row["amount_usd"], row["holds"]) for row in with_holds(rows)]
    assert found == [(None, 90, False), ("gpt-4o", 5, True), (None, 100, True)]


@pytest.fixture
def shop(warehouse: Warehouse) -> Warehouse:
    """June: 4 USD of a model by a dated name and an embedding of 1 USD; a call without a price; July: 50 USD."""
    models = {
        "e1": "gpt-4o-2024-08-06",
        "e2": "gpt-4o-2024-08-06",
        "e3": "text-embedding-3-small",
        "e4": "new",
    }
    calls = [
        call(name, 6, 30) | {"model_served": model, "provider": "openai"} for name, model in models.items()
    ]
    calls[2] |= {"operation": "embeddings"}
    insert(warehouse, "inference_log.inferences", *calls, call("e5", 7, 1), call("e6", 6, 9, system="other"))
    usd = {"e1": 1, "e2": 3, "e3": 1, "e5": 50}
    costs = [
        {"system": "shop", "event_id": name, "cost_usd": Decimal(n), "price_status": "priced"}
        for name, n in usd.items()
    ]
    costs += [{"system": "shop", "event_id": "e4", "price_status": "unknown"}]
    insert(
        warehouse,
        "costs.call_costs",
        *costs,
        {"system": "other", "event_id": "e6", "cost_usd": Decimal(9), "price_status": "priced"},
    )
    return warehouse


def enter(
    shop: Warehouse, amount: str, model: str | None = None, log: Any = None, **changed: Any
) -> dict[str, Any]:
    book: AuditBook = log or Log()
    said = {"month": JUNE, "by": "Ann", "clock": JULY_3} | changed
    return enter_invoice(
        shop, book, system(), said["month"], Decimal(amount), model, said["by"], said["clock"]
    )


def test_a_bill_is_held_against_all_calls_of_its_month_or_those_of_its_model(shop: Warehouse) -> None:
    log = Log()
    found = enter(shop, "6.25", log=log)
    assert (found["computed_usd"], found["difference"], found["calls"], found["unpriced"]) == (5, 0.2, 4, 1)
    assert invoice_sentence(found).endswith("(+20.0\u00a0% of the bill); 1 call without a price.")
    (entry,) = log.entries
    assert (entry["kind"], entry["actor"]) == ("decision.invoice_entered", "Ann")
    assert entry["summary"] == "The provider billed 6.25 USD in 2026-06."
    of_model = enter(shop, "4", "gpt-4o")
    assert (of_model["computed_usd"], of_model["difference"], of_model["calls"]) == (4, 0.0, 2)
    corrected = enter(shop, "5")  # at the same moment as the first
    assert corrected["difference"] == 0
    assert shop.rows("costs.invoices").height == 3
    assert shop.rows("costs.invoice_checks").sort("entered_at")["holds"].to_list() == [False, True, True]


@pytest.mark.parametrize(
    ("amount", "changed", "said"),
    [
        ("1", {"by": " "}, "--by"),
        ("0", {}, "above 0"),
        ("-3", {}, "above 0"),
        ("NaN", {}, "above 0"),
        ("Infinity", {}, "above 0"),
        ("1", {"month": date(2026, 7, 1)}, "2026-07 is not over"),
        ("1", {"clock": datetime(2026, 7, 1, tzinfo=UTC) - timedelta(seconds=1)}, "2026-06 is not over"),
    ],
)
def test_what_cannot_be_entered_says_why_and_leaves_nothing(
    shop: Warehouse, amount: str, changed: dict[str, Any], said: str
) -> None:
    log = Log()
    with pytest.raises(InvoiceRefused, match=said):
        enter(shop, amount, log=log, **changed)
    assert log.entries == [] and shop.rows("costs.invoices").is_empty()
