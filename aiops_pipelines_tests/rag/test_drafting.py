import pytest

from aiops_pipelines.rag.drafting import MOST_OVERLAP, drafted, overlap

GIFTS = """# Gift returns

Somebody can return a present without the buyer being told.

## Time

They may be registered for 100 days after delivery. That is all.

## The code

Each slip carries the code of the code: a code.
"""
FEES = "# Fees\n\n## Postage\n\nA parcel costs EUR 4.20 inland.\n\n## Time\n\nIt is billed at once, every time.\n"


def test_headings_are_asked_for_a_figure_of_their_section():
    found = {one.query: one for one in drafted({"gifts.md": GIFTS}, 10)}
    timed = found["How long is it: time, gift returns?"]
    assert (timed.document, timed.overlap) == ("gifts.md", 0.0)
    assert timed.answer == "They may be registered for 100 days after delivery."
    assert timed.in_document == 1.0  # the headings are part of the document
    assert (
        found["What should I know about gift returns?"].overlap == 0.5
    )  # return stands there, gift does not
    assert drafted({"fees.md": FEES}, 1)[0].query == "How much is it: postage, fees?"


def test_a_name_with_underscores_is_asked_as_it_is_written():
    text = "# Limits\n\n## The MAX_SIZE_\n\nThe _largest_ value of `MAX_FILE_SIZE` is **20** megabytes.\n"
    (found,) = drafted({"limits.md": text}, 1)
    assert found.answer == "The largest value of MAX_FILE_SIZE is 20 megabytes."
    assert "MAX_SIZE" in found.query


def test_what_repeats_its_section_is_left_out():
    """The code: its only word stands in the text below, and half of all words is too much."""
    assert all(one.overlap <= MOST_OVERLAP for one in drafted({"gifts.md": GIFTS}, 10))
    text = "# Plans\n\n## Plans and prices\n\nThe plans and their prices are listed here."
    assert drafted({"plans.md": text}, 10) == []


def test_documents_take_turns_and_the_same_corpus_gives_the_same_drafts():
    texts = {"gifts.md": GIFTS, "fees.md": FEES}
    found = drafted(texts, 3)
    assert [one.document for one in found] == ["fees.md", "gifts.md", "fees.md"]
    assert drafted(dict(reversed(texts.items())), 3) == found
    assert len({one.query_id for one in drafted(texts, 10)}) == len(drafted(texts, 10))
    assert drafted(texts, 0) == [] and drafted({}, 5) == []


@pytest.mark.parametrize(
    "text", ["", "No heading is here, only 12 words.", "# Empty\n\n## Still empty\n", "# A\n\n| 1 |"]
)
def test_what_says_nothing_is_not_asked_about(text):
    assert drafted({"one.md": text}, 5) == []


def test_overlap_by_hand():
    assert overlap("How long do refunds take?", "A refund takes five days.") == 0.5
    assert overlap("", "text") == overlap("what is it?", "it") == 0
