"""Two periods of a system's spend compared: the split of `growth`, added up, beside what it leaves out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from aiops_pipelines.costs.cells import summed
from aiops_pipelines.costs.growth import split_change
from aiops_pipelines.mendable import Mendable

Period = tuple[date, date]
"""First and last day, both included."""


class SpendError(Mendable, ValueError):
    """Spend cannot be compared or re-priced; the message says why."""


@dataclass(frozen=True)
class Compared:
    """What a system spent in two periods and why it changed.

    `split` has endpoint, cause, change_usd, spend_before_usd and spend_after_usd; `left_out` counts the calls
    of each period whose cost is not known, and which are in no figure, by price status.
    """

    system: str
    before: Period
    after: Period
    split: pl.DataFrame
    left_out: tuple[Mapping[str, int], Mapping[str, int]]

    @property
    def spent(self) -> tuple[float, float]:
        """Spend before and after, USD."""
        ends = self.split.unique("endpoint").select("spend_before_usd", "spend_after_usd").sum().row(0)
        return ends[0], ends[1]

    @property
    def causes(self) -> dict[str, float]:
        """Change by cause over all endpoints, the largest first."""
        changes = self.split.group_by("cause").agg(pl.col("change_usd").sum())
        ranked = changes.sort(pl.col("change_usd").abs(), "cause", descending=[True, False])
        return dict(ranked.iter_rows())

    @property
    def days_in_both(self) -> int:
        """Days that both periods hold."""
        first, last = max(self.before[0], self.after[0]), min(self.before[1], self.after[1])
        return max((last - first).days + 1, 0)

    @property
    def days(self) -> tuple[int, int]:
        """Length of each period in days; a longer one has more calls, which is volume."""
        first, second = ((last - start).days + 1 for start, last in (self.before, self.after))
        return first, second

    def as_data(self) -> dict[str, object]:
        """Return everything as plain values; `residual_usd` is what the causes leave over: rounding."""
        before, after = self.spent
        rows = self.split.sort("endpoint", pl.col("change_usd").abs(), descending=[False, True])
        endpoints = [
            {
                "endpoint": name[0],
                "spend_before_usd": part["spend_before_usd"][0],
                "spend_after_usd": part["spend_after_usd"][0],
                "causes": dict(part.select("cause", "change_usd").iter_rows()),
            }
            for name, part in rows.group_by(["endpoint"], maintain_order=True)
        ]
        return {
            "system": self.system,
            "from": [day.isoformat() for day in self.before],
            "to": [day.isoformat() for day in self.after],
            "days": list(self.days),
            "days_in_both": self.days_in_both,
            "spend_before_usd": before,
            "spend_after_usd": after,
            "change_usd": after - before,
            "residual_usd": after - before - sum(self.causes.values()),
            "causes": self.causes,
            "endpoints": endpoints,
            "calls_unpriced": [sum(counts.values()) for counts in self.left_out],
            "calls_unpriced_why": [dict(counts) for counts in self.left_out],
            "method": "LMDI-I",
        }


def without_cost(calls: pl.DataFrame, costs: pl.DataFrame) -> dict[str, int]:
    """Count by price status the calls whose cost is not known; those without a row in `costs` are pending."""
    unknown = costs.filter(pl.col("cost_usd").is_null()).group_by("price_status").len().sort("price_status")
    pending = calls.height - costs.height
    return dict(unknown.iter_rows()) | ({"pending": pending} if pending else {})


def compared(
    system: str,
    before: Period,
    after: Period,
    cells: tuple[pl.DataFrame, pl.DataFrame],
    left_out: tuple[Mapping[str, int], Mapping[str, int]],
) -> Compared:
    """Compare two periods by their cells, of `spend_cells` with any step.

    Raises:
        SpendError: a period ends before it begins, or has no call with a known price; missing data is no
            change.
    """
    for (first, last), found in zip((before, after), cells, strict=True):
        if last < first:
            raise SpendError(f"The period {first}..{last} ends before it begins.")
        if found.is_empty():
            raise SpendError(
                f"{system} has no call with a known price from {first} to {last}, so nothing can be split."
            )
    split = split_change(summed(cells[0]), summed(cells[1])).drop("system")
    return Compared(system, before, after, split, left_out)
