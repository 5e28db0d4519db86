"""Commands that do the work: run and ui."""

import os
import socket
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiops_pipelines import terminal
from aiops_pipelines.commands import given, look
from aiops_pipelines.project import ROOT, Project

if TYPE_CHECKING:
    from aiops_pipelines.systems import System

HOST = "127.0.0.1"
Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]


def run() -> None:
    """Do the work that is due now and say what was found."""
    from aiops_pipelines.defs.runs import operate

    project, systems = Project.here(), given.systems()
    warnings.filterwarnings("ignore", message=".*currently in beta")
    operate(project, terminal.verbatim)
    terminal.verbatim("")
    look.show_status(systems)
    show_outputs(project, systems)


def show_outputs(project: Project, systems: "list[System]") -> None:
    """Print where the tables, example queries, reviews and reports are."""
    lines = [
        "Where to look next:",
        f"  all tables     {given.shown(project.published)} (any DuckDB client, read-only)",
    ]
    lines += [
        f"    for example  {given.shown(file)}" for file in sorted((ROOT / "docs" / "queries").glob("*.sql"))
    ]
    for system in systems:
        for cadence, name in (("weekly", "weekly review"), ("monthly", "monthly report")):
            pages = sorted((project.reports / system.name / cadence).glob("*.html"))
            lines += [f"  {name:<14} {given.shown(pages[-1])}"] if pages else []
            papers = sorted((project.reports / system.name / cadence).glob("*.pdf"))
            lines += [f"    as a PDF     {given.shown(papers[-1])}"] if papers else []
    terminal.verbatim("\n".join([*lines, "  the pipelines  make ui, or aiops ui"]))


def ui(port: Port = 3000) -> None:
    """Open Dagster on this machine, with the schedules running."""
    from aiops_pipelines.defs.runs import RunFailed, prepare_home

    project = Project.here()
    dagster = Path(sys.executable).with_name("dagster")
    if not dagster.exists():
        raise RunFailed(f"{dagster} is missing; install the project's dependencies with make install.")
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise RunFailed(
                f"Something listens on port {port} already; close it, or take another with --port."
            )
    os.environ["AIOPS_DATA"] = str(project.data)
    home = prepare_home(project).resolve()
    os.environ["DAGSTER_HOME"] = str(home)
    terminal.verbatim(
        f"Dagster opens on http://{HOST}:{port} (its home is {given.shown(home)}); Ctrl-C ends it."
    )
    sys.stdout.flush()
    os.chdir(home)
    os.execv(dagster, [str(dagster), "dev", "-w", str(ROOT / "workspace.yaml"), "-h", HOST, "-p", str(port)])
