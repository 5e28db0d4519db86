from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.freshness import (
    FRESHNESS,
    STALE_ANSWERS,
    CorpusHistory,
    index_freshness,
    served_index_version,
)

JUNE, AUGUST = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 8, 10, tzinfo=UTC)
WEEK = date(2026, 8, 10)
END = datetime(2026, 8, 17, tzinfo=UTC)
MOMENT = pl.Datetime("us", "UTC")
RETRIEVED = pl.List(pl.Struct({"chunk_id": pl.String, "document": pl.String, "score": pl.Float64}))
CALLS = {"event_id": pl.String, "occurred_at": MOMENT, "index_version": pl.String, "retrieved": RETRIEVED}

# June: a (chunk a1), b (b1), old (o1). August: a edited (a1, a2), b as it was, old deleted, new added (n1).
HISTORY = CorpusHistory(
    revisions=pl.DataFrame(
        [("rv-1", JUNE), ("rv-2", AUGUST)], schema={"revision": pl.String, "valid_from": MOMENT}, orient="row"
    ),
    documents=pl.DataFrame(
        [
            ("rv-1", "a", "h1"),
            ("rv-1", "b", "h1"),
            ("rv-1", "old", "h1"),
            ("rv-2", "a", "h2"),
            ("rv-2", "b", "h1"),
            ("rv-2", "new", "h1"),
        ],
        schema=["revision", "document", "document_hash"],
        orient="row",
    ),
    index_versions=pl.DataFrame(
        {"index_version": ["ix-1", "ix-2"], "revision": ["rv-1", "rv-2"], "chunker_version": ["s-1", "s-1"]}
    ),
    index_chunks=pl.DataFrame(
        [
            ("ix-1", "a1", "a", "h1"),
            ("ix-1", "b1", "b", "h1"),
            ("ix-1", "o1", "old", "h1"),
            ("ix-2", "a1", "a", "h2"),
            ("ix-2", "a2", "a", "h2"),
            ("ix-2", "b1", "b", "h1"),
            ("ix-2", "n1", "new", "h1"),
        ],
        schema=["index_version", "chunk_id", "document", "document_hash"],
        orient="row",
    ),
)


def calls(*rows):
    """Rows of (hours after the August change, index version, chunk ids or None)."""
    found = [
        (
            f"e{n}",
            AUGUST + timedelta(hours=hours),
            version,
            None if ids is None else [{"chunk_id": i, "document": f"d-{i}", "score": 1.0} for i in ids],
        )
        for n, (hours, version, ids) in enumerate(rows)
    ]
    return pl.DataFrame(found, schema=CALLS, orient="row")


def judge(inferences, history=HISTORY, until=END, limit=0.1):
    row, answers = index_freshness("support", WEEK, until, inferences, history, limit)
    assert row.schema == pl.Schema(FRESHNESS) and answers.schema == pl.Schema(STALE_ANSWERS)
    return row.row(0, named=True), answers


def test_an_old_index_gives_stale_answers():
    row, answers = judge(calls((1, "ix-1", ["a1", "o1"]), (2, "ix-1", ["b1"]), (3, "ix-1", ["o1", "o1"])))
    assert answers.rows() == [("support", WEEK, "e0", "o1", "d-o1"), ("support", WEEK, "e2", "o1", "d-o1")]
    assert (row["verdict"], row["answers"], row["stale_answers"]) == ("stale", 3, 2)
    assert row["stale_share"] == pytest.approx(2 / 3)
    assert (row["documents_stale"], row["documents_missing"], row["documents_orphaned"]) == (1, 1, 1)
    assert (row["served_index_version"], row["source_revision"], row["lag_days"]) == ("ix-1", "rv-2", 7)
    assert row["reason"] == (
        "2 of 3 answers used text no longer in the corpus (limit 10.0%); the served index is 7.0 days behind: "
        "1 documents older than the source, 1 missing and 1 no longer in the source."
    )


def test_the_revision_in_force_at_the_call_decides():
    row, answers = judge(calls((-1, "ix-1", ["o1"]), (0, "ix-2", ["n1"])))
    assert answers.is_empty()
    assert (row["verdict"], row["stale_share"], row["lag_days"]) == ("fresh", 0, 0)
    assert row["reason"].endswith("the served index equals the corpus.")


def test_a_chunk_from_the_future_is_not_in_the_corpus_yet():
    row, _ = judge(calls((-1, "ix-2", ["n1"])))
    assert row["stale_answers"] == 1


