"""Whether a remedy held, against periods and effects worked out by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from aiops_pipelines.incidents.course import EVENTS
from aiops_pipelines.incidents.facts import Facts, Reading
from aiops_pipelines.incidents.lifecycle import incidents
from aiops_pipelines.incidents.remedies import REMEDIES
from aiops_pipelines.incidents.remedy_effects import Effect, of_pairs, of_shares
from aiops_pipelines.incidents.remedy_proof import PROOFS, Known, proofs
from aiops_pipelines.incidents.remedy_spans import Span
from aiops_pipelines.incidents.remedy_words import told, with_proofs, worst
from aiops_pipelines.incidents.rules import SIGNALS, readings
from aiops_pipelines.monitoring.daily_alerts import Day
from aiops_pipelines.monitoring.daily_alerts import errors as read_errors
from aiops_pipelines.systems import Limits

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
NOW = MONDAY + 6 * WEEK
STALE = ("index_stale", "", "index_staleness")
CHANGES = {"system": pl.String, "occurred_at": pl.Datetime("us", "UTC"), "endpoint": pl.String}
CHANGES |= dict.fromkeys(("what", "before", "after"), pl.String)


def week(number: int, hours: int = 0) -> datetime:
    return MONDAY + number * WEEK + timedelta(hours=hours)


def effect(value: float = 0.2, half: float = 0.1) -> Effect:
    return Effect(value, value - half, value + half, "share of calls")


class World:
    """A system whose weekly limit of 0.02 broke in some weeks; remedies by when they took effect."""

    def __init__(self, broken: Sequence[int], calm: Sequence[int], *remedies: datetime, now: datetime = NOW):
        self.now, self.changes = now, pl.DataFrame(schema=CHANGES)
        self.readings: list[tuple[str, Reading]] = []
        self.add(STALE, broken, calm)
        self.remedies = list(remedies)
        self.others: list[dict[str, Any]] = []

    def add(self, rule: tuple[str, str, str], broken: Sequence[int], calm: Sequence[int]) -> None:
        name, subject, cause = rule
        for number in sorted([*broken, *calm]):
            bad = number in broken
            figures = "P2", 0.5 if bad else 0.01, 0.02, "So it is.", subject
            self.readings.append((name, Reading(week(number), week(number + 1), bad, cause, *figures)))

    @property
    def signals(self) -> pl.DataFrame:
        rows = [
            ("s", r.start, r.end, name, r.subject, r.cause, r.severity, r.value, r.limit, r.evidence)
            for name, r in self.readings
            if r.broken
        ]
        return pl.DataFrame(rows, schema=SIGNALS, orient="row")

    def known(self) -> Known:
        found = incidents(self.signals, pl.DataFrame(schema=EVENTS), self.now)
        number = found["incident_id"][0]
        rows = [
            {"system": "s", "incident_id": number, "remedy_id": f"REM-{n}", "at": at, "recorded_at": self.now}
            | {"kind": "index", "did": "Re-indexed.", "actor": "Mira", "run_id": None, "outcome": None}
            for n, at in enumerate(self.remedies)
        ]
        remedies = pl.DataFrame([*rows, *self.others], schema=REMEDIES)
        return Known(self.now, Limits(), found, remedies, self.signals, self.readings, self.changes)

    def judged(self, found: Effect | str = "nobody counts") -> list[dict[str, Any]]:
        return proofs("s", self.known(), lambda *_: found).sort("remedied_at", "signal", "subject").to_dicts()

    def one(self, found: Effect | str = "nobody counts") -> dict[str, Any]:
        (row,) = self.judged(found)
        return row


NO_EFFECT, SHOWN, UNSURE, WORSE = "nobody counts", effect(), effect(half=0.3), effect(-0.2)


@pytest.mark.parametrize(
    ("broken", "calm", "found", "verdict"),
    [
        ([0, 1], [2, 3], SHOWN, "held"),
        ([0, 1], [2, 3], NO_EFFECT, "held"),
        ([0, 1], [2, 3], UNSURE, "CANNOT TELL"),
        ([0, 1], [2, 3], WORSE, "CANNOT TELL"),
        ([0, 1, 3], [2], SHOWN, "better, not back"),
        ([0, 1, 2], [3], SHOWN, "better, not back"),
        ([0, 1, 3], [2], UNSURE, "not held"),
        ([0, 1, 3], [2], WORSE, "not held"),
        ([0, 1, 3], [2], NO_EFFECT, "not held"),
        ([0, 1], [], SHOWN, "CANNOT TELL"),
    ],
)
def test_the_verdict_follows_from_the_periods_since_and_the_effect(
    broken: list[int], calm: list[int], found: Effect | str, verdict: str
) -> None:
    row = World(broken, calm, week(2)).one(found)
    assert row["verdict"] == verdict
    assert (row["periods_before"], row["periods_after"]) == (2, len(calm) + len(broken) - 2)


def test_every_figure_of_a_row_is_there() -> None:
    row = World([0, 1], [2, 3], week(2)).one(SHOWN)
    assert list(row) == list(PROOFS)
    assert (row["value_before"], row["value_after"], row["limit_value"]) == (0.5, 0.01, 0.02)
    assert (row["effect"], row["effect_low"]) == pytest.approx((0.2, 0.1))
    assert row["p_value"] == row["p_adjusted"] == pytest.approx(4.4e-5, rel=0.01)  # 3.92 standard errors
    assert (row["judged_until"], row["waits_until"], row["periods_broken"]) == (week(4), None, 0)
    assert "Calm in all 2 whole weeks judged since, up to 29 Jun" in row["reason"].replace("\u00a0", " ")


def test_a_period_that_straddles_the_remedy_counts_for_neither_side() -> None:
    """At 6 o'clock of the third Monday: that week is broken by its first hours alone."""
    row = World([0, 1, 2], [3], week(2, 6)).one(SHOWN)
    assert (row["periods_before"], row["periods_after"], row["verdict"]) == (2, 1, "held")
    row = World([0, 1, 2], [3], week(2)).one(UNSURE)
    assert (row["periods_before"], row["periods_after"], row["verdict"]) == (2, 2, "not held")


