"""The command gameday: what would be found if something went wrong?"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given
from aiops_pipelines.project import Project

if TYPE_CHECKING:
    from aiops_pipelines.incidents.game_day import Outcome

Faults = Annotated[
    list[str] | None,
    typer.Option("--fault", metavar="FAULT", help="One that is to be practised, outage say; all without it."),
]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def gameday(name: given.OneSystem, fault: Faults = None, as_json: Json = False) -> None:
    """Play a week again with faults in it, on a copy, and say what would have been found, and when."""
    from aiops_pipelines.incidents.game_day import FAULTS
    from aiops_pipelines.resources.practice import keep, practice
    from aiops_pipelines.wording import day

    (system,) = given.systems(name)
    if unknown := sorted(set(fault or ()) - FAULTS.keys()):
        raise typer.BadParameter(f"There is no fault {unknown[0]}; there are {', '.join(FAULTS)}.")
    project, clock, outcomes = Project.here(), given.clock(), []
    with terminal.progress() as show:
        show("Copying the project and bringing the copy up to the week ...")
        with practice(project, system, project.systems / f"{name}.yaml", clock) as held:
            show("The week without a fault ...")
            without = held.without_fault()
            for each in dict.fromkeys(fault or FAULTS):
                show(f"{each}: {FAULTS[each].story} ...")
                outcomes.append(held.with_fault(each, without))
                keep(given.warehouse(), held, outcomes[-1], clock)  # whatever ends the day, this was found
    week, played = held.start.date(), held.played.date()
    if as_json:
        return terminal.data(
            {
                "system": name,
                "week": str(week),
                "played": str(played),
                "faults": [asdict(o) for o in outcomes],
            }
        )
    note = f"the week of {day(played)} played again as that of {day(week)}"
    terminal.block(name, (said for one in outcomes for said in _told(one)), note)
    found = sum(one.found for one in outcomes)
    named = sum(one.named for one in outcomes)
    terminal.verbatim(f"{found} of {len(outcomes)} found, {named} by their name.")


def _told(one: "Outcome") -> Iterator[terminal.Said]:
    from aiops_pipelines.incidents.game_day import FAULTS
    from aiops_pipelines.incidents.rules import CAUSES

    story = FAULTS[one.fault].story
    if not one.found:
        yield "bad", one.fault, f"{story[0].upper()}{story[1:]}: not found."
    else:
        what = f"{one.severity} after {one.hours:.0f} hours"
        known = f"{CAUSES[one.causes[0]]}" if not one.named else ""
        yield (
            "good" if one.named else "warn",
            one.fault,
            f"{story[0].upper()}{story[1:]}: {what}{', under another name: ' + known if known else ''}.",
        )
    if one.evidence:
        yield "plain", "", one.evidence
    if one.joined:
        yield "warn", "", f"It adds to {one.incident_id}, which is open without it: nobody is told anew."
