"""CONTRIBUTING.md and the decision records name files, names and commands that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
RECORDS = sorted((ROOT / "docs" / "adr").glob("*.md"))
MADE_BY_RUNS = ("data/aiops.duckdb", "data/warehouse", "data/audit", "data/keys")
CODE = "\n".join(file.read_text("utf-8") for file in (ROOT / "aiops_pipelines").rglob("*.py"))


def quoted(page: Path) -> set[str]:
    """What stands between single backticks on a page."""
    return set(re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.read_text("utf-8")))


def paths(page: Path) -> list[str]:
    """The quoted words that are paths of this project, without those that have a placeholder."""
    tops = "|".join(re.escape(entry.name) for entry in ROOT.iterdir())
    return sorted(word for word in quoted(page) if re.fullmatch(rf"({tops})(/[\w./-]*)?", word))


@pytest.mark.parametrize("page", [CONTRIBUTING, *RECORDS], ids=lambda page: page.stem)
def test_every_path_it_names_exists(page: Path) -> None:
    gone = [path for path in paths(page) if not (ROOT / path).exists() and not path.startswith(MADE_BY_RUNS)]
    assert gone == []


def test_it_names_enough_files_to_be_of_use() -> None:
    assert len([path for path in paths(CONTRIBUTING) if "/" in path]) > 25


def test_every_name_it_refers_to_is_in_the_code() -> None:
    names = {
        word
        for word in quoted(CONTRIBUTING)
        if re.fullmatch(r"[A-Z][A-Z_]+|[A-Z][a-z]\w+|[a-z]+_[a-z_]+", word)
    }
    known = CODE + (ROOT / "pyproject.toml").read_text("utf-8")
    known += "".join(file.stem + "\n" for file in ROOT.glob("dbt_project/tests/generic/*.sql"))
    known += "".join(entry.name + "\n" for entry in ROOT.iterdir())
    assert {name for name in names if not re.search(rf"\b{name}\b", known)} == set()
    assert len(names) > 10


def test_every_make_command_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    asked = {word.removeprefix("make ") for word in quoted(CONTRIBUTING) if word.startswith("make ")}
    assert asked == {target for target in asked if re.search(rf"^{target}:", makefile, re.MULTILINE)}
    assert len(asked) > 5


def test_records_are_numbered_and_have_their_four_parts() -> None:
    assert [file.name[:4] for file in RECORDS] == [f"{n:04}" for n in range(1, len(RECORDS) + 1)]
    for record in RECORDS:
        text = record.read_text("utf-8")
        assert text.startswith(f"# {record.name[:4]}: "), record.name
        assert [
            part for part in ("Status: ", "## Context", "## Decision", "## Consequences") if part not in text
        ] == []
