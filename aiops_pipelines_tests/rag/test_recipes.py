from datetime import UTC, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.recipes import recipe_at, served_versions

DAYS = {name: datetime(2026, *day, tzinfo=UTC) for name, day in {"jun": (6, 1), "jul": (7, 1)}.items()}


def day(month: int, of: int) -> datetime:
    return datetime(2026, month, of, tzinfo=UTC)


def versions(*rows: tuple[str, str, datetime]) -> pl.DataFrame:
    schema = {
        "index_version": pl.String,
        "embedding_version": pl.String,
        "valid_from": pl.Datetime("us", "UTC"),
    }
    frame = pl.DataFrame(list(rows), schema=schema, orient="row")
    return frame.with_columns(chunker_version=pl.lit("structure-2"), built_at=pl.col("valid_from"))


def switches(*rows: tuple[str, datetime]) -> pl.DataFrame:
    schema = {
        "number": pl.Int64,
        "embedding_version": pl.String,
        "since": pl.Datetime("us", "UTC"),
    }
    frame = pl.DataFrame([(n, *row) for n, row in enumerate(rows, 1)], schema=schema, orient="row")
    same = {"chunker_version": "structure-2", "embedding": "m", "chunk_characters": 600}
    return frame.with_columns(**{name: pl.lit(value) for name, value in same.items()})


BUILT = versions(("a1", "A", day(6, 1)), ("a2", "A", day(7, 1)), ("b2", "B", day(7, 1)))


def served(active: pl.DataFrame, built: pl.DataFrame = BUILT) -> list[tuple[str, datetime]]:
    return served_versions(built, active).select("index_version", "valid_from").rows()


def test_the_worked_example():
    active = switches(("A", day(5, 1)), ("B", day(7, 10)))
    assert served(active) == [("a1", day(6, 1)), ("a2", day(7, 1)), ("b2", day(7, 10))]


def test_a_shadow_is_not_served_and_after_a_rollback_the_old_one_is():
    assert served(switches(("A", day(5, 1)))) == [("a1", day(6, 1)), ("a2", day(7, 1))]
    back = switches(("A", day(5, 1)), ("B", day(7, 10)), ("A", day(7, 12)))
    assert served(back)[2:] == [("b2", day(7, 10)), ("a2", day(7, 12))]


def test_what_was_built_for_a_later_state_is_served_from_that_state_on():
    active = switches(("A", day(5, 1)), ("B", day(6, 10)))
    assert served(active) == [("a1", day(6, 1)), ("b2", day(7, 1))]


def test_without_a_switch_every_index_counts():
    assert len(served(switches())) == 3


def test_the_recipe_of_a_moment():
    active = switches(("A", day(6, 1)), ("B", day(7, 10)))
    found = [recipe_at(active, moment) for moment in (day(5, 1), day(7, 9), day(7, 10))]
    assert [one.embedding_version for one in found] == ["A", "A", "B"]
    assert recipe_at(switches(), day(7, 1)) is None and found[0].keys["chunker_version"] == "structure-2"


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 28)), max_size=5), st.data())
def test_only_what_was_in_force_is_served_in_order_of_time(built, data):
    frame = versions(*[(f"{name}{at}", name, day(6, at)) for name, at in dict.fromkeys(built)])
    moments = sorted(data.draw(st.sets(st.integers(1, 28), min_size=1, max_size=4)))
    names = data.draw(st.lists(st.sampled_from("AB"), min_size=len(moments), max_size=len(moments)))
    active = switches(*[(name, day(6, at)) for name, at in zip(names, moments, strict=True)])
    rows = served_versions(frame, active)
    assert rows["valid_from"].is_sorted()
    for version, moment in rows.select("embedding_version", "valid_from").iter_rows():
        assert recipe_at(active, moment).embedding_version == version
