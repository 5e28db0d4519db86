"""How what the command line says looks: a mark, a topic and a sentence, in calm colours, 100 columns wide.

Text from outside is printed as it is, never as markup. What is said is decided elsewhere.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aiops_pipelines.document import Tone
from aiops_pipelines.wording import inert

WIDTH = 100
MARKS: dict[Tone, tuple[str, str]] = {
    "good": ("✓", "green"),
    "plain": ("·", "dim"),
    "unknown": ("?", "cyan"),
    "warn": ("!", "yellow"),
    "bad": ("✗", "red"),
}
"""Mark and colour of a tone; only what is known to be well is green."""
Said = tuple[Tone, str, str]
"""Tone, topic (empty for a detail of the topic above) and sentence."""


def _console(stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


def verbatim(text: str) -> None:
    """Print text that is copied or read by programs, without wrapping it."""
    _console().print(Text(text), soft_wrap=True)


def fail(sentence: str) -> None:
    """Print to stderr what the user can mend; names from outside stand in it."""
    _console(stderr=True).print(Text(inert(sentence), "red"), soft_wrap=True)


def block(title: str, lines: Iterable[Said], note: str = "") -> None:
    """Print a title and its lines under each other: mark, topic, sentence."""
    console = _console()
    console.print(Text(title, "bold").append(f"  {note}" if note else "", "not bold dim"))
    grid = Table.grid(padding=(0, 1))
    rows = list(lines)
    for tone, topic, sentence in rows:
        mark, colour = MARKS[tone]
        topics = [Text(topic, "bold")] if any(row[1] for row in rows) else []
        grid.add_row(Text(f" {mark}", colour), *topics, Text(sentence))
    if rows:
        console.print(grid)
    console.print()


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a small table."""
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        grid.add_column(column)
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    _console().print(grid, Text())


def line(text: str) -> None:
    """Print a line for programs, as fast as it goes."""
    sys.stdout.write(f"{text}\n")


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Yield what shows how far work has come; on a terminal only, and on stderr."""
    console = _console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status("") as status:
        yield lambda text: status.update(Text(text))


def data(value: Any) -> None:
    """Print plain data as JSON."""
    verbatim(json.dumps(value, indent=2, ensure_ascii=False))
