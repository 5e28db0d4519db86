"""Questions an index is watched with, and the documents that stand in their way, by hand."""

from datetime import UTC, datetime

import polars as pl

from aiops_pipelines.rag.crowding import MOST_TOPICS, Topic, crowding, takeover, topic_shares, topics
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
    sign = crowding(BEFORE, {"new": 0.12}, SIZES, 100, "new")
    assert (
        sign
        and sign.strong
        and "for 12% of the topics, before for 0%" in sign.evidence
        and "5%" in sign.evidence
    )
    assert crowding(BEFORE, {"new": 0.09}, SIZES, 100, "new") is None  # below a tenth
    assert crowding(BEFORE | {"a": 0.07}, {"new": 0.12}, SIZES, 100, "new") is None  # below twice 0.07
    assert crowding(BEFORE, {"new": 0.5}, SIZES | {"new": 500}, 100, "new") is None  # as large as the book
    none_so_small = SIZES | {"new": 2}  # so all count
    assert crowding(BEFORE, {"new": 0.5}, none_so_small, 100, "new") is None


def test_an_established_document_is_judged_by_what_it_gained() -> None:
    before = BEFORE | {"new": 0.30}
    assert crowding(before, {"new": 0.39}, SIZES, 100, "new") is None
    assert crowding(before, {"new": 0.41}, SIZES, 100, "new")
    some, contents = BEFORE | {"new": 0.06}, BEFORE | {"new": 0.32}
    assert crowding(some, {"new": 0.15}, SIZES, 100, "new") is None
    assert crowding(some, {"new": 0.17}, SIZES, 100, "new")
    assert crowding(contents, {"new": 0.64}, SIZES, 100, "new")


def test_a_gain_of_few_topics_is_chance() -> None:
    """A table of contents came from 8 to 11 of 25 topics with a release that moved pages around."""
    assert crowding(BEFORE | {"new": 8 / 25}, {"new": 11 / 25}, SIZES, 25, "new") is None
    assert crowding(BEFORE, {"new": 4 / 25}, SIZES, 25, "new") is None
    assert crowding(BEFORE, {"new": 5 / 25}, SIZES, 25, "new")


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