def test_a_week_that_is_not_over_says_nothing_and_is_waited_for() -> None:
    world = World([0, 1], [2], week(2, 6), now=week(3, 5))
    row = world.one()
    assert (row["verdict"], row["periods_after"], row["waits_until"]) == ("CANNOT TELL", 0, week(4))
    assert "No whole week was judged since; the first that can be ends 29 Jun" in row["reason"].replace(
        "\u00a0", " "
    )
    assert World([0, 1], [], week(2), now=week(2, 5)).one()["waits_until"] == week(3)
    # the week from 15 June went by without a reading: the one that runs now is waited for
    assert World([0, 1], [], week(2), now=week(3, 5)).one()["waits_until"] == week(4)


@pytest.mark.parametrize(
    ("rule", "ends"),
    [
        (("spend_anomaly", "", "cost_anomaly"), datetime(2026, 6, 17, tzinfo=UTC)),
        (("monthly_budget", "", "budget"), datetime(2026, 8, 1, tzinfo=UTC)),
        (("silence", "", "no_data"), None),
    ],
)
def test_what_is_waited_for_is_a_period_of_the_rule(
    rule: tuple[str, str, str], ends: datetime | None
) -> None:
    world = World([], [], week(2, 6), now=week(2, 7))
    world.add(rule, [0, 1], [])
    row = world.one()
    assert (row["verdict"], row["waits_until"]) == ("CANNOT TELL", ends)


