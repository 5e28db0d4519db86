"""Burn-rate alerts: how fast failures use up the objective, for systems with traffic enough.

The pairs of windows, their rates and what they mean are those of The Site Reliability Workbook (Beyer et al.,
2018, chapter 5, table 5-8): a rate of 1 uses the whole budget in 30 days. With few calls one failure is a
burn rate of hundreds; such systems get none of these alerts, and the exact test of each day watches alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

import numpy as np
import numpy.typing as npt
import polars as pl

from aiops_pipelines.monitoring.alert_states import Hysteresis, Level
from aiops_pipelines.monitoring.daily_alerts import Reading
from aiops_pipelines.wording import some

BIN = timedelta(minutes=5)
FAILURES_EXPECTED = 5
"""At its own rate the short window holds this many failures: one or two never make an alert."""
WELL_BELOW = 0.8
USUAL_OVER = timedelta(days=7)
"""Traffic is enough if the mean of so long is: a burst of calls in a quiet week alerts nobody."""


@dataclass(frozen=True)
class BurnWindows:
    """A long window that gives the evidence and a short one that says it is still going on."""

    rule: str
    rate: float
    long: timedelta
    severity: str

    @property
    def short(self) -> timedelta:
        """A twelfth of the long window."""
        return self.long / 12

    def calls_needed(self, slo: float) -> int | None:
        """Return the calls the short window needs, or None if this objective allows no such rate.

        Worked example: 99 % and a rate of 14.4 is 14.4 % of failures, and 5 failures are 14.4 % of 35 calls.
        """
        share = self.rate * (1 - slo)
        return None if share > 1 else ceil(FAILURES_EXPECTED / share)

    @property
    def hysteresis(self) -> Hysteresis:
        """Open at once; close after a whole short window well below."""
        return Hysteresis(open_after=1, close_after=int(self.short / BIN))


WINDOWS = (
    BurnWindows("burn_rate_1h", 14.4, timedelta(hours=1), "P2"),
    BurnWindows("burn_rate_6h", 6, timedelta(hours=6), "P2"),
    BurnWindows("burn_rate_3d", 1, timedelta(days=3), "P3"),
)


def usual_calls(bins: pl.DataFrame, window: timedelta, now: datetime) -> float:
    """Return the mean calls in a window of this length over the last seven days."""
    recent = bins.filter(pl.col("start") > now - USUAL_OVER, pl.col("start") <= now)
    return float(recent["calls"].sum()) / (USUAL_OVER / window)


@dataclass(frozen=True)
class Burn:
    """Burn rates read every five minutes: each level, the long window's rate and the short window's calls."""

    windows: BurnWindows
    slo: float
    first_end: datetime
    levels: Sequence[Level]
    rates: npt.NDArray[np.float64]
    recent: npt.NDArray[np.float64]

    def reading(self, place: int) -> Reading:
        """Return one of the readings in words."""
        w, end, level, rate = (
            self.windows,
            self.first_end + place * BIN,
            self.levels[place],
            self.rates[place],
        )
        hours, calls = w.long / timedelta(hours=1), int(self.recent[place])
        said = (
            f"Up to {end:%Y-%m-%d %H:%M} UTC failures used up the budget of the objective "
            f"({100 * self.slo:.10g}%) at {rate:.1f} times the sustainable rate over "
            f"{some(round(hours), 'hour')} (limit {w.rate:g})."
        )
        if level == "unknown":
            minutes, needed = w.short // timedelta(minutes=1), w.calls_needed(self.slo)
            said = f"Up to {end:%Y-%m-%d %H:%M} UTC {some(calls, 'call')} in {minutes} minutes, or the mean "
            said += f"of a week, are too few for a burn rate; {needed} are needed."
        figures = (float(rate), w.rate, 1.0, calls, said)
        return Reading(w.rule, end - w.short, end, level, "errors", w.severity, *figures)


def burn(bins: pl.DataFrame, windows: BurnWindows, slo: float, now: datetime) -> Burn | None:
    """Return how fast the budget of failures burns, every five minutes from the first call on.

    A breach is a rate at or above the windows' in both; clear is well below in the short one. With fewer
    calls in the short window, or usually, than `calls_needed` nothing is known. None means that this never
    was otherwise.

    Args:
        bins: start (UTC, on whole five minutes), calls and errors, of the five minutes with calls.
        windows: the pair of windows.
        slo: share of calls that are to succeed, below 1.
        now: UTC; five minutes that are not over by then are left out.
    """
    needed, inside = windows.calls_needed(slo), bins.filter(pl.col("start") + BIN <= now)
    if inside.is_empty() or needed is None:
        return None
    first: datetime = inside["start"].min()  # type: ignore[assignment]
    length = _grid(inside, now - BIN)
    place = ((inside["start"] - first).dt.total_seconds() // int(BIN.total_seconds())).to_numpy()
    calls, errors = (
        np.bincount(place, inside[name].to_numpy(), length).astype(np.float64) for name in ("calls", "errors")
    )
    recent = _trailing(calls, windows.short)
    usual = _trailing(calls, USUAL_OVER) / (USUAL_OVER / windows.short)
    enough = np.minimum(recent, usual) >= needed
    if not enough.any():
        return None
    short = _trailing(errors, windows.short) / np.maximum(recent, 1) / (1 - slo)
    long = _trailing(errors, windows.long) / np.maximum(_trailing(calls, windows.long), 1) / (1 - slo)
    levels = np.select(
        [~enough, np.minimum(short, long) >= windows.rate, short < WELL_BELOW * windows.rate],
        ["unknown", "breach", "clear"],
        "near",
    )
    return Burn(windows, slo, first + BIN, levels.tolist(), long, recent)


def _grid(bins: pl.DataFrame, last: datetime) -> int:
    """Return how many five minutes there are from the first with calls to the one that `last` lies in."""
    first: datetime = bins["start"].min()  # type: ignore[assignment]
    return int((last - first) / BIN) + 1


def _trailing(counts: npt.NDArray[np.float64], window: timedelta) -> npt.NDArray[np.float64]:
    total, width = np.concatenate([[0.0], np.cumsum(counts)]), int(window / BIN)
    sums = total[1:] - total[np.maximum(np.arange(1, len(total)) - width, 0)]
    return np.asarray(sums, dtype=np.float64)
