"""Commands for what is spent: costs growth, saved, opportunities and invoice."""

from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.project import Project

costs = typer.Typer(
    no_args_is_help=True,
    help="Say why spend changed between two periods, what was saved and what could be, and check invoices.",
)
From = Annotated[str, typer.Option("--from", metavar="A..B", help="The earlier period, both days included.")]
To = Annotated[str, typer.Option("--to", metavar="C..D", help="The later period, both days included.")]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON, endpoint by endpoint.")]

SMALLEST_SHOWN = 0.00005
"""USD of a cause that is shown, as the least amount that is written with a figure; below it is rounding."""


def period(text: str) -> tuple[date, date]:
    """Read a period: 2026-06-01..2026-06-30, or a single day.

    Raises:
        BadParameter: it is neither.
    """
    first, until, last = text.partition("..")
    try:
        start, end = (datetime.strptime(day, "%Y-%m-%d").date() for day in (first, last if until else first))
    except ValueError as error:
        raise typer.BadParameter(f"{text} is no period; write it as 2026-06-01..2026-06-30.") from error
    if end < start:
        raise typer.BadParameter(f"The period {text} ends before it begins.")
    return start, end


@costs.command("growth")
def growth(name: given.OneSystem, before: From, after: To, as_json: Json = False) -> None:
    """Split the change in spend into volume, model mix, price, cache and each part of the tokens, exactly."""
    from aiops_pipelines.incidents.review_spend import calls_left_out, cause_name
    from aiops_pipelines.resources.published import published
    from aiops_pipelines.resources.spend_tables import compared_periods
    from aiops_pipelines.wording import day, some, usd

    (system,) = given.systems(name)
    found = compared_periods(published(Project.here()), system.name, period(before), period(after))
    if as_json:
        return terminal.data(found.as_data())
    spans = (
        f"on {day(first)}" if first == last else f"from {day(first)} to {day(last)}"
        for first, last in (found.before, found.after)
    )
    spent = (f"{usd(amount)} {span}" for amount, span in zip(found.spent, spans, strict=True))
    terminal.block(system.name, [], ", ".join(spent))
    shown = {cause: change for cause, change in found.causes.items() if abs(change) >= SMALLEST_SHOWN}
    rows = [(cause_name(cause), usd(change, signed=True)) for cause, change in shown.items()]
    terminal.table(
        ("cause", "change"), [*rows, ("together", usd(found.spent[1] - found.spent[0], signed=True))]
    )
    if found.days[0] != found.days[1]:
        terminal.verbatim(
            f"The periods have {found.days[0]} and {some(found.days[1], 'day')}; the difference is volume."
        )
    if found.days_in_both:
        terminal.verbatim(f"{some(found.days_in_both, 'day')} in both periods.")
    for which, counts in zip(("first", "second"), found.left_out, strict=True):
        if said := calls_left_out(counts):
            terminal.verbatim(f"In no figure of the {which} period: {said}.")


@costs.command("saved")
def saved(name: given.OneSystem, before: From, after: To, as_json: Json = False) -> None:
    """Say what the later answers saved against like ones of the earlier period, at the later prices.

    An answer is all calls of its trace, or a call where the log has none.
    Fewer calls, cheaper prices and another mix of endpoints or of lengths of
    questions and conversations are no saving; topics are not told apart.
    Choose the earlier period for when it was, not for its cost: a peak falls
    by itself.
    """
    from aiops_pipelines.document import plain_data
    from aiops_pipelines.incidents.review_spend import saving_sentence
    from aiops_pipelines.resources.published import published
    from aiops_pipelines.resources.spend_tables import saved_period
    from aiops_pipelines.wording import count, day, inert, percent, some, usd

    (system,) = given.systems(name)
    found = saved_period(published(Project.here()), system, period(before), period(after))
    if as_json:
        return terminal.data(plain_data(found.as_data()))
    (since, until), (first, last) = found.before, found.after
    terminal.block(system.name, [("good" if found.proven else "unknown", "", saving_sentence(found))])
    if found.interval:
        compared = some(sum(found.kinds["answers_after"]), "answer")
        terminal.verbatim(
            f"{compared} from {day(first)} to {day(last)} cost "
            f"{usd(found.expected_usd - found.saved_usd)}. As their like were made from {day(since)} to "
            f"{day(until)} they would have cost {usd(found.expected_usd)}, at the prices of {day(last)}."
        )
        terminal.table(
            ("endpoint", "answers", "would have cost", "cost", "saved"),
            (
                (
                    inert(row["endpoint"]),
                    count(row["answers"]),
                    *map(usd, (row["expected_usd"], row["expected_usd"] - row["saved_usd"])),
                    usd(row["saved_usd"], signed=True),
                )
                for row in found.by_endpoint.iter_rows(named=True)
            ),
        )
    if found.covered < 1:
        few = f"{percent(1 - found.covered)} of the cost, of answers without enough of their like"
        terminal.verbatim(f"In no figure: {few}.")
    for which, answers in zip(("first", "second"), found.unpriced, strict=True):
        if answers:
            terminal.verbatim(
                f"In no figure of the {which} period: {some(answers, 'answer')} without a cost."
            )