def test_an_index_behind_with_few_stale_answers_is_fresh_and_says_so():
    row, _ = judge(calls(*[(n, "ix-1", ["b1"]) for n in range(9)], (9, "ix-1", ["o1"])))
    assert (row["stale_share"], row["verdict"], row["lag_days"]) == (0.1, "fresh", 7)


def test_lag_counts_from_the_first_change_after_the_served_revision():
    third = pl.DataFrame(
        [("rv-3", AUGUST + timedelta(days=5))],
        schema={"revision": pl.String, "valid_from": MOMENT},
        orient="row",
    )
    documents = HISTORY.documents.filter(revision="rv-2").with_columns(revision=pl.lit("rv-3"))
    history = CorpusHistory(
        pl.concat([HISTORY.revisions, third]),
        pl.concat([HISTORY.documents, documents]),
        HISTORY.index_versions,
        HISTORY.index_chunks,
    )
    row, _ = judge(calls((1, "ix-1", ["b1"])), history, until=AUGUST + timedelta(days=6))
    assert (row["source_revision"], row["lag_days"]) == ("rv-3", 6)


def test_no_logged_retrieval_is_unknown_with_nulls():
    row, _ = judge(calls((1, None, None)))
    assert (row["verdict"], row["answers"], row["stale_share"], row["documents_stale"]) == (
        "unknown",
        0,
        None,
        None,
    )
    assert row["reason"].startswith("No call of this week logged what it retrieved")
    assert judge(calls())[0]["verdict"] == "unknown"


def test_foreign_chunk_ids_are_unknown_not_stale():
    row, answers = judge(calls((1, "other", ["x1"]), (2, "other", [None])))
    assert answers.is_empty()
    assert (row["verdict"], row["stale_share"]) == ("unknown", None)
    assert row["reason"].startswith("2 calls logged what they retrieved, but none of those chunks")


def test_a_revision_that_was_never_indexed_judges_nothing():
    history = CorpusHistory(
        HISTORY.revisions,
        HISTORY.documents,
        HISTORY.index_versions.filter(index_version="ix-1"),
        HISTORY.index_chunks.filter(index_version="ix-1"),
    )
    row, _ = judge(calls((1, "ix-1", ["o1"]), (-5, "ix-1", ["o1"])), history)
    assert (row["answers"], row["stale_answers"]) == (1, 0)
    assert "1 more could not be judged" in row["reason"]
    assert (row["documents_stale"], row["lag_days"]) == (1, 7)


def test_an_empty_retrieval_is_an_answer_without_stale_text():
    row, _ = judge(calls((1, "ix-2", []), (2, "ix-2", ["a1"])))
    assert (row["answers"], row["stale_answers"], row["verdict"]) == (2, 0, "fresh")


def test_the_served_index_is_the_most_used_of_the_last_day():
    week = calls(
        (1, "ix-1", []), (2, "ix-1", []), (30, "ix-2", []), (31, "ix-2", []), (32, "ix-1", []), (33, None, [])
    )
    assert served_index_version(week) == "ix-2"
    assert served_index_version(calls((1, "ix-2", []), (2, "ix-1", []))) == "ix-1"
    assert served_index_version(calls((1, None, []))) is None


@given(
    st.lists(
        st.tuples(
            st.integers(-99, 160),
            st.sampled_from(["ix-1", "ix-2"]),
            st.none() | st.lists(st.sampled_from(["a1", "a2", "b1", "o1", "n1", "x"]), max_size=4),
        ),
        max_size=8,
    ),
    st.floats(0, 1),
)
def test_shares_are_counts_and_the_verdict_follows(rows, limit):
    row, answers = judge(calls(*rows), limit=limit)
    assert 0 <= row["stale_answers"] <= row["answers"] <= len(rows)
    assert row["stale_answers"] == answers["event_id"].n_unique()
    expected = (
        "unknown"
        if not row["answers"]
        else "stale"
        if row["stale_answers"] / row["answers"] > limit
        else "fresh"
    )
    assert row["verdict"] == expected


def test_chunks_cut_by_rules_the_corpus_of_the_day_was_not_indexed_by_are_not_judged():
    other = HISTORY.index_versions.with_columns(chunker_version=pl.Series(["s-1", "s-2"]))
    chunks = pl.concat(
        [
            HISTORY.index_chunks.filter(index_version="ix-1"),
            pl.DataFrame([("ix-2", "x2", "b", "h1")], schema=HISTORY.index_chunks.schema, orient="row"),
        ]
    )
    history = CorpusHistory(HISTORY.revisions, HISTORY.documents, other, chunks)
    row, _ = judge(calls((1, "ix-1", ["o1"]), (2, "ix-2", ["x2"])), history=history)
    assert (row["answers"], row["stale_answers"]) == (1, 0)
