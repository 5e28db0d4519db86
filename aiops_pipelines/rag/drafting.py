"""Questions drafted from a corpus for a team that has none: a section's headings, asked for one fact of it.

A draft is a proposal that a person reads, mends and signs off; until then it counts for nothing. No model and
no chance is used: the same corpus gives the same drafts.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiops_pipelines.rag.blocks import sections, title
from aiops_pipelines.rag.words import words

MOST_OVERLAP = 0.5
"""Drafts that repeat more of their section's words are left out: they would test a search for words."""
_LENGTHS = range(20, 301)
_STEM = 5
_LITTLE = frozenset(
    """
    about after also and any are because been before but can could did does each for from had has have
    how into its just know more must not now of one only other our out over should some such than that
    the their them then there these they this those through to under until was what when where which
    while who why will with would you your long much many
    """.split()  # noqa: SIM905 - a hundred quoted words are not easier to read
)
_SENTENCES = re.compile(r"(?<=[.!?])\s+")
_MARKS = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)|\[([^\]]*)\]\([^)]*\)")
"""An underscore inside a word, as in MAX_SIZE, is none."""
_ASKED = (
    (re.compile(r"\d+ (working )?(second|minute|hour|day|week|month|year)s?\b"), "How long is it:"),
    (
        re.compile(r"(EUR|USD|GBP|[$\u20ac\u00a3]) ?\d|\d ?(EUR|USD|GBP|[$\u20ac\u00a3]|percent|%)"),
        "How much is it:",
    ),
    (re.compile(r"\d"), "What is the number or limit:"),
)
_OTHERWISE = "What should I know about"


@dataclass(frozen=True)
class Draft:
    """A drafted question, the document and the sentence that answer it, and how much of it they give away.

    `overlap` is the share of its words in the section without headings, `in_document` in the whole document.
    """

    query_id: str
    query: str
    document: str
    answer: str
    overlap: float
    in_document: float


def drafted(texts: Mapping[str, str], count: int) -> list[Draft]:
    """Return at most `count` drafts, spread over the documents, those of least overlap first in each.

    The question is made of the headings, the answer is a sentence below them with a figure in it, or the
    first one. "# Gift returns", "## Time", "They may be registered for 100 days after delivery." gives "How
    long is it: time, gift returns?", of whose words none stands in its section.
    """
    used = Counter(heading for text in texts.values() for heading, _ in sections(text))
    by_document = [
        sorted(_of_document(name, text, used), key=lambda one: (one.overlap, one.query_id))
        for name, text in sorted(texts.items())
    ]
    rounds = max(map(len, by_document), default=0)
    spread = [found[at] for at in range(rounds) for found in by_document if at < len(found)]
    return spread[:count]


def overlap(question: str, text: str) -> float:
    """Return the share of a question's telling words that stand in a text; 0 where it has none.

    Words of three letters and more without the commonest, by their first five letters.
    "How long do refunds take?" has the words refun and take; "A refund takes five days" holds refun, and
    takes is not take: 0.5.
    """
    asked = _telling(question)
    return len(asked & _telling(text)) / len(asked) if asked else 0.0


def _of_document(document: str, text: str, used: Mapping[str, int]) -> Iterator[Draft]:
    name = title(text)
    for heading, blocks in sections(text):
        said = _plain("\n".join(block for kind, block in blocks if kind in ("text", "list")))
        found = _answer(said)
        if not (heading and name and found) or used[heading] > 1:
            continue
        about = ", ".join(_lowered(part) for part in reversed(heading.split(" > "))).rstrip("?.! ")
        asked = next((words for pattern, words in _ASKED if pattern.search(found)), _OTHERWISE)
        question, share = f"{asked} {about}?", overlap(about, said)
        if share <= MOST_OVERLAP and _telling(about):
            digest = hashlib.sha256(f"{document}\n{question}\n{found}".encode()).hexdigest()
            yield Draft(f"draft-{digest[:10]}", question, document, found, share, overlap(about, text))


def _lowered(part: str) -> str:
    plain = _plain(part).strip()
    return plain if plain[1:2].isupper() else plain[:1].lower() + plain[1:]


def _answer(text: str) -> str | None:
    """Return the first sentence with a figure, or the first at all, of those that say something."""
    lines = [line.strip(" -*+>") for line in text.split("\n")]
    found = [one.strip() for one in _SENTENCES.split(" ".join(filter(None, lines)))]
    fit = [one for one in found if len(one) in _LENGTHS and one.endswith((".", "!"))]
    return next((one for one in fit if re.search(r"\d", one)), next(iter(fit), None))


def _plain(text: str) -> str:
    return _MARKS.sub(lambda match: match[1] or "", text)


def _telling(text: str) -> frozenset[str]:
    return frozenset(word[:_STEM] for word in words(text) if len(word) > 2 and word not in _LITTLE)
