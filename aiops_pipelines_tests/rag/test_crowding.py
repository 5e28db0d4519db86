"""Questions an index is watched with, and the documents that stand in their way, by hand."""

from datetime import UTC, datetime

import polars as pl

from aiops_pipelines.rag.crowding import (
    MOST_TOPICS,
    Seen,
    Topic,
    crowding,
    seen,
    takeover,
    topic_shares,
    topics,
)
from aiops_pipelines.rag.known_queries import JUDGEMENTS, KNOWN_QUERIES

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def known(*rows: tuple[str, str, dict[str, int]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    keys = [{"system": "s", "query_id": query_id, "valid_from": NOW} for query_id, _, _ in rows]
    asked = [key | {"query": query, "tags": []} for key, (_, query, _) in zip(keys, rows, strict=True)]
    judged = [
        key | {"document": document, "grade": grade}
        for key, (_, _, grades) in zip(keys, rows, strict=True)
        for document, grade in grades.items()
    ]
    return pl.DataFrame(asked, schema=KNOWN_QUERIES), pl.DataFrame(judged, schema=JUDGEMENTS)


def test_a_topic_is_a_document_asked_for_once_by_a_known_query_or_its_title() -> None:
    queries = known(
        ("q1", "When is it open?", {"hours.md": 2, "fees.md": 1}),
        ("q2", "Open on Sunday?", {"hours.md": 2}),
        ("q3", "Who was it?", {"gone.md": 2}),
        ("q4", "What is nothing?", {"fees.md": 0}),
    )
    found = topics(*queries, {"hours.md": "Hours", "fees.md": "Fees", "lockers.md": "Lockers"})
    assert found[0] == Topic("When is it open?", frozenset({"hours.md", "fees.md"}), True)
    assert {(t.question, t.known) for t in found[1:]} == {("Fees", False), ("Lockers", False)}
    many = {f"{n}.md": f"Title {n}" for n in range(500)}
    assert len(topics(*known(), many)) == MOST_TOPICS
    assert topics(*known(), many) == topics(*known(), dict(reversed(many.items())))


def test_shares_count_each_topic_once() -> None:
    six = [(name, 1.0) for name in "abcdef"]
    assert topic_shares([six, [("a", 0.9), ("f", 0.5)]]) == {"a": 1.0, "f": 0.5} | dict.fromkeys("bcde", 0.5)
    assert topic_shares([]) == {}


BEFORE = {"a": 0.05, "b": 0.05, "c": 0.04, "d": 0.0, "e": 0.02, "book": 0.6}
SIZES = dict.fromkeys("abcde", 3) | {"book": 400, "new": 3}


def test_a_document_crowds_that_is_found_for_twice_as_much_as_any_of_its_size() -> None:
    sign = crowding(Seen(BEFORE, {"new": 0.12}, 100), SIZES, "new")
    assert (
        sign
        and sign.strong
        and "for 12% of the topics, before for 0%" in sign.evidence
        and "5%" in sign.evidence
    )
    assert crowding(Seen(BEFORE, {"new": 0.09}, 100), SIZES, "new") is None  # below a tenth
    assert crowding(Seen(BEFORE | {"a": 0.07}, {"new": 0.12}, 100), SIZES, "new") is None  # below twice 0.07
    as_large_as_the_book = SIZES | {"new": 500}
    assert crowding(Seen(BEFORE, {"new": 0.5}, 100), as_large_as_the_book, "new") is None
    none_so_small = SIZES | {"new": 2}  # so all count
    assert crowding(Seen(BEFORE, {"new": 0.5}, 100), none_so_small, "new") is None


def test_an_established_document_is_judged_by_what_it_gained() -> None:
    before = BEFORE | {"new": 0.30}
    assert crowding(Seen(before, {"new": 0.39}, 100), SIZES, "new") is None
    assert crowding(Seen(before, {"new": 0.41}, 100), SIZES, "new")
    some, contents = BEFORE | {"new": 0.06}, BEFORE | {"new": 0.32}
    assert crowding(Seen(some, {"new": 0.15}, 100), SIZES, "new") is None
    assert crowding(Seen(some, {"new": 0.17}, 100), SIZES, "new")
    assert crowding(Seen(contents, {"new": 0.64}, 100), SIZES, "new")


def test_a_gain_of_few_topics_is_chance() -> None:
    """A table of contents came from 8 to 11 of 25 topics with a release that moved pages around."""
    assert crowding(Seen(BEFORE | {"new": 8 / 25}, {"new": 11 / 25}, 25), SIZES, "new") is None
    assert crowding(Seen(BEFORE, {"new": 4 / 25}, 25), SIZES, "new") is None
    assert crowding(Seen(BEFORE, {"new": 5 / 25}, 25), SIZES, "new")


def test_a_document_in_an_unknown_language_is_judged_by_the_topics_that_were_answered() -> None:
    asked = [Topic(name, frozenset({name}), False) for name in "abc"]
    five = [(name, 1.0) for name in "vwxyz"]
    before = [[("a", 1.0)], [*five[:4], ("b", 0.5)], [*five, ("c", 0.5)]]
    after = [[("new", 1.0), ("a", 1.0)], [("b", 1.0)], [("new", 1.0)]]
    known = seen(asked, before, after, foreign=False)
    assert (known.after["new"], known.topics, known.fewest) == (2 / 3, 3, 5)
    found = seen(asked, before, after, foreign=True)
    assert (found.topics, found.fewest) == (2, 8)
    assert found.before == {"a": 0.5, "b": 0.5} | dict.fromkeys("vwxy", 0.5)
    assert found.after == {"new": 0.5, "a": 0.5, "b": 0.5}
    gained = {"new": 7 / 25}
    assert crowding(Seen(BEFORE, gained, 25), SIZES, "new")
    assert crowding(Seen(BEFORE, gained, 25, 8), SIZES, "new") is None
    assert crowding(seen(asked, [[]] * 3, after, foreign=True), SIZES, "new") is None


def test_a_takeover_is_of_known_queries_the_document_is_no_answer_to() -> None:
    asked = [
        Topic("x", frozenset({"a"}), True),
        Topic("y", frozenset({"new"}), True),
        Topic("z", frozenset({"c"}), False),
    ]
    old, new = [[("a", 1.0)], [("a", 1.0)], [("c", 1.0)]], [[("new", 1.0)]] * 3
    sign = takeover(asked, old, new, "new")
    assert sign and not sign.strong and sign.evidence.endswith("to: 1.")
    assert takeover(asked, new, new, "new") is None and takeover(asked, old, old, "new") is None
    assert takeover(asked, [[]] * 3, [[]] * 3, "new") is None