def test_a_remedy_is_judged_up_to_the_next_one_and_from_the_one_before() -> None:
    world = World([0, 1, 2], [3, 4], week(1), week(3))
    sides: list[tuple[Span, Span]] = []

    def noted(_: str, __: str, before: Span, after: Span) -> Effect:
        sides.append((before, after))
        return effect(half=0.3)

    first, second = proofs("s", world.known(), noted).sort("remedied_at").to_dicts()
    assert sides == [
        (Span(week(0), week(1)), Span(week(1), week(3))),
        (Span(week(2), week(3)), Span(week(3), week(6))),  # week 1 raised the alarm again
    ]
    assert (first["verdict"], first["judged_until"]) == ("not held", week(3))
    assert (second["verdict"], second["periods_before"]) == ("CANNOT TELL", 2)
    assert any("REM-1 of" in said for said in second["also_changed"]) is False
    assert any("REM-0 of" in said for said in second["also_changed"])


def test_a_wrong_remedy_gets_no_credit_for_a_later_recovery() -> None:
    """Where a period since is broken it is that one which is compared, not the calm ones after it."""
    compared: list[Span] = []

    def noted(_: str, __: str, before: Span, after: Span) -> Effect:
        compared.append(after)
        return effect(0.03, 0.06)

    (row,) = proofs("s", World([0, 1], [2, 3, 4], week(1)).known(), noted).to_dicts()
    assert compared == [Span(week(1), week(2))] and row["verdict"] == "not held"
    assert (row["periods_after"], row["periods_broken"], row["value_after"]) == (4, 1, 0.5)


def test_a_next_remedy_within_the_period_leaves_the_first_untold() -> None:
    first, second = World([0, 1], [3], week(2, 1), week(2, 30)).judged()
    assert (first["verdict"], first["waits_until"]) == ("CANNOT TELL", None)
    assert first["reason"] == "The next remedy came before a whole week since was judged."
    assert second["verdict"] == "held"


def test_two_remedies_of_one_moment_are_judged_by_the_same_periods_and_name_each_other() -> None:
    first, second = World([0, 1], [2, 3], week(2), week(2)).judged(SHOWN)
    assert first["periods_after"] == second["periods_after"] == 2
    assert "REM-1" in first["reason"] and "REM-0" in second["reason"]


def test_a_remedy_in_the_first_period_has_nothing_before_it() -> None:
    row = World([0], [1], week(0, 5)).one(SHOWN)
    assert (row["effect"], row["verdict"], row["value_before"]) == (None, "held", None)
    assert "no whole period before it broke the limit" in row["reason"]


def test_once_calm_the_stretch_ends_where_another_incident_begins() -> None:
    """Weeks 0 and 1 are one incident; the break of week 4, three calm weeks later, is another one's."""
    world = World([0, 1, 4], [2, 3, 5], week(2))
    (first, *_) = world.known().incidents.rows(named=True)
    assert world.known().incidents.height == 2 and first["signals"] == 2
    row = world.one(SHOWN)
    assert (row["verdict"], row["judged_until"], row["periods_after"]) == ("held", week(4), 2)


def test_a_break_right_after_the_remedy_counts_whatever_is_blamed_for_it() -> None:
    world = World([], [], week(2))
    world.add(("quality_degraded", "m (known)", "model_change"), [0, 1], [])
    world.add(("quality_degraded", "m (known)", "prompt_change"), [2], [3])
    (row, *_) = proofs("s", world.known(), lambda *_: UNSURE).to_dicts()
    assert row["verdict"] == "not held"


