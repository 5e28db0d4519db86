"""Commands for the price book: prices missing, prices reprice and prices show."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.commands.costs import period
from aiops_pipelines.project import Project

prices = typer.Typer(no_args_is_help=True, help="Look up prices; list what has none; price a period anew.")
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
Day = Annotated[
    datetime | None,
    typer.Option("--at", formats=["%Y-%m-%d"], metavar="DATE", help="Day of the price; today without it."),
]
AsOf = Annotated[
    datetime,
    typer.Option("--as-of", formats=["%Y-%m-%d"], metavar="DATE", help="Day whose prices are taken."),
]
Over = Annotated[
    str | None, typer.Option("--over", metavar="A..B", help="Calls of these days only; all without it.")
]
Provider = Annotated[
    str | None, typer.Option(metavar="NAME", help="Who serves the model; read off its name without it.")
]
Tier = Annotated[
    str | None, typer.Option(metavar="NAME", help="Service tier, such as batch; the standard one without it.")
]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")]


@prices.command("missing")
def missing(name: given.AnySystem = None, as_json: Json = False) -> None:
    """List the models whose calls have no known price; their cost is unknown, never 0."""
    from aiops_pipelines.document import plain_data
    from aiops_pipelines.resources.published import published
    from aiops_pipelines.resources.spend_tables import calls_without_price
    from aiops_pipelines.wording import count, day, inert, some

    books, systems = published(Project.here()), given.systems(name)
    found = {system.name: calls_without_price(books, system.name) for system in systems}
    if as_json:
        return terminal.data(plain_data({name: rows.to_dicts() for name, rows in found.items()}))
    for system, rows in found.items():
        if rows.is_empty():
            terminal.block(system, [("good", "", "Every call with usage has a price.")])
            continue
        lost = f"{some(sum(rows['calls']), 'call')} without a price; add one below `prices` in {system}.yaml."
        terminal.block(system, [("warn", "", lost)])
        terminal.table(
            ("provider", "model", "tier", "calls", "tokens", "first", "last"),
            (
                (
                    *(inert(r[name] or "not logged") for name in ("provider", "model")),
                    inert(r["service_tier"] or "standard"),
                    *(count(r[name]) for name in ("calls", "tokens")),
                    *(day(r[name]) for name in ("first_at", "last_at")),
                )
                for r in rows.iter_rows(named=True)
            ),
        )


@prices.command("reprice")
def reprice(name: given.OneSystem, as_of: AsOf, over: Over = None, as_json: Json = False) -> None:
    """Show what calls would have cost at the prices of a date; what is stored stays."""
    from aiops_pipelines.costs.repriced import SUMS, together
    from aiops_pipelines.document import plain_data
    from aiops_pipelines.resources.published import published
    from aiops_pipelines.resources.spend_tables import BEGINNING, END, repriced_period
    from aiops_pipelines.wording import count, day, inert, usd

    (system,), span = given.systems(name), period(over) if over else (BEGINNING, END)
    found = repriced_period(published(Project.here()), system, as_of.date(), span)
    totals = together(found)
    if as_json:
        head = {"system": name, "as_of": as_of.date(), "over": list(span) if over else None}
        return terminal.data(plain_data(head | totals | {"models": found.to_dicts()}))
    terminal.block(name, [], f"at the prices of {day(as_of)}")
    rows = [*found.iter_rows(named=True), {"model": "together"} | totals]
    terminal.table(
        ("model", "calls", "without a price", "cost", "at that date", "change"),
        (
            (
                inert(r["model"]),
                *(count(r[name]) for name in ("calls", "calls_unpriced")),
                *("unknown" if r[name] is None else usd(r[name]) for name in SUMS),
                "unknown" if r["change_usd"] is None else usd(r["change_usd"], signed=True),
            )
            for r in rows
        ),
    )


@prices.command("show")
def show(
    model: Model,
    at: Day = None,
    provider: Provider = None,
    tier: Tier = None,
    system: given.InSystem = None,
    as_json: Json = False,
) -> None:
    """Show what a model costs per million tokens on a day, and where that is from."""
    from aiops_pipelines.costs.compared import SpendError
    from aiops_pipelines.costs.prices import APART
    from aiops_pipelines.document import plain_data
    from aiops_pipelines.inference_log.makers import maker, seller
    from aiops_pipelines.inference_log.record import service_tier
    from aiops_pipelines.resources.prices import PriceBook

    on: date = at.date() if at else given.clock().date()
    own = given.systems(system)[0].prices if system else ()
    sold_by = seller(provider) if provider else maker(model)
    noon = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    served = service_tier("--tier", tier) if tier else None
    called = f"{model} in the tier {served}" if served else model
    found = PriceBook(own).price_of(sold_by, model, noon, served)
    if found is None:
        otherwise = "" if sold_by else ", or say who sells it with --provider"
        raise SpendError(
            f"{called} has no known price on {on}; add one below `prices` in the system's file{otherwise}."
        )
    names = ("input", "cache_read", "cache_write", "output")
    apart = [name for name in APART if any(name in rate.apart for rate in found.rates)]
    tiers = [
        {name: getattr(rate, name) for name in ("from_input_tokens", *names)}
        | {name: rate.apart.get(name) for name in apart}
        for rate in found.rates
    ]
    if as_json:
        return terminal.data(
            plain_data(
                {"model": model, "tier": served, "at": on, "usd_per_million": tiers, "source": found.source}
            )
        )
    source: list[terminal.Said] = [("plain", "", f"{part}.") for part in found.source.split("; ")]
    terminal.block(f"{called}, USD per million tokens", source)
    terminal.table(
        ("from input tokens", *(name.replace("_", " ") for name in (*names, *apart))),
        (tuple(_price(value) for value in tier.values()) for tier in tiers),
    )


def _price(value: Decimal | int | None) -> str:
    return "not sold" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:f}"
