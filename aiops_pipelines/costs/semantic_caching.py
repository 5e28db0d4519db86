"""Semantic caching: questions that were asked before on a day, and how often a kept answer may be wrong.

Only questions that are the same but for case, blanks and the punctuation of sentences are taken for repeats:
C++ is not C#. On labelled public pairs of questions, no threshold of similarity kept wrong hits within a
budget of a few percent (benchmarks/README.md).
"""

import re

import polars as pl

from aiops_pipelines.costs.counterfactual import unasked
from aiops_pipelines.costs.lever import NONE, Bound, Found, Group, Opportunity, Unjudged
from aiops_pipelines.monitoring.intervals import share_interval
from aiops_pipelines.wording import percent, some

LEVER = "semantic caching"
ALIKE = 0.8
"""Shared words over all words (Jaccard 1901) from which two answers with the same numbers say the same."""
FINDS = 0.9
"""Share of wrong answers that this tells from right ones to the same question: 93 % of 313 labelled pairs."""
JUDGED_AT_MOST = 600
SAMPLE = "repeats"
SHOWN = 3
BETWEEN = r'[\s?!.,;:"]+'
"""What may differ between two questions that are the same."""
MASKED = r"\[[A-Z][A-Z0-9_]+\]"
"""What stands in a text where personal data was masked: two such texts may be about different people."""
_WORDS, _NUMBERS = re.compile(r"\w+"), re.compile(r"\d+(?:[.,]\d+)*")


def repeats(calls: pl.DataFrame) -> pl.DataFrame:
    """Return the calls that a cache emptied each midnight would have answered: event_id, served_by, draw.

    The first call of a day that answered a question serves those that ask the same in the same words, of the
    same prompt version and index version. Later turns of a conversation are never served: they lean on what
    was said before.
    """
    asked = calls.filter(
        pl.col("question").is_not_null(), pl.col("turn") == 1, pl.col("answered"), pl.col("status") == "ok"
    )
    same = ["question", "day", pl.col("prompt_version").fill_null(""), pl.col("index_version").fill_null("")]
    found = asked.sort("occurred_at", "event_id").select(
        "event_id", "question", "draw", served_by=pl.col("event_id").first().over(same)
    )
    return found.filter(pl.col("event_id") != pl.col("served_by"))


def semantic_caching(group: Group) -> Found:
    """Take repeated questions as never asked of the model, and bound how many would get a wrong answer."""
    if group.calls["question"].null_count() == group.calls.height:
        return Unjudged(LEVER, "the log keeps no questions")
    if not group.calls["answered"].any():
        return Unjudged(LEVER, "the log keeps no answers")
    hits = repeats(group.calls)
    if hits.is_empty():
        return Unjudged(LEVER, "no question was asked twice on a day", NONE)
    judged = group.samples.get(SAMPLE, pl.DataFrame())
    different = hits["question"].n_unique()
    evidence = (
        f"{percent(hits.height / group.calls.height)} of {some(group.calls.height, 'call')} asked what had "
        f"been asked that day in the same words: {some(different, 'different question')}. "
        "Log what the cache serves as calls, or aiops costs saved does not see it."
    )
    served = hits["event_id"]
    return Opportunity(
        LEVER,
        "Keep answers to first questions for a day, until prompt or index change, and serve repeats.",
        lambda calls: unasked(calls, pl.col("event_id").is_in(served.implode())),
        wrong_hits(judged),
        evidence,
        hits.sort("draw")["event_id"].head(SHOWN).to_list(),
    )


def wrong_hits(judged: pl.DataFrame) -> Bound:
    """Bound the share of a month's hits whose kept answer may be wrong, from rows of answer and kept answer.

    A hit may be wrong where the answer that was given says something else than the kept one (`alike`). The
    rows are a random sample of the month's hits, so that the exact upper bound of the share (Clopper and
    Pearson 1934) holds whatever was asked; it is divided by the share of wrong answers that the comparison
    finds.
    """
    measure = "share of the month's repeats whose kept answer may be wrong"
    if judged.is_empty():
        return Bound(None, "no two answers to a repeated question are kept")
    wrong = [not alike(*pair) for pair in judged.select("answer", "kept").iter_rows()]
    _, high = share_interval(sum(wrong), len(wrong))
    return Bound(min(1.0, float(high) / FINDS), measure, judged.height)


def alike(one: str, other: str) -> bool:
    """Return whether two answers have the same numbers and nearly the same words, and nothing was masked."""
    if re.search(MASKED, f"{one} {other}"):
        return False
    if set(_NUMBERS.findall(one)) != set(_NUMBERS.findall(other)):
        return False
    first, second = (set(_WORDS.findall(text.casefold())) for text in (one, other))
    return len(first & second) >= ALIKE * len(first | second)