def test_holms_correction_is_over_the_limits_of_the_remedy() -> None:
    """One-sided 0.01, 0.02 and 0.04 of three metrics become 0.03, 0.04 and 0.04: all shown; 0.024 of two fails."""
    world = World([], [], week(2))
    names = [f"m{n} (known)" for n in range(3)]
    for name in names:
        world.add(("quality_degraded", name, "model_change"), [0, 1], [2])
    by_name = dict(zip(names, (2.326, 2.054, 1.99), strict=True))  # normal deviates: p 0.01, 0.02 and 0.0233

    def of(_: str, subject: str, *__: Span) -> Effect:
        z = by_name[subject]
        return Effect(z, z - 1.96, z + 1.96, "score")

    rows = proofs("s", world.known(), of).sort("subject").to_dicts()
    assert [row["p_value"] for row in rows] == pytest.approx([0.01, 0.02, 0.0233], abs=1e-4)
    assert [row["p_adjusted"] for row in rows] == pytest.approx([0.03, 0.04, 0.04], abs=1e-4)
    assert {row["verdict"] for row in rows} == {"held"} and "by Holm over 3 limits" in rows[0]["reason"]
    by_name["m0 (known)"], by_name["m1 (known)"] = 2.0, 2.0  # 0.0228 three times: 0.068
    assert {row["verdict"] for row in proofs("s", world.known(), of).to_dicts()} == {"CANNOT TELL"}


def test_one_period_that_raised_the_alarm_was_picked_for_it() -> None:
    """From 0.021 at a limit of 0.02 to 0.01, 2.5 errors better: 2.27 of them were bound to be there."""
    world = World([0], [1], week(1))
    (name, first), calm = world.readings
    picked = Reading(*(first.start, first.end, True, first.cause, "P2", 0.021, 0.02, "", ""))
    world.readings = [(name, picked), calm]
    near = Effect(2.5, 2.5 - 1.959964, 5, "share of calls")
    row = world.one(near)
    assert row["p_value"] == pytest.approx(0.00621 / 0.0115, abs=0.01) and row["verdict"] == "CANNOT TELL"
    assert "it may have passed by itself" in row["reason"]
    assert World([0, 1], [2], week(2)).one(near)["verdict"] == "held"  # two in a row are no chance


def test_what_else_changed_is_listed_up_to_the_end_of_what_was_judged() -> None:
    world = World([0, 1], [2], week(2))
    said = [
        ("prompt_version", "v1", "v2", 1),
        ("model_served", "m1", "m2", 2),
        ("index_version", "a", "b", 3),
    ]
    rows = [
        ("s", week(number, hour), endpoint, what, before, after)
        for what, before, after, number in said
        for hour, endpoint in ((5, "ask"), (3, "draft"))
    ]
    rows.append(("s", week(0) - timedelta(days=1), "ask", "model_served", "m0", "m1"))
    world.changes = pl.DataFrame(rows, schema=CHANGES, orient="row")
    world.others = [
        {"system": "s", "incident_id": "INC-9", "remedy_id": "REM-9", "at": week(2, 3), "recorded_at": NOW}
        | {"kind": "other", "did": "Else.", "actor": "Ada", "run_id": None, "outcome": None}
    ]
    row = world.one(SHOWN)
    assert [said.replace("\u00a0", " ") for said in row["also_changed"]] == [
        "prompt version v1 to v2 (8 Jun 2026)",
        "model served m1 to m2 (15 Jun 2026)",
        "remedy REM-9 of INC-9 (15 Jun 2026)",
    ]
    assert row["reason"].endswith("before and after is no proof of cause.")
    assert "Nothing else is known to have changed" in World([0, 1], [2], week(2)).one(SHOWN)["reason"]


