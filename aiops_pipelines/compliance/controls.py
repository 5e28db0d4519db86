"""The control matrix R1 to R20 and the legal facts: read, checked, and held against the figures of a report.

A control is evidenced cell by cell. Nothing here says that anybody follows a law: it says what was computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from aiops_pipelines.compliance.figures import Figure
from aiops_pipelines.systems import Profile

FRESH_DAYS = 180
Status = Literal["EVIDENCED", "PARTLY EVIDENCED", "NOT EVIDENCED"]


class Control(BaseModel):
    """One requirement: the figures that evidence it, and what it asks for that nothing here computes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    requirement: str
    section: int
    profiles: tuple[Profile, ...]
    evidence: tuple[str, ...]
    not_computed: tuple[str, ...] = ()


class LegalFact(BaseModel):
    """One legal fact with the dates it applies from, when it was last checked and how good the source is."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    instrument: str
    article: str
    summary: str
    applies_from: dict[str, date]
    verified_on: date
    source_grade: Literal["A", "B", "C"]


@dataclass(frozen=True)
class Cell:
    """One piece of evidence: the figure, or None and the reason why it is NOT EVIDENCED."""

    label: str
    figure: Figure | None
    reason: str = ""


@dataclass(frozen=True)
class Evaluated:
    """One control of one month: its cells, what they add up to, and whether the profile is asked for it."""

    control: Control
    status: Status
    cells: tuple[Cell, ...]
    asked: bool


@cache
def controls() -> tuple[Control, ...]:
    """Return the control matrix."""
    rows = yaml.safe_load(files(__package__).joinpath("controls.yaml").read_text(encoding="utf-8"))
    return tuple(Control.model_validate(row) for row in rows)


@cache
def legal_facts() -> tuple[LegalFact, ...]:
    """Return the legal facts that the matrix rests on."""
    rows = yaml.safe_load(files(__package__).joinpath("legal_facts.yaml").read_text(encoding="utf-8"))
    return tuple(LegalFact.model_validate(row) for row in rows)


def is_stale(fact: LegalFact, today: date) -> bool:
    """Say whether a legal fact was last checked more than 180 days ago: law changes, and a report says so.

    Checked on 2026-11-23: fresh until 2027-05-22, stale from 2027-05-23.
    """
    return (today - fact.verified_on).days > FRESH_DAYS


def evaluate(control: Control, figures: Mapping[str, Figure], profile: Profile) -> Evaluated:
    """Hold one control against a report's figures.

    Raises:
        KeyError: the control names a figure that the report does not have.
    """
    cells = []
    for key in control.evidence:
        figure = figures[key]
        known = figure.value is not None
        cells.append(Cell(figure.label, figure if known else None, "" if known else figure.missing))
    cells += [Cell(text, None, "not computed by this project") for text in control.not_computed]
    known_cells = sum(cell.figure is not None for cell in cells)
    some: Status = "PARTLY EVIDENCED" if known_cells else "NOT EVIDENCED"
    status: Status = "EVIDENCED" if known_cells == len(cells) else some
    return Evaluated(control, status, tuple(cells), profile in control.profiles)
