"""Guardrails that stop or erode: single stories by hand, then simulated systems with and without something wrong."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.compliance.guardrail_watch import began, guardrail_readings

FIRST = date(2026, 1, 5)
ALPHA = 0.05
Acts = list[tuple[int, int, int]]
"""Acted, stopped and calls by week."""


def acts(**guardrails: Acts) -> pl.DataFrame:
    rows = [
        (FIRST + timedelta(weeks=n), name, "injection", *counts)
        for name, weeks in guardrails.items()
        for n, counts in enumerate(weeks)
    ]
    names = ["week", "guardrail", "category", "acted", "stopped", "calls"]
    return pl.DataFrame(rows, schema=names, orient="row")


def steady(weeks: int, events: int = 20, calls: int = 1000) -> Acts:
    """Counts around a level that vary as Poisson's do."""
    swing = (0, 4, -4, 1, -3, 5, -2, -1)
    return [
        (n, n, calls) for n in (events + round(swing[w % 8] * (events / 20) ** 0.5) for w in range(weeks))
    ]


def read(frame: pl.DataFrame, **since: date) -> pl.DataFrame:
    return guardrail_readings("s", frame, ALPHA, since)


def verdicts(frame: pl.DataFrame, **filters: str) -> list[str]:
    found = frame.filter(**filters) if filters else frame
    return found.sort("week")["verdict"].to_list()


def test_a_guardrail_that_stops_is_found_in_its_first_week_and_goes_on_being_found() -> None:
    found = read(acts(filter=steady(9) + [(0, 0, 1000)] * 20))
    assert verdicts(found)[-20:] == ["fell"] * 20  # the baseline does not get used to it
    row = found.row(-1, named=True)
    assert (row["weeks"], row["events"], row["baseline_weeks"]) == (1, 0, 8)
    assert row["reason"].startswith("0 in the week, 20.0 expected from 8 weeks of its baseline; chance gives")


def test_a_steady_guardrail_holds_and_nothing_is_said_in_its_first_weeks() -> None:
    found = read(acts(filter=steady(13)))
    assert found["week"].min() == FIRST + timedelta(weeks=5)  # the week it began and four after it
    assert set(verdicts(found)) == {"held"} and not found["eroding"].any()


def test_half_is_not_much_less() -> None:
    found = read(acts(filter=steady(9, 400) + steady(1, 240)))
    assert found["verdict"][-1] == "held" and found["chance"][-1] < 1e-3


def test_blocks_that_become_flags_are_found() -> None:
    found = read(acts(filter=steady(9) + [(20, 0, 1000)] * 2)).filter(week=FIRST + timedelta(weeks=10))
    assert dict(found.select("measure", "verdict").iter_rows()) == {"stopped": "fell", "acted": "held"}


def test_flags_that_become_blocks_are_no_fall() -> None:
    flags = [(n, 0, 1000) for n, _, _ in steady(9)]
    assert "fell" not in verdicts(read(acts(filter=flags + steady(9))))


def test_a_rare_guardrail_is_judged_by_several_weeks_together() -> None:
    found = read(acts(filter=[(2, 2, 900)] * 13 + [(0, 0, 900)] * 8))
    assert found.filter(verdict="fell").row(0, named=True)["weeks"] in (2, 4)
    assert found.filter(week=FIRST + timedelta(weeks=12))["verdict"].item() == "held"


def test_one_that_hardly_ever_acts_cannot_be_told() -> None:
    found = read(acts(filter=[(1, 1, 900), *[(0, 0, 900), (1, 1, 900)] * 5, *[(0, 0, 900)] * 3]))
    assert set(verdicts(found)) == {"cannot tell"}
    assert (
        found["reason"][-1].endswith("chance could bring none at all.")
        or "may do that" in found["reason"][-1]
    )


def test_a_week_without_calls_tells_nothing_and_is_no_zero() -> None:
    found = read(acts(filter=[*steady(9), (0, 0, 0), *steady(3)]))
    silent = found.filter(week=FIRST + timedelta(weeks=9)).row(0, named=True)
    assert (silent["verdict"], silent["events"], silent["eroding"]) == ("cannot tell", None, None)
    assert verdicts(found)[-3:] == ["held"] * 3


def test_fewer_calls_are_expected_to_bring_fewer_acts() -> None:
    found = read(acts(filter=steady(9) + [(2, 2, 100)] * 2))
    assert "fell" not in verdicts(found)


def test_users_that_multiply_do_not_make_attackers_few() -> None:
    growing = [(n, s, 1000 * (1 + week)) for week, (n, s, _) in enumerate(steady(20))]
    found = read(acts(filter=growing))
    assert set(verdicts(found)) == {"held"} and not found["eroding"].any()


def test_a_slow_decline_is_erosion_long_before_half_is_gone() -> None:
    falling = [(n, n, 1000) for n in (round(60 * 0.95**week) for week in range(14))]
    found = read(acts(filter=falling))
    last = found.row(-1, named=True)
    assert last["verdict"] != "fell" and last["eroding"]
    assert last["weekly_change_low"] < last["weekly_change"] < last["weekly_change_high"] < 0
    assert last["weekly_change"] == pytest.approx(-0.05, abs=0.01)


