"""The control matrix and the legal facts: complete, consistent, and never more than the figures say."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aiops_pipelines.compliance.controls import (
    Control,
    controls,
    evaluate,
    is_stale,
    kept_too_short,
    legal_facts,
)
from aiops_pipelines.compliance.deadlines import months_later
from aiops_pipelines.compliance.figures import Figure, figures
from aiops_pipelines.systems import Retention
from aiops_pipelines_tests.compliance.august import evidence

KNOWN = figures(evidence())
CHECKED = date(2026, 11, 23)


def figure(value: int | None) -> Figure:
    return Figure(
        "a.b", "Things", value, "count", "select 1", "", "" if value is not None else "nothing was logged"
    )


def control(evidence: tuple[str, ...], not_computed: tuple[str, ...] = ()) -> Control:
    return Control(
        id="R0",
        requirement="x",
        section=1,
        profiles=("regulated",),
        evidence=evidence,
        not_computed=not_computed,
    )


def test_the_matrix_has_the_twenty_controls_in_order() -> None:
    assert [row.id for row in controls()] == [f"R{n}" for n in range(1, 21)]


def test_every_control_can_be_printed() -> None:
    for row in controls():
        assert row.evidence or row.not_computed, row.id
        assert set(row.evidence) <= set(KNOWN), row.id
        assert 1 <= row.section <= 7
        assert "regulated" in row.profiles


def test_a_zero_is_evidence_and_a_missing_figure_is_not() -> None:
    row = evaluate(control(("zero", "none")), {"zero": figure(0), "none": figure(None)}, "regulated")
    assert row.status == "PARTLY EVIDENCED"
    assert [cell.figure is not None for cell in row.cells] == [True, False]
    assert row.cells[1].reason == "nothing was logged"


@pytest.mark.parametrize(
    ("values", "not_computed", "expected"),
    [
        ((1, 2), (), "EVIDENCED"),
        ((1,), ("drill",), "PARTLY EVIDENCED"),
        ((None,), ("drill",), "NOT EVIDENCED"),
        ((), ("drill",), "NOT EVIDENCED"),
    ],
)
def test_status_adds_up_the_cells(
    values: tuple[int | None, ...], not_computed: tuple[str, ...], expected: str
) -> None:
    known = {f"f{n}": figure(value) for n, value in enumerate(values)}
    assert evaluate(control(tuple(known), not_computed), known, "regulated").status == expected


@given(st.lists(st.one_of(st.none(), st.integers()), max_size=5), st.integers(0, 3))
def test_evidenced_means_every_cell_is(values: list[int | None], gaps: int) -> None:
    known = {f"f{n}": figure(value) for n, value in enumerate(values)}
    row = evaluate(control(tuple(known), tuple("abc"[:gaps])), known, "regulated")
    if values or gaps:
        assert (row.status == "EVIDENCED") == (gaps == 0 and None not in values)
    assert all(cell.figure or cell.reason for cell in row.cells)


def test_a_profile_that_is_not_asked_still_sees_the_control() -> None:
    hipaa = next(row for row in controls() if row.id == "R11")
    assert not evaluate(hipaa, KNOWN, "light").asked
    assert evaluate(hipaa, KNOWN, "light").cells == evaluate(hipaa, KNOWN, "regulated").cells


LONGEST = {"R2": 6, "R12": 72, "R16": 72, "R17": 12}
"""Months for which the controls want records."""


def test_terms_are_the_most_days_that_their_months_can_have() -> None:
    days = [date(2096, 1, 1) + timedelta(days=n) for n in range(8 * 366)]  # 2100 is no leap year
    most = {row: max((months_later(day, n) - day).days for day in days) for row, n in LONGEST.items()}
    assert {row.id: row.kept_days for row in controls() if row.kept_days} == most
    assert Retention().audit_days == max(most.values())
    with pytest.raises(ValidationError, match="audit_days"):
        Retention(audit_days=most["R2"] - 1)


@pytest.mark.parametrize(
    ("audit_days", "short"), [(184, ["R12", "R16", "R17"]), (2191, ["R12", "R16"]), (2192, [])]
)
def test_an_audit_log_that_is_kept_too_short_is_evidence_of_nothing(
    audit_days: int, short: list[str]
) -> None:
    e = evidence()
    system = e.system.model_copy(update={"retention": Retention(audit_days=audit_days)})
    known = figures(replace(e, system=system))
    missing = [
        (row.id, cell.reason)
        for row in controls()
        for cell in evaluate(row, known, "regulated").cells
        if cell.label == known["record.audit_days"].label and not cell.figure
    ]
    assert [one for one, _ in missing] == short == [one.id for one in kept_too_short(system)]
    assert all(f"are asked for, the system file says {audit_days:,}" in reason for _, reason in missing)
    assert not kept_too_short(system.model_copy(update={"profile": "light"}))


def test_a_legal_fact_goes_stale_after_180_days() -> None:
    fact = legal_facts()[0].model_copy(update={"verified_on": CHECKED})
    assert not is_stale(fact, CHECKED)
    assert not is_stale(fact, date(2027, 5, 22))
    assert is_stale(fact, date(2027, 5, 23))


def test_every_legal_fact_was_checked_when_it_is_said_to_be() -> None:
    assert [fact.id for fact in legal_facts() if is_stale(fact, CHECKED)] == []
    assert all(is_stale(fact, fact.verified_on + timedelta(days=181)) for fact in legal_facts())


def test_legal_facts_are_named_once_and_dated() -> None:
    ids = [fact.id for fact in legal_facts()]
    assert len(ids) == len(set(ids))
    assert all(fact.applies_from for fact in legal_facts())
    disputed = {fact.id for fact in legal_facts() if "if deferred" in fact.applies_from}
    assert disputed == {"ai-act-72", "ai-act-73"}


def test_a_control_that_names_no_figure_fails_loudly() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        evaluate(replace_evidence("nowhere"), KNOWN, "regulated")


def replace_evidence(key: str) -> Control:
    return controls()[0].model_copy(update={"evidence": (key,)})


def test_figures_say_why_they_are_missing() -> None:
    empty = evidence()
    silent = figures(replace(empty, inferences=empty.inferences.clear(), audit_log=empty.audit_log.clear()))
    assert all(found.missing for found in silent.values() if found.value is None)
    assert silent["record.with_model"].missing == "no inference was logged in the month"