def test_a_worse_index_is_remedied_by_the_index_that_follows_it_in_the_middle_of_a_week() -> None:
    """Each is held against the one before it: a drop of 10 % of 0.8, and then a rise by as much."""
    at = {"worse": week(0, 60), "better": week(0, 100)}
    rows = [
        {"valid_from": at[verdict], "ranker": "dense", "before": 0.8, "difference": difference}
        | {"verdict": verdict, "reason": "So it is."}
        for verdict, difference in (("better", 0.08), ("worse", -0.08))
    ]
    world = World([], [], at["better"])

    def found(rows: list[dict[str, Any]]) -> list[tuple[str, Reading]]:
        return readings(Facts("s", NOW, retrieval_changes=pl.DataFrame(rows)), Limits())

    world.readings = found(rows)
    sides: list[tuple[Span, Span]] = []

    def of(_: str, __: str, before: Span, since: Span) -> Effect | str:
        sides.append((before, since))
        return SHOWN

    (row,) = proofs("s", world.known(), of).to_dicts()
    assert (row["periods_before"], row["periods_after"], row["verdict"]) == (1, 1, "held")
    assert sides == [(Span(at["worse"], at["better"]), Span(at["better"], NOW))]
    assert row["judged_until"] == at["better"] + timedelta(microseconds=1)
    # 3.92 standard errors; as good as before the drop, so 0.02 of 0.1 lies below the limit: 0.78 + 1.645
    assert row["p_value"] == pytest.approx(norm.sf(3.92) / norm.sf(0.2 * 3.92 + 1.645), rel=0.01)

    world.readings = found([*rows, rows[1] | {"valid_from": week(1, 30)}])
    (row,) = proofs("s", world.known(), of).to_dicts()
    assert (row["periods_broken"], row["verdict"]) == (1, "better, not back")
    assert sides[-1][1] == Span(week(1, 30), row["judged_until"])

    world.remedies = [at["better"] - timedelta(days=1), at["better"]]
    first, _ = proofs("s", world.known(), of).sort("remedied_at").to_dicts()
    assert (first["periods_after"], first["verdict"]) == (0, "CANNOT TELL")  # the index is the second one's


def alert(rule: str, *read: tuple[datetime, datetime, bool]) -> list[tuple[str, Reading]]:
    """Readings of a service alert: start, end and whether it breaks its limit of 10 %."""
    return [
        ("service_alert", Reading(start, end, bad, "errors", "P2", 0.3 if bad else 0.01, 0.1, "", rule))
        for start, end, bad in read
    ]


def test_a_burn_rate_is_no_day_and_is_compared_over_the_hours_on_either_side() -> None:
    minutes = timedelta(minutes=5)
    world = World([], [], week(0, 14), now=week(0, 16))
    read = [(week(0, hour) - minutes, week(0, hour), hour < 15) for hour in (12, 13, 15)]
    world.readings = alert("burn_rate_1h", *read)
    sides: list[Span] = []

    def of(_: str, __: str, before: Span, since: Span) -> Effect | str:
        sides.extend((before, since))
        return SHOWN

    (row,) = proofs("s", world.known(), of).to_dicts()
    assert sides == [Span(week(0, 12), week(0, 14)), Span(week(0, 14), week(0, 16))]
    assert row["verdict"] == "held" and row["reason"].startswith("Calm in the reading judged since")


def test_a_day_that_is_not_over_judges_nothing() -> None:
    world = World([], [], week(0, 36), now=week(0, 57))
    world.readings = alert(
        "errors", (week(0), week(0, 24), True), (week(0, 48), week(0, 57), True)
    )  # the second broke by nine in the morning
    row = world.one(SHOWN)
    assert (row["periods_after"], row["verdict"], row["waits_until"]) == (0, "CANNOT TELL", week(0, 72))
    world.now = week(0, 72)
    world.readings = alert("errors", (week(0), week(0, 24), True), (week(0, 48), week(0, 72), True))
    assert world.one(SHOWN)["verdict"] == "better, not back"


def test_no_rule_judges_what_a_person_reported() -> None:
    world = World([0], [1], week(1))
    known = world.known()
    reported = Known(
        NOW, Limits(), known.incidents, known.remedies, SIGNALS.to_frame(), world.readings, known.changes
    )
    (row,) = proofs("s", reported, lambda *_: SHOWN).to_dicts()
    assert (row["signal"], row["verdict"]) == ("", "CANNOT TELL") and "people judge" in row["reason"]


