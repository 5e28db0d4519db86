"""Alerts with hysteresis: a sequence of readings goes in, a state for each comes out.

An alert opens once and stays one alert, however often its figure crosses the limit, until the figure has been
well below for a while. Missing data changes nothing about an open alert and never counts as well.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Level = Literal["breach", "near", "clear", "unknown"]
"""How a period was read: limit broken beyond chance; neither that nor well below; well below; not judged."""
State = Literal["ok", "firing", "recovering", "no_data"]


@dataclass(frozen=True)
class Hysteresis:
    """How many breaches in a row open an alert, and how many clear periods in a row close it."""

    open_after: int = 1
    close_after: int = 2


def states(levels: Iterable[Level], rule: Hysteresis) -> Iterator[tuple[State, int | None]]:
    """Yield the state after each reading, and the place of the reading that opened the alert, if one is.

    An unknown period counts neither as a breach nor as clear, so it delays what it stands between. Worked
    example with close_after=2: clear, breach, clear, breach, unknown, clear, clear gives ok, firing,
    recovering, firing, firing, recovering, ok: one alert, opened by the second reading.
    """
    state: State = "no_data"
    opened, breaches, clears = None, 0, 0
    for place, level in enumerate(levels):
        if level == "unknown":
            state = state if opened is not None else "no_data"
        elif opened is None:
            breaches = breaches + 1 if level == "breach" else 0
            state = "ok"
            if breaches >= rule.open_after:
                state, opened, clears = "firing", place, 0
        else:
            clears = clears + 1 if level == "clear" else 0
            state = "firing" if level == "breach" else "recovering" if level == "clear" else state
            if clears >= rule.close_after:
                state, opened, breaches = "ok", None, 0
        yield state, opened