@costs.command("opportunities")
def opportunities(
    name: given.OneSystem,
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="The month; the latest if left out.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Show what is not proposed as well, and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every row of the month as JSON.")] = False,
) -> None:
    """Say what a month's calls would have cost less, lever by lever, as found by its monthly review.

    Each saving has a 95 % interval and a bound on what answers may lose.
    Savings of one endpoint overlap; the sum counts what each adds to the
    larger ones.
    """
    from aiops_pipelines.costs.proposal_words import PROOF, abstained, place, proposal_sentence, together
    from aiops_pipelines.document import plain_data
    from aiops_pipelines.resources.published import published
    from aiops_pipelines.resources.spend_tables import savings_proposals_of
    from aiops_pipelines.wording import month as month_name

    (system,) = given.systems(name)
    found = savings_proposals_of(published(Project.here()), system.name, _month(month) if month else None)
    rows = list(found.iter_rows(named=True))
    if as_json:
        return terminal.data(plain_data(rows))
    proposed = [row for row in rows if row["verdict"] == "propose"]
    said: list[terminal.Said] = []
    for row in proposed:
        said += [("warn", place(row), proposal_sentence(row)), ("plain", "", row["evidence"] or "")]
    nothing: terminal.Said = ("plain", "", "Nothing is proposed.")
    terminal.block(system.name, said or [nothing], month_name(rows[0]["month"]))
    if len(proposed) > 1:
        terminal.verbatim(together(proposed))
    if proposed:
        terminal.verbatim(PROOF)
    if every:
        terminal.table(("verdict", "lever", "reason"), abstained(rows))
    elif len(proposed) < len(rows):
        left = len(rows) - len(proposed)
        terminal.verbatim(f"Looked at besides: {left}. --all says why nothing is proposed there.")


@costs.command("invoice")
def invoice(
    name: given.OneSystem,
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="The month that was billed.")],
    amount: Annotated[str, typer.Option(metavar="USD", help="What the provider billed.")],
    by: given.By,
    model: Annotated[str, typer.Option(metavar="MODEL", help="What it is for; all if left out.")] = "",
) -> None:
    """Keep what a provider billed for a month, and hold it against what the logged calls cost.

    A difference is calls that never reached the log, or prices that are
    wrong. Entered again, an invoice is corrected; every entry is logged.
    """
    from aiops_pipelines.costs.invoices import invoice_sentence
    from aiops_pipelines.resources.invoices import enter_invoice
    from aiops_pipelines.wording import percent

    try:
        usd = Decimal(amount)
    except InvalidOperation as error:
        raise typer.BadParameter(f"{amount} is no amount; write it as 1234.56.") from error
    (system,), books = given.systems(name), given.warehouse()
    book, clock = given.audit_book(books), given.clock()
    found = enter_invoice(books, book, system, _month(month), usd, model, by, clock)
    limit = system.limits.invoice_difference
    beyond = abs(found["difference"]) > limit
    terminal.block(name, [("bad" if beyond else "good", "", invoice_sentence(found))])
    said = (
        f"beyond the limit of {percent(limit)}; the next run opens an incident"
        if beyond
        else "within its limit"
    )
    terminal.verbatim(f"It is entered into the audit log, and {said}.")


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").date()
    except ValueError as error:
        raise typer.BadParameter(f"{text} is no month; write it as 2026-06.") from error