def test_a_remedy_is_told_with_the_worst_of_its_limits_and_its_changes_once() -> None:
    world = World([0, 1], [2], week(2))
    world.add(("scores_missing", "m (known)", "index_staleness"), [1, 2], [])
    known = world.known()
    ((remedy, found),) = with_proofs(known.remedies, proofs("s", known, lambda *_: SHOWN))
    assert worst(found) == "better, not back" and worst([]) is None
    first, *others = told(remedy, found)
    assert first[0] == "warn" and first[1].endswith("Re-indexed. Better, not back.")
    assert [sentence.split(".")[0] for _, sentence in others[:2]] == [
        "scores missing, m (known): better, not back",
        "index stale: held",
    ]
    assert sum("no proof of cause" in sentence for _, sentence in others) == 1
    (only,) = told(remedy, [])
    assert only[0] == "unknown" and only[1].endswith("Not judged yet: the next run does.")


# What chance gives: slow


def shares(random: np.random.Generator, level: float, days: int) -> np.ndarray:
    """Failures of days of 60 users with two calls each, which hang together a little."""
    own = random.beta(level * 20, (1 - level) * 20, (days, 1, 60))
    return random.random((days, 2, 60)) < own


def day(failures: int, number: int) -> Reading | None:
    """Read a day's failures as the daily rule does, against the limit alone; None where it is not judged."""
    limits = Limits()
    start = MONDAY + timedelta(days=number)
    counted = Day(start.date(), 120, failures)
    level, severity, value, limit, *_ = read_errors(counted, {}, limits, limits.alpha / 35)
    if level not in ("breach", "clear"):
        return None
    figures = "errors", severity, value, limit, "", "errors"
    return Reading(start, start + timedelta(days=1), level == "breach", *figures)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "before", "after"),
    [
        (0.05, 1, 1),  # the level of the limit: the alarm itself is chance
        (0.05, 2, 3),
        (0.08, 3, 1),  # a trouble that goes on
        (0.08, 1, 5),
    ],
)
def test_where_nothing_changed_hardly_any_remedy_is_said_to_have_held(
    level: float, before: int, after: int
) -> None:
    """The first day is one that breaks the limit, or there were no incident; the remedy does nothing."""
    random, users = np.random.default_rng(7), [f"u{n}" for n in range(60)] * 2
    least = next(n for n in range(120) if (reading := day(n, 0)) and reading.broken)
    some = np.concatenate([shares(random, level, 20_000) for _ in range(6)])
    alarms = some[some.sum(axis=(1, 2)) >= least]
    assert len(alarms) > 100
    held = worlds = 0
    while worlds < 400:
        first = alarms[random.integers(len(alarms))]
        calls = [first, *shares(random, level, before - 1 + after)]
        read = [day(int(one.sum()), number) for number, one in enumerate(calls)]
        worlds += 1  # also where no day since is judged: the calls are there, and nothing is told

        def of(_: str, __: str, *sides: Span, calls: Any = calls) -> Effect | str:
            days = [[calls[(one - MONDAY.date()).days].ravel() for one in side.days] for side in sides]
            was, now = (np.concatenate(side).tolist() for side in days)
            return of_shares(was, users * len(days[0]), now, users * len(days[1]))

        world = World([], [], MONDAY + timedelta(days=before), now=MONDAY + timedelta(days=before + after))
        world.readings = [("service_alert", r) for r in read if r]
        held += [row["verdict"] for row in proofs("s", world.known(), of).to_dicts()] == ["held"]
    assert held <= 0.05 * worlds, held / worlds


@pytest.mark.slow
def test_a_remedy_that_works_is_said_to_have_held() -> None:
    """Beside it: of a hundred queries scored 0.2 better, all are found."""
    random = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        base = random.uniform(0.2, 0.7, 100)
        worse, better = base + random.normal(0, 0.1, 100), base + 0.2 + random.normal(0, 0.1, 100)
        found = of_pairs(worse.clip(0, 1), better.clip(0, 1), "score")
        held += World([0], [1], week(1)).one(found)["verdict"] == "held"
    assert held >= 95
