"""What one transaction does to rows: replaced, added, deleted, or nothing at all."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from aiops_pipelines.resources.tables import STRUCTS, Column, Table
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.resources.events_store import COLUMNS, EVENTS, NOON, events, ids, store_at


@pytest.fixture
def store(tmp_path: Path) -> Warehouse:
    return store_at(tmp_path)


# --- rows


def test_replacing_twice_is_replacing_once(store: Warehouse) -> None:
    for _ in range(2):
        assert store.replace(EVENTS, events("a", "a3"), system="a") == 1
        assert ids(store) == ["a3", "b1"]


def test_a_frame_takes_part_in_a_query(store: Warehouse) -> None:
    found = store.read(
        f"select event_id from {EVENTS} semi join wanted_rows using (event_id) where system = ?",
        ["a"],
        wanted=pl.DataFrame({"event_id": ["a2", "b1", "c1"]}),
    )
    assert found["event_id"].to_list() == ["a2"]


def test_a_list_of_keys_means_any_of_them_and_keys_are_joined_by_and(store: Warehouse) -> None:
    assert store.rows(EVENTS, system=["a", "b"]).height == 3
    assert store.rows(EVENTS, system="a", event_id=("a1", "b1"))["event_id"].to_list() == ["a1"]
    assert store.rows(EVENTS, system=[]).height == 0
    assert store.rows(EVENTS, at=NOON.replace(tzinfo=None)).height == 3  # a word of SQL as a name
    assert store.rows(EVENTS).height == 3


def test_deleting_needs_a_key(store: Warehouse) -> None:
    with pytest.raises(ValueError, match=r"costs\.events needs at least one key"), store.writing() as writer:
        writer.delete(EVENTS)
    assert len(ids(store)) == 3


def test_only_new_rows_are_appended_and_the_first_of_equals_wins(store: Warehouse) -> None:
    twice = pl.concat([events("a", "a2", "a4", n=7), events("a", "a4", n=8), events("b", "a1", n=9)])
    with store.writing() as writer:
        assert writer.append_new(EVENTS, twice, ["system", "event_id"]) == 2
        assert writer.append_new(EVENTS, twice, ["system", "event_id"]) == 0
    found = store.read(f"select system, event_id, n from {EVENTS} order by all").rows()
    assert found == [("a", "a1", 1), ("a", "a2", 1), ("a", "a4", 7), ("b", "a1", 9), ("b", "b1", 1)]


@pytest.mark.parametrize("rows", [slice(None), slice(1, 4), slice(2, 3)])
def test_values_of_every_type_are_stored_as_they_are(tmp_path: Path, rows: slice) -> None:
    texts = ["", "twelve bytes", "Ü" * 40, None, "a text that is longer than its view"]
    [chunk, verdict] = STRUCTS
    chunks = [
        {"chunk_id": "c1", "document": None, "score": 0.5},
        {"chunk_id": "c2" * 9, "document": "d", "score": None},
    ]
    verdicts = [{"guardrail": "pii", "category": None, "action": "masked and then passed on"}]
    values: dict[str, list[Any]] = {
        "VARCHAR": texts,
        "BIGINT": [1, -(2**63), None, 2**63 - 1, 0],
        "TINYINT": [1, -1, None, 0, 127],
        "DOUBLE": [0.5, None, -1e300, 1e-300, 3.0],
        "BOOLEAN": [True, None, False, True, False],
        "DATE": [NOON.date(), None, NOON.date(), None, NOON.date()],
        "TIMESTAMP": [NOON, None, NOON, NOON, None],
        "BLOB": [b"", b"\xff" * 30, None, b"short", b"\0"],
        "DECIMAL(38,12)": [Decimal("0.000000000001"), None, Decimal(10**20), Decimal(-1), Decimal(0)],
        "VARCHAR[]": [texts, [], None, [None], ["one"]],
        "FLOAT[]": [[0.5], [], None, [1.0, 2.0], [0.25]],
        chunk: [chunks, None, chunks[1:], [], chunks],
        verdict: [None, verdicts, [], verdicts * 2, None],
    }
    table = Table("costs", "kinds", "", tuple(Column(f"c{i}", name, "") for i, name in enumerate(values)))
    frame = pl.DataFrame(dict(zip(table.schema, values.values(), strict=True)), schema=table.schema)[rows]
    warehouse = Warehouse(tmp_path / "kinds.duckdb", {table.path: table})
    with warehouse.writing() as writer:
        writer.append(table.path, frame.filter(pl.int_range(pl.len()) >= 0))
    assert table.conform(warehouse.rows(table.path)).equals(frame)


def test_rows_of_some_keys_are_those_that_have_all_of_them(store: Warehouse) -> None:
    keys = pl.DataFrame({"system": ["a", "b"], "event_id": ["a1", "a1"]})
    with store.writing() as writer:
        writer.append(EVENTS, events("b", "a1", n=9))
        found = writer.stored(EVENTS, keys)
        assert sorted(found.select("system", "event_id", "n").rows()) == [("a", "a1", 1), ("b", "a1", 9)]
        assert writer.stored(EVENTS, keys.head(0)).is_empty()


def test_deleting_the_rows_of_a_frame_takes_both_keys_into_account(store: Warehouse) -> None:
    with store.writing() as writer:
        writer.delete_matching(
            EVENTS, pl.concat([events("a", "a1"), events("a", "b1")]), ["system", "event_id"]
        )
    assert ids(store) == ["a2", "b1"]


def test_a_frame_of_other_columns_is_refused_by_name(store: Warehouse) -> None:
    with (
        pytest.raises(ValueError, match=r"missing columns \['at', 'n'\], unknown columns \['x'\]"),
        store.writing() as writer,
    ):
        writer.append(EVENTS, pl.DataFrame({"system": ["a"], "event_id": ["a3"], "x": [1]}))


def test_a_column_declared_later_is_added_and_old_rows_have_null_there(store: Warehouse) -> None:
    wider = Table("costs", "events", "What happened.", (*COLUMNS, Column("note", "VARCHAR", "A note.")))
    later = Warehouse(store.file, {EVENTS: wider})
    assert later.rows(EVENTS)["note"].to_list() == [None, None, None]
    assert later.replace(EVENTS, events("a", "a3").with_columns(note=pl.lit("x")), system="a") == 1


def test_built_says_which_tables_there_are(store: Warehouse) -> None:
    assert (store.built(EVENTS), store.built("costs.daily"), store.built("drift.events")) == (
        True,
        False,
        False,
    )


@pytest.mark.parametrize(
    "text", ["x'; drop table costs.events; --", "a' or '1'='1", '"', "\\", "?", "$1", "{0}"]
)
def test_sql_in_a_value_is_text(store: Warehouse, text: str) -> None:
    store.replace(EVENTS, events(text, text), system=text)
    assert store.rows(EVENTS, system=text)["event_id"].to_list() == [text]
    assert store.read(f"select n from {EVENTS} where event_id = ?", [text]).height == 1
    with store.writing() as writer:
        writer.delete_matching(EVENTS, events(text, text), ["system", "event_id"])
    assert ids(store) == ["a1", "a2", "b1"]


# --- times


def test_times_come_back_in_utc_wherever_they_came_from(store: Warehouse) -> None:
    berlin = events("t", "t1").with_columns(pl.col("at").dt.convert_time_zone("Europe/Berlin"))
    assert berlin["at"][0].hour == 14
    store.replace(EVENTS, berlin, system="t")
    found = store.rows(EVENTS, system="t")["at"]
    assert found.dtype == pl.Datetime("us", "UTC")
    assert found[0] == NOON
    stored = store.read("""select cast("at" as varchar) as t from costs.events where system = 't'""")
    assert stored["t"][0] == "2026-06-01 12:00:00"


def test_a_query_with_a_time_zone_of_its_own_keeps_the_moment(store: Warehouse) -> None:
    with store.writing() as writer:
        writer._connection.execute("set TimeZone = 'Asia/Tokyo'")  # as on a machine in Tokyo
        found = writer.read("select timestamptz '2026-06-01 12:00:00+00' as at")["at"]
    assert found.dtype == pl.Datetime("us", "UTC")
    assert found[0] == NOON


# --- one transaction


def test_a_transaction_is_undone_as_a_whole(store: Warehouse) -> None:
    with pytest.raises(ZeroDivisionError), store.writing() as writer:
        writer.delete(EVENTS, system="a")
        writer.append(EVENTS, events("c", "c1"))
        assert writer.read(f"select count(*) as n from {EVENTS}")["n"][0] == 2
        _ = 1 / 0
    assert ids(store) == ["a1", "a2", "b1"]
    store.replace(EVENTS, events("c", "c1"), system="c")
    assert ids(store) == ["a1", "a2", "b1", "c1"]


def test_a_wrong_query_is_undone_and_keeps_its_own_message(store: Warehouse) -> None:
    with pytest.raises(duckdb.CatalogException, match="nowhere"), store.writing() as writer:
        writer.delete(EVENTS, system="a")
        writer.read("select * from nowhere")
    assert ids(store) == ["a1", "a2", "b1"]