def test_a_change_on_purpose_starts_anew_and_one_taken_out_is_not_missed() -> None:
    frame = acts(old=steady(9) + [(0, 0, 1000)] * 9, new=[(0, 0, 1000)] * 9 + steady(9))
    assert "fell" in verdicts(read(frame), guardrail="old")
    found = read(frame, old=FIRST + timedelta(weeks=9)).filter(pl.col("week") >= FIRST + timedelta(weeks=9))
    assert set(found["guardrail"]) == {"new"}
    assert began(frame.rows(named=True), FIRST + timedelta(weeks=9)) == ["new"]
    assert began(frame.rows(named=True), FIRST + timedelta(weeks=11)) == []


def test_the_weeks_that_are_wanted_are_read_as_among_all() -> None:
    frame, week = acts(filter=[*steady(12), (0, 0, 1000)]), FIRST + timedelta(weeks=12)
    assert guardrail_readings("s", frame, ALPHA, weeks=[week]).equals(read(frame).filter(week=week))


def test_of_two_only_the_one_that_stopped_is_blamed() -> None:
    found = read(acts(one=[*steady(9), (0, 0, 1000)], two=steady(10)))
    last = found.filter(week=FIRST + timedelta(weeks=9))
    assert dict(last.select("guardrail", "verdict").iter_rows()) == {"one": "fell", "two": "held"}


def simulated(
    seed: int,
    means: list[float],
    weeks: int = 40,
    burst: float = 1,
    swing: float = 0,
    left: Callable[[int], float] = lambda _: 1.0,
) -> pl.DataFrame:
    """A system whose guardrails act in bursts (geometric, of mean `burst`) at a level that swings (log-normal)."""
    random = np.random.default_rng(seed)
    found: dict[str, Acts] = {f"g{n}": [] for n in range(len(means))}
    for week in range(weeks):
        calls = int(random.poisson(1000))
        for name, mean in zip(found, means, strict=True):
            level = mean * left(week) * random.lognormal(-(swing**2) / 2, swing)
            bursts = random.poisson(level / burst)
            events = int(random.geometric(1 / burst, bursts).sum())
            found[name].append((events, events, calls))
    return read(acts(**found))


def shares(worlds: int, **world: object) -> tuple[float, float]:
    """Shares of weeks in which any guardrail is said to have fallen, and to erode."""
    weeks = [
        simulated(seed, **world).group_by("week").agg(fell=(pl.col("verdict") == "fell").any(), erodes=pl.col("eroding").fill_null(False).any())  # type: ignore[arg-type]
        for seed in range(worlds)
    ]  # fmt: skip
    whole = pl.concat(weeks)
    return float(whole["fell"].mean()), float(whole["erodes"].mean())  # type: ignore[arg-type]


def test_stable_systems_hardly_ever_alarm() -> None:
    fell, erodes = shares(12, means=[20, 20, 20])
    assert fell <= ALPHA and erodes <= 2 * ALPHA  # weeks of one world hang together


@pytest.mark.slow
@pytest.mark.parametrize(
    "world",
    [
        {"means": [20] * 3},
        {"means": [5, 60, 8]},
        {"means": [1, 2, 3]},
        {"means": [200] * 2},
        {"means": [20] * 3, "burst": 4},
        {"means": [5, 60, 8], "burst": 4},
        {"means": [20] * 3, "burst": 12},
        {"means": [200] * 2, "burst": 12},
        {"means": [20] * 3, "swing": 0.4},
        {"means": [20] * 3, "burst": 4, "swing": 0.4},
    ],
)
def test_stable_systems_of_every_kind_keep_the_level(world: dict[str, object]) -> None:
    fell, erodes = shares(100, **world)
    assert fell <= 1.3 * ALPHA and erodes <= 2 * ALPHA


@pytest.mark.parametrize(
    ("mean", "burst", "within", "power"), [(20, 1, 1, 0.95), (5, 1, 3, 0.9), (20, 4, 4, 0.8), (60, 4, 2, 0.9)]
)
def test_a_stop_is_found(mean: float, burst: float, within: int, power: float) -> None:
    off, worlds = 20, 30
    hits = 0
    for seed in range(worlds):
        found = simulated(seed, [mean, 40], off + within, burst, left=lambda week: float(week < off))
        late = found.filter(pl.col("week") >= FIRST + timedelta(weeks=off), guardrail="g0")
        hits += "fell" in late["verdict"].to_list()
    assert hits / worlds >= power


def test_erosion_is_found() -> None:
    worlds = 20
    hits = sum(
        bool(simulated(seed, [30, 30], 20, left=lambda week: 0.94**week)["eroding"][-1])
        for seed in range(worlds)
    )
    assert hits / worlds >= 0.9
