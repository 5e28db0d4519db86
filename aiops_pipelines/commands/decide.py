"""Commands for which baseline holds; what is decided on incidents is in `incident`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    import polars as pl

baseline = typer.Typer(
    no_args_is_help=True, help="Show, approve or replace what every week is compared with."
)
FirstWeek = Annotated[
    datetime, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Monday of its first week.")
]

Service = Annotated[
    bool, typer.Option("--service", help="That of the service (failures, latency, volume), not of quality.")
]


@baseline.command("show")
def show_baseline(name: given.AnySystem = None) -> None:
    """Show the frozen baselines: weeks, means, sizes and who approved them."""
    from aiops_pipelines.resources.published import latest

    books = latest(Project.here())
    for system in given.systems(name):
        _show(system.name, books.rows("monitoring.baselines", system=system.name))


@baseline.command("approve")
def approve_baseline(name: given.OneSystem, by: given.By) -> None:
    """Sign the frozen baseline of a system."""
    from aiops_pipelines.resources import decisions

    (system,) = given.systems(name)
    _show(name, decisions.approve_baseline(given.warehouse(), system, by))
    terminal.verbatim("The next run enters it into the audit log.")


@baseline.command("replace")
def replace_baseline(
    name: given.OneSystem,
    by: given.By,
    reason: given.Reason,
    first_week: FirstWeek,
    service: Service = False,
) -> None:
    """Freeze a new baseline from a week on, because the system has changed for good."""
    from aiops_pipelines.resources import decisions
    from aiops_pipelines.resources.judge import judge
    from aiops_pipelines.resources.model_judge import model_judge

    (system,), books = given.systems(name), given.warehouse()
    book, week = given.audit_book(books), first_week.date()
    if service:
        new = decisions.replace_service_baseline(books, book, system, by, reason, week, given.clock())
        _show_service(name, new)
        terminal.verbatim("It is entered into the audit log. The next run reads every day against it.")
        return
    clock = given.clock()
    model = model_judge(system, books, clock)
    new = decisions.replace_baseline(books, book, system, by, reason, week, clock, judge(), model)
    _show(name, new)
    terminal.verbatim("It is entered into the audit log. The next run judges the weeks after it anew.")


def _show(system: str, baselines: "pl.DataFrame") -> None:
    from aiops_pipelines.wording import count, day, inert

    if baselines.is_empty():
        terminal.block(system, [("unknown", "", "No baseline is frozen yet, so no week can be judged.")])
        return
    head = baselines.row(0, named=True)
    span = f"weeks of {day(head['first_week'])} to {day(head['last_week'])}, frozen {day(head['frozen_at'])}"
    terminal.block(system, [], span)
    rows = (
        (
            r["sample"],
            r["metric"],
            f"{r['mean']:.3f}",
            count(r["n"]),
            count(r["unmeasured"]),
            inert(r["approved_by"]),
        )
        for r in baselines.sort("sample", "metric").rows(named=True)
    )
    terminal.table(("sample", "metric", "mean", "scores", "unmeasured", "approved by"), rows)


def _show_service(system: str, frozen: "pl.DataFrame") -> None:
    from aiops_pipelines.wording import count, day

    head = frozen.row(0, named=True)
    terminal.block(system, [], f"weeks of {day(head['first_week'])} to {day(head['last_week'])}")
    rows = ((r["measure"], f"{r['value']:,.4g}", count(r["calls"])) for r in frozen.rows(named=True))
    terminal.table(("measure", "value", "calls"), rows)
