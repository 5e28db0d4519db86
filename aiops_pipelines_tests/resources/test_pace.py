"""Progress of long work: said every few seconds, with the rate and the time left by weight."""

import pytest

from aiops_pipelines.resources import pace
from aiops_pipelines.resources.pace import Pace


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    return now


def test_rate_is_by_things_and_time_left_by_weight(clock):
    said: list[str] = []
    work = Pace("embedded", "texts", 40, 1_000.0, said.append)
    clock[0] += 4.0
    work.step(10, 100.0)
    assert said == []
    clock[0] += 6.0  # 10 s for a fifth of the weight, so four times as long is left
    work.step(10, 100.0)
    assert said == ["embedded 20 of 40 texts, 2.0 a second, 40 s left"]
    clock[0] += 1.0
    work.step(20, 800.0)
    assert said[1:] == ["embedded 40 of 40 texts, 3.6 a second, 0 s left"]


def test_short_work_says_nothing(clock):
    said: list[str] = []
    work = Pace("cut", "documents", 2, 2.0, said.append)
    clock[0] += 1.0
    work.step(1, 1.0)
    work.step(1, 1.0)
    assert said == []
