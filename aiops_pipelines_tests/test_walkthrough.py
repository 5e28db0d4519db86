"""docs/walkthrough.md as a reader would follow it: every block is run, every query gives what the page shows."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "walkthrough.md"
TOLERANCE = 0.1
"""Vectors of 8-bit weights differ a little between processors, and figures with them."""


@dataclass(frozen=True)
class Block:
    """A fenced block of the page and the output shown right below it."""

    language: str
    content: str
    shown: str

    def command(self, number: int) -> str:
        """Return the shell command that does what a reader does with the block."""
        if self.language == "python":
            name = self.content.splitlines()[0].removeprefix("# ")
            return f"cat > {name} <<'END_OF_FILE'\n{self.content}END_OF_FILE\n"
        if self.language == "sql":
            return f"sql > $OUTPUTS/{number} <<'END_OF_QUERY'\n{self.content}END_OF_QUERY\n"
        return self.content


def blocks() -> list[Block]:
    """The blocks of the page in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```\n", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    after = [*found[1:], ("", "")]
    return [
        Block(language, content, following[1] if following[0] == "text" else "")
        for (language, content), following in zip(found, after, strict=True)
        if language != "text"
    ]


def run(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script with this interpreter's programs first on the path."""
    outputs = folder / "outputs"
    project = folder / "project"
    for made in (outputs, project):
        made.mkdir(exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name not in ("AIOPS_DATA", "DAGSTER_HOME")}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=project,
        env={**kept, "PATH": path, "OUTPUTS": str(outputs)},
        capture_output=True,
        text=True,
    )


def cells(table: str) -> list[str]:
    """The words and numbers of a table drawn in a terminal."""
    return re.findall(r"[^\s│┌┐└┘├┤┬┴┼─]+", table)


def same(seen: str, shown: str) -> bool:
    """Whether two cells are equal, numbers within the tolerance."""
    try:
        return abs(float(seen) - float(shown)) <= TOLERANCE * max(1.0, abs(float(shown)))
    except ValueError:
        return seen == shown


def test_every_query_is_shown_with_its_result() -> None:
    languages = [block.language for block in blocks()]
    assert {"bash", "python", "sql"} == set(languages)
    assert all(block.shown for block in blocks() if block.language == "sql")
    assert languages.count("sql") >= 5


@pytest.mark.slow
def test_the_page_can_be_followed(tmp_path: Path) -> None:
    page = blocks()
    download = re.compile(r"^python -m pip download .*$", re.MULTILINE)
    downloads = [line for block in page for line in download.findall(block.content)]
    reached = run(tmp_path, "\n".join(downloads))
    if reached.returncode:
        pytest.skip(f"the package index cannot be reached: {reached.stderr.strip().splitlines()[-1]}")
    finished = run(tmp_path, "\n".join(block.command(number) for number, block in enumerate(page)))
    assert finished.returncode == 0, finished.stdout[-4_000:] + finished.stderr[-4_000:]
    for number, block in enumerate(page):
        if block.language == "sql":
            seen = (tmp_path / "outputs" / str(number)).read_text("utf-8")
            pairs = list(zip(cells(seen), cells(block.shown), strict=True))
            assert all(same(*pair) for pair in pairs), f"{block.content}\n{seen}"
