"""The README is held to what is there: its grid, its files, its commands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aiops_pipelines import PILLARS
from aiops_pipelines.project import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
ASSETS = """
import json
from aiops_pipelines.definitions import defs
found = defs() if callable(defs) else defs
print(json.dumps([[s.key.to_user_string(), s.group_name, s.tags.get("cadence")] for s in found.resolve_all_asset_specs()]))
"""


def grid() -> dict[tuple[str, str], list[str]]:
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in README.splitlines()
        if line.startswith("|")
    ]
    head = rows[0]
    cells = {}
    for row in rows[2 : 2 + len(PILLARS)]:
        pillar = re.findall(r"\*\*(\w+)\*\*", row[0])[0]
        for cadence, cell in zip(head[1:], row[1:], strict=True):
            cells[pillar, cadence] = re.findall(r"`(\w+)`", cell)
    return cells


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str | None]]:
    environment = {**os.environ, "AIOPS_DATA": str(tmp_path_factory.mktemp("readme"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASSETS],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: (group, cadence) for name, group, cadence in json.loads(done.stdout.splitlines()[-1])}


def test_the_grid_has_every_pillar_and_each_name_stands_where_dagster_has_it(
    assets: dict[str, tuple[str, str | None]],
) -> None:
    cells = grid()
    assert {pillar for pillar, _ in cells} == set(PILLARS)
    for (pillar, cadence), names in cells.items():
        for name in names:
            assert assets.get(name) == (pillar, cadence), name


def test_the_grid_leaves_no_cell_empty_that_has_assets(assets: dict[str, tuple[str, str | None]]) -> None:
    cells = grid()
    for group, cadence in set(assets.values()):
        if group in PILLARS and cadence:
            assert cells[group, cadence], (group, cadence)


def test_every_file_it_names_is_there() -> None:
    produced = ("data/aiops.duckdb", "data/reports/")
    for name in re.findall(r"`((?:data|docs|aiops_pipelines|dbt_project)/[\w./-]+)`", README):
        assert name.startswith(produced) or (ROOT / name).exists(), name
    for name in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (ROOT / name).exists(), name


def test_every_make_target_and_command_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)", README)) <= targets
    help_text = subprocess.run(
        [Path(sys.executable).with_name("aiops"), "--help"], capture_output=True, text=True
    ).stdout
    for command in set(re.findall(r"\baiops ([a-z]+)\b", README)):
        assert command in help_text, command
