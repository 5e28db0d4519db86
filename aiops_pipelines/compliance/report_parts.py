"""The shape of a section of the compliance report, and what all sections need to fill it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiops_pipelines.compliance.figures import Figure
from aiops_pipelines.document import Chart, Column, Table, Tone
from aiops_pipelines.wording import Kind, inert

NOT_EVIDENCED = "NOT EVIDENCED"
Rows = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Known:
    """The figures of the month by key."""

    figures: Mapping[str, Figure]

    def __getitem__(self, key: str) -> Any:
        return self.figures[key].value

    def of(self, *parts: str) -> tuple[Figure, ...]:
        """Return the figures of some parts, in order; record gives record.inferences and so on."""
        return tuple(figure for key, figure in self.figures.items() if key.split(".")[0] in parts)

    def why_missing(self, part: str) -> str:
        """Say why figures of a part are missing, each reason once; empty when none is."""
        reasons = [figure.missing for figure in self.of(part) if figure.missing]
        return inert("; ".join(dict.fromkeys(reasons)))


@dataclass(frozen=True)
class ReportSection:
    """One section: what it means first, then figures, charts, tables, and texts printed as they are."""

    key: str
    title: str
    meaning: str
    tone: Tone
    figures: tuple[Figure, ...]
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()


def table(title: str, kinds: Mapping[str, Kind], rows: Rows, source: str, empty: str = "None.") -> Table:
    """Return a table from its column labels with their kinds, and its rows."""
    return Table(title, tuple(Column(label, kind) for label, kind in kinds.items()), rows, source, empty)
