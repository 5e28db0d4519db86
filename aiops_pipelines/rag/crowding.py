"""Documents that are suddenly found for too much: the questions an index is watched with, and what they tell.

The questions are asked by `resources.screening`; a point near too many others is a hub (M. Radovanovic et
al., "Hubs in Space", JMLR 11, 2010).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from aiops_pipelines.rag.poison import Sign
from aiops_pipelines.rag.ranking import Ranking

DEPTH = 5
MOST_TOPICS = 120
LEAST_TOPICS = 20
"""With fewer topics, five places are too large a part of all there are."""
SHARE, FACTOR = 0.10, 2.0
"""As measured in docs/adr/0020-poisoned-documents.md."""
FEWEST_GAINED = 5
"""Topics gained, with none lost, beyond chance at 5 %: by the sign test 2**-5 is 0.031, 2**-4 is 0.063."""
FEWEST_GAINED_FOREIGN = 8
"""In a language the model does not know: as measured in docs/adr/0020-poisoned-documents.md."""
PEERS = 5


@dataclass(frozen=True)
class Topic:
    """A question and the documents known to answer it; `known` is false for one made of a title."""

    question: str
    documents: frozenset[str]
    known: bool


@dataclass(frozen=True)
class Seen:
    """Share of the topics each document is among the first five for, in the index before and the new one.

    `topics` is how many there are, `fewest` how many of them a document has to gain.
    """

    before: Mapping[str, float]
    after: Mapping[str, float]
    topics: int
    fewest: int = FEWEST_GAINED


def topics(known: pl.DataFrame, judged: pl.DataFrame, titles: Mapping[str, str]) -> list[Topic]:
    """Return one question for each document that stood before, so that no topic counts twice.

    A known query comes first, the document's own title where there is none. Of many, always the same 120.

    Args:
        known: the `rag.known_queries` rows in force.
        judged: their `rag.judgements`.
        titles: title of each document of the index before.
    """
    answers = judged.filter(pl.col("grade") > 0).sort("grade", "document", descending=[True, False])
    asked = dict(known.select("query_id", "query").iter_rows())
    found: dict[str, Topic] = {}
    for (query_id,), rows in answers.group_by("query_id", maintain_order=True):
        documents = rows["document"].to_list()
        if query_id in asked and documents[0] in titles and documents[0] not in found:
            found[documents[0]] = Topic(asked[str(query_id)], frozenset(documents), True)
    for document, title in titles.items():
        found.setdefault(document, Topic(title, frozenset([document]), False))
    once = {topic.question: topic for _, topic in sorted(found.items(), key=_shuffled, reverse=True)}
    return list(once.values())[:MOST_TOPICS]


def topic_shares(rankings: Sequence[Ranking]) -> dict[str, float]:
    """Return the share of topics, one ranking each, that each document is among the first five for."""
    shares: dict[str, float] = {}
    for ranking in rankings:
        for document, _ in ranking[:DEPTH]:
            shares[document] = shares.get(document, 0.0) + 1 / len(rankings)
    return shares


def seen(asked: Sequence[Topic], before: Sequence[Ranking], after: Sequence[Ranking], foreign: bool) -> Seen:
    """Return what a changed document is judged by.

    For one in a language the model does not know (`foreign`) a topic counts where the index before finds a
    document of the topic's among the first five: what such a model finds elsewhere is chance.
    """
    if not foreign:
        return Seen(topic_shares(before), topic_shares(after), len(asked))
    kept = [
        at
        for at, (topic, ranking) in enumerate(zip(asked, before, strict=True))
        if any(document in topic.documents for document, _ in ranking[:DEPTH])
    ]
    old, new = ([of[at] for at in kept] for of in (before, after))
    return Seen(topic_shares(old), topic_shares(new), len(kept), FEWEST_GAINED_FOREIGN)


def crowding(found: Seen, sizes: Mapping[str, int], document: str) -> Sign | None:
    """Return a strong sign when a changed document is now found for too many topics to be about one.

    It stands among the first five for a tenth of all topics more than before, `fewest` at least, and for
    twice as many as any document of the index before that is no larger. Where fewer than five are so small,
    all count.

    Worked example: 12 % of 100 now, none before, the others at most 5 %: 0.12 is at least 0.10 and 2 * 0.05.

    Args:
        found: shares of the topics it is judged by.
        sizes: chunks of each document, of the new version where there is one.
        document: the changed one.
    """
    share, had = found.after.get(document, 0.0), found.before.get(document, 0.0)
    if share - had < SHARE or round((share - had) * found.topics) < found.fewest:
        return None
    others = [name for name in sizes if name != document]
    small = [name for name in others if sizes[name] <= sizes[document]]
    peers = small if len(small) >= PEERS else others
    usual = max((found.before.get(name, 0.0) for name in peers), default=0.0)
    if share < FACTOR * usual:
        return None
    return Sign(
        "crowding",
        True,
        f"It is among the first {DEPTH} documents for {share:.0%} of the topics, before for {had:.0%}; no "
        f"document of its size was for more than {usual:.0%}.",
    )


def takeover(
    asked: Sequence[Topic], before: Sequence[Ranking], after: Sequence[Ranking], document: str
) -> Sign | None:
    """Return a weak sign when a document is now first for known queries that it is no known answer to."""
    taken = [
        topic.question
        for topic, old, new in zip(asked, before, after, strict=True)
        if topic.known and document not in topic.documents and _first(new) == document != _first(old)
    ]
    if not taken:
        return None
    return Sign("takeover", False, f"It is now first for known queries it is no answer to: {len(taken)}.")


def _first(ranking: Iterable[tuple[str, float]]) -> str | None:
    return next((document for document, _ in ranking), None)


def _shuffled(item: tuple[str, Topic]) -> tuple[bool, str]:
    document, topic = item
    return topic.known, hashlib.sha256(document.encode()).hexdigest()
