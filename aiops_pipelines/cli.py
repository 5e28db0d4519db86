"""The command line `aiops`: its table of contents. What each command does is in `commands`.

Nothing heavy is imported before a command runs, so that help answers at once.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from aiops_pipelines import terminal
from aiops_pipelines.commands import (
    backup,
    bring_in,
    costs,
    decide,
    game_day,
    incident,
    index,
    look,
    migrate,
    operate,
    prices,
    prove,
    publish,
    quarantine,
    rag,
    retain,
    set_up,
    witness,
)
from aiops_pipelines.mendable import Mendable, about

SET_UP, RUN, LOOK, DECIDE, PROVE = PANELS = ("Set up", "Run", "Look", "Decide", "Prove")
Data = Annotated[
    Path | None,
    typer.Option(envvar="AIOPS_DATA", metavar="PATH", help="The data folder to work on.", file_okay=False),
]


class Commands(TyperGroup):
    """The commands by panel; an error that the user can mend is one sentence, without a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of the panels."""
        panels = {name: getattr(command, "rich_help_panel", "") for name, command in self.commands.items()}
        return sorted(panels, key=lambda name: PANELS.index(panels[name]))

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            if not (said := about(error)):
                raise
            terminal.fail(said)
        except Mendable as error:
            terminal.fail(str(error))
        raise typer.Exit(1)


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False
)


@app.callback()
def main(data: Data = None) -> None:
    """Operate AI systems in production: logs in; health, drift, spend, incidents and proof out."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 loses a mark, not the command
    if data is not None:
        os.environ["AIOPS_DATA"] = str(data.resolve())


_commands: dict[str, tuple[Callable[..., None], ...]] = {
    SET_UP: (set_up.init, set_up.check),
    RUN: (operate.run, index.reindex, publish.publish, operate.ui),
    LOOK: (look.status, look.incidents, look.problems, index.trace),
}
app.command("import", rich_help_panel=RUN)(bring_in.import_files)
app.command("gameday", rich_help_panel=PROVE)(game_day.gameday)
app.command("erase", rich_help_panel=DECIDE)(retain.erase)
app.command("restore", rich_help_panel=PROVE)(backup.restore)
for _panel, _functions in _commands.items():
    for _function in _functions:
        app.command(rich_help_panel=_panel)(_function)
app.add_typer(costs.costs, name="costs", rich_help_panel=LOOK)
app.add_typer(prices.prices, name="prices", rich_help_panel=LOOK)
app.add_typer(rag.rag, name="rag", rich_help_panel=LOOK)
app.add_typer(incident.incident, name="incident", rich_help_panel=DECIDE)
app.add_typer(decide.baseline, name="baseline", rich_help_panel=DECIDE)
app.add_typer(migrate.migrate, name="migrate", rich_help_panel=DECIDE)
app.add_typer(quarantine.quarantine, name="quarantine", rich_help_panel=DECIDE)
app.add_typer(prove.audit, name="audit", rich_help_panel=PROVE)
app.add_typer(witness.witness, name="witness", rich_help_panel=PROVE)
app.add_typer(backup.backup, name="backup", rich_help_panel=PROVE)
