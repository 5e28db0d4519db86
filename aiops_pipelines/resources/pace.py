"""How far long work has come, said now and then: done, rate and time left; and what its steps took."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiops_pipelines.resources.limited_process import cpu_seconds
from aiops_pipelines.wording import count

Tell = Callable[[str], None]
EVERY_SECONDS = 5.0


def quiet(_sentence: str) -> None:
    """Say nothing."""


class Pace:
    """Work of a known size; time left goes by weight, since a long text takes longer than a short one."""

    def __init__(self, doing: str, things: str, total: int, weight: float, tell: Tell):
        self._doing, self._things, self._total, self._weight, self._tell = doing, things, total, weight, tell
        self._done, self._passed = 0, 0.0
        self._start = self._told = time.monotonic()

    def step(self, things: int, weight: float) -> None:
        """Count some things as done; every few seconds, and at the end of work that took longer, say so."""
        self._done, self._passed, now = self._done + things, self._passed + weight, time.monotonic()
        last = self._done == self._total and self._told > self._start
        if now - self._told >= EVERY_SECONDS or last:
            self._told = now
            self._tell(self._sentence(now - self._start))

    def _sentence(self, seconds: float) -> str:
        left = seconds * (self._weight - self._passed) / self._passed if self._passed else 0.0
        return (
            f"{self._doing} {count(self._done)} of {count(self._total)} {self._things}, "
            f"{self._done / seconds:.1f} a second, {left:.0f} s left"
        )


class CpuTime:
    """CPU seconds of this process and of its reader of documents, by step."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        """Count what is done inside towards a step."""
        start = cpu_seconds()
        try:
            yield
        finally:
            self.seconds[step] += cpu_seconds() - start  # type: ignore[assignment]
