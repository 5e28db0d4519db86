"""Hysteresis: when an alert opens, stays and closes, and what missing data does to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.monitoring.alert_states import Hysteresis, Level, State, states

LETTERS: dict[str, Level] = {"B": "breach", "n": "near", "c": "clear", "?": "unknown"}
STATES: dict[State, str] = {"ok": "o", "firing": "F", "recovering": "r", "no_data": "-"}
levels = st.lists(st.sampled_from(list(LETTERS.values())), max_size=40)
rules = st.builds(Hysteresis, st.integers(1, 4), st.integers(1, 4))


def course(letters: str, rule: Hysteresis = Hysteresis()) -> str:  # noqa: B008, RUF100 - frozen
    return "".join(STATES[state] for state, _ in states([LETTERS[letter] for letter in letters], rule))


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ("ccc", "ooo"),
        ("cBcc", "oFro"),
        ("cBcBcBcBcc", "oFrFrFrFro"),  # flapping is one alert
        ("cBncc", "oFFro"),  # near is not well below
        ("cBcncc", "oFrrro"),  # and starts the count of clear periods again
        ("cB????cc", "oFFFFFro"),  # missing data freezes it
        ("cBc?c", "oFrro"),  # and delays recovery, no more
        ("c??c", "o--o"),
        ("???", "---"),
        ("n", "o"),
        ("", ""),
    ],
)
def test_course_of_an_alert(read: str, said: str) -> None:
    assert course(read) == said


def test_several_breaches_in_a_row_open_when_the_rule_says_so() -> None:
    assert course("BcBB", Hysteresis(open_after=2)) == "oooF"
    assert course("B?B", Hysteresis(open_after=2)) == "o-F"


def test_an_alert_keeps_the_place_it_opened_at_until_it_closes() -> None:
    found = [
        opened for _, opened in states(["clear", "breach", "clear", "breach", "clear", "clear"], Hysteresis())
    ]
    assert found == [None, 1, 1, 1, 1, None]


@given(levels, rules)
def test_what_is_unknown_never_reads_as_healthy_and_never_closes(read: list[Level], rule: Hysteresis) -> None:
    found = list(states(read, rule))
    for place, (level, (state, opened)) in enumerate(zip(read, found, strict=True)):
        before, opened_before = found[place - 1] if place else ("no_data", None)
        if level == "unknown":
            assert state != "ok"
            assert opened == opened_before
            assert state == (before if opened is not None else "no_data")


@given(levels, rules)
def test_an_alert_is_open_exactly_while_firing_or_recovering(read: list[Level], rule: Hysteresis) -> None:
    for place, (state, opened) in enumerate(states(read, rule)):
        assert (opened is not None) == (state in ("firing", "recovering"))
        if opened is not None:
            assert opened <= place and read[opened] == "breach"


@given(st.lists(st.sampled_from(["breach", "clear"]), max_size=60), st.integers(2, 5))
def test_an_alert_that_closed_was_clear_for_as_long_as_the_rule_says(
    read: list[Level], close_after: int
) -> None:
    found = list(states(read, Hysteresis(1, close_after)))
    for place in range(1, len(found)):
        if found[place][1] is None and found[place - 1][1] is not None:
            assert read[place - close_after + 1 : place + 1] == ["clear"] * close_after
