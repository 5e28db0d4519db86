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

from aiops_pipelines.compliance.figures import Figure
from aiops_pipelines.part import Part
from aiops_pipelines.systems import Profile, System
from aiops_pipelines.wording import count

FRESH_DAYS = 180
Status = Literal["EVIDENCED", "PARTLY EVIDENCED", "NOT EVIDENCED"]


KEPT = "record.audit_days"


class Control(Part):
    """One requirement: the figures that evidence it, and what it asks for that nothing here computes.

    `kept_days` is for how long it wants records, in the longest days that its months or years can have.
    """

    id: str
    requirement: str
    section: int
    profiles: tuple[Profile, ...]
    evidence: tuple[str, ...]
    not_computed: tuple[str, ...] = ()
    kept_days: int | None = None

    @property
    def law(self) -> str:
        """What asks for it: "PCI DSS 10.5.1", say."""
        return self.requirement.partition(":")[0]


class LegalFact(Part):
    """One legal fact with the dates it applies from, when it was last checked and how good the source is."""

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


def kept_too_short(system: System) -> list[Control]:
    """Return the controls of a system's profile that want records for longer than it keeps its audit log."""
    asked = (one for one in controls() if system.profile in one.profiles and one.kept_days)
    return [one for one in asked if (one.kept_days or 0) > system.retention.audit_days]


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
        reason, days = figure.missing if figure.value is None else "", control.kept_days
        if key == KEPT and days and isinstance(figure.value, int) and figure.value < days:
            reason = f"{count(days)} are asked for, the system file says {count(figure.value)}"
        cells.append(Cell(figure.label, None if reason else figure, reason))
    cells += [Cell(text, None, "not computed by this project") for text in control.not_computed]
    known_cells = sum(cell.figure is not None for cell in cells)
    some: Status = "PARTLY EVIDENCED" if known_cells else "NOT EVIDENCED"
    status: Status = "EVIDENCED" if known_cells == len(cells) else some
    return Evaluated(control, status, tuple(cells), profile in control.profiles)
