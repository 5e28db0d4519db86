"""The history of the price book: what a run notices, and that it notices it once."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from aiops_pipelines.costs.price_edits import edits, entries, sentence
from aiops_pipelines.costs.price_settings import ContractPrice
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.systems import System

MAY, JUNE = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
GPT = {"model": "gpt-4o", "valid_from": "2026-05-01", "input": "2", "output": "8"}


def system(*prices: dict[str, object]) -> System:
    return System.model_validate(
        {"name": "s", "title": "S", "owner": "team", "inference_log": {"folder": "log"}, "prices": prices}
    )


def test_the_first_run_notices_every_entry_and_the_public_book():
    known = edits(one := system(GPT), entries(one, "0.2.3"), nothing(), MAY)
    assert known.select("entry", "change", "entered_by").rows() == [
        ("genai-prices", "added", ""),
        ("gpt-4o from 2026-05-01", "added", "team"),
    ]
    assert json.loads(known["new"][1])["input"] == "2"
    assert edits(one, entries(one, "0.2.3"), known, JUNE).is_empty()


def nothing():
    return declared_tables(Path(__file__).parents[2] / "dbt_project")["costs.price_edits"].empty()


def test_a_changed_a_removed_and_a_new_entry_and_a_newer_book_are_noticed():
    before = system(GPT, GPT | {"model": "old"})
    known = edits(before, entries(before, "1"), nothing(), MAY)
    after = system(GPT | {"input": "1.5", "entered_by": "ann"}, GPT | {"model": "new"})
    found = edits(after, entries(after, "2"), known, JUNE)
    said = {row["entry"]: (row["change"], row["entered_by"]) for row in found.iter_rows(named=True)}
    assert said == {
        "genai-prices": ("changed", ""),
        "gpt-4o from 2026-05-01": ("changed", "ann"),
        "new from 2026-05-01": ("added", "team"),
        "old from 2026-05-01": ("removed", "team"),
    }
    changed = next(row for row in found.iter_rows(named=True) if row["entry"].startswith("gpt"))
    assert '"input": "2"' in changed["old"] and '"input": "1.5"' in changed["new"]
    assert sentence(changed).startswith("Price entry gpt-4o from 2026-05-01 was changed: ")
    both = known.vstack(found)
    assert edits(after, entries(after, "2"), both, JUNE).is_empty()
    again = edits(before, entries(before, "1"), both, JUNE)
    assert again.filter(entry="old from 2026-05-01")["change"].to_list() == ["added"]


def test_edits_are_rows_of_the_declared_table():
    one = system(GPT)
    assert edits(one, entries(one, "1"), nothing(), MAY).schema == nothing().schema


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": "1"},
        {"gpu_hour_usd": "2"},
        {"input": "1", "output": "1", "gpu_hour_usd": "2", "tokens_per_gpu_hour": 5},
        {"gpu_hour_usd": "2", "tokens_per_gpu_hour": 5, "cache_read": "1"},
        {},
    ],
)
def test_an_entry_has_one_price(wrong):
    with pytest.raises(
        ValidationError, match="give input and output, or gpu_hour_usd and tokens_per_gpu_hour"
    ):
        ContractPrice.model_validate({"model": "m", "valid_from": "2026-05-01"} | wrong)
