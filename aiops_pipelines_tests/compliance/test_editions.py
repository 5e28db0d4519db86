"""What a published month says, when that counts as changed, and what goes into the audit log of it."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance.editions import changed, edition_rows, publications, said, tampered
from aiops_pipelines.compliance.figures import figures
from aiops_pipelines_tests.compliance.august import MONTH, NAME, amendments, evidence, reports

KNOWN = figures(evidence())
ROWS = edition_rows(NAME, MONTH, 0, KNOWN)


def test_an_edition_says_what_the_report_says() -> None:
    told = said(ROWS, 0)
    assert (told["record.inferences"], told["record.cost_usd"]) == (10, "0.020000000000")
    assert told["record.oldest_entry"] == "2026-07-31T23:59:00+00:00"
    assert told["quality.largest_drop"] == KNOWN["quality.largest_drop"].value
    assert told.keys() == KNOWN.keys()


def test_editions_are_kept_apart() -> None:
    later = edition_rows(
        NAME, MONTH, 1, KNOWN | {"record.inferences": replace(KNOWN["record.inferences"], value=12)}
    )
    both = pl.concat([ROWS, later])
    assert [said(both, edition)["record.inferences"] for edition in (0, 1)] == [10, 12]


def test_nothing_has_changed_while_the_figures_stand() -> None:
    assert changed(said(ROWS, 0), KNOWN) == []


@pytest.mark.parametrize(
    ("key", "value", "moved"),
    [
        ("record.inferences", 11, True),
        ("record.inferences", None, True),
        ("record.cost_usd", Decimal("0.0201"), True),
        ("record.with_model", 0.9 + 1e-6, True),
        ("record.with_model", 0.9 + 1e-12, False),  # the same sum, added in another order
        ("integrity.tree_size", 10_000, False),  # the log grows by itself
        ("record.quarantined", 99, False),
        ("record.oldest_entry", datetime(2026, 1, 1, tzinfo=UTC), False),
        ("quality.baselines_signed", 3, False),
    ],
)
def test_a_figure_of_the_month_changes_and_one_to_date_moves_on(key: str, value: object, moved: bool) -> None:
    now = KNOWN | {key: replace(KNOWN[key], value=value)}
    assert [figure.key for figure in changed(said(ROWS, 0), now)] == ([key] if moved else [])


def test_a_figure_that_came_to_be_and_one_that_is_gone_have_changed() -> None:
    told = said(ROWS, 0)
    assert [f.key for f in changed(told | {"guardrails.events": None}, KNOWN)] == ["guardrails.events"]
    assert changed({key: value for key, value in told.items() if key != "guardrails.events"}, KNOWN) == []


@given(st.sets(st.sampled_from([key for key, figure in KNOWN.items() if not figure.to_date])))
def test_exactly_what_moved_is_found(keys: set[str]) -> None:
    now = {key: replace(figure, value="moved") if key in keys else figure for key, figure in KNOWN.items()}
    found = changed(said(ROWS, 0), now)
    assert {figure.key for figure in found} == keys
    assert changed(said(edition_rows(NAME, MONTH, 1, now), 1), now) == []


def test_each_publication_is_one_entry_and_always_the_same() -> None:
    entries = list(publications(NAME, reports(), amendments()))
    assert [entry["kind"] for entry in entries] == ["decision.report_published"] * 2 + [
        "decision.report_amended"
    ] * 2
    assert (
        entries[3]["summary"]
        == "Amendment 2 to the compliance report of 2026-06 was made: 2 figures changed."
    )
    assert entries[3]["details"]["changed"] == ["record.inferences", "privacy.masked"]
    assert entries == list(publications(NAME, reports(), amendments()))
    undated = reports().with_columns(published_at=pl.lit(None, pl.Datetime("us", "UTC")))
    assert list(publications(NAME, undated, amendments().clear())) == []


def test_a_file_that_is_gone_or_edited_is_told() -> None:
    row = {"json_file": "2026-07.json", "json_sha256": "ab", "html_file": "2026-07.html", "html_sha256": "cd"}
    there: dict[str, str | None] = {"2026-07.json": "ab", "2026-07.html": "cd"}
    assert tampered(row, there.get) == []
    [edited] = tampered(row, (there | {"2026-07.html": "ef"}).get)
    assert edited.startswith("2026-07.html is no longer as it was published;")
    [gone] = tampered(row, (there | {"2026-07.json": None}).get)
    assert gone.startswith("2026-07.json is gone; restore it")
    before = row | {"html_sha256": None}  # pages were not hashed then
    assert tampered(before, (there | {"2026-07.html": "ef"}).get) == []


def test_an_entry_from_before_pages_were_hashed_stays_the_same() -> None:
    [*_, hashed] = publications(NAME, reports(), amendments().with_columns(html_sha256=pl.lit("cd")))
    [*_, before] = publications(NAME, reports(), amendments().with_columns(html_sha256=pl.lit(None)))
    assert before["details"].keys() == {"month", "number", "json_file", "json_sha256", "changed"}
    assert hashed["details"].keys() - before["details"].keys() == {"html_file", "html_sha256"}


def test_a_pdf_is_logged_and_watched_and_a_report_from_before_there_was_one_keeps_its_entry() -> None:
    files = {"pdf_file": "2026-07.pdf", "pdf_sha256": "ef"}
    [before, *_] = publications(NAME, reports(), amendments())
    none = reports().with_columns(pl.lit(None, pl.String).alias(name) for name in files)
    assert next(publications(NAME, none, amendments())) == before
    with_pdf = reports().with_columns(pl.lit(value).alias(name) for name, value in files.items())
    assert next(publications(NAME, with_pdf, amendments()))["details"].items() >= files.items()
    row = {"json_file": "a", "json_sha256": "ab"} | files
    assert tampered(row, {"a": "ab", "2026-07.pdf": "ef"}.get) == []
    [edited] = tampered(row, {"a": "ab", "2026-07.pdf": "other"}.get)
    assert edited.startswith("2026-07.pdf is no longer as it was published;")
