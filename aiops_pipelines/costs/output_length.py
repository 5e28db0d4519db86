"""Output length: how much of the output the longest answers hold. What a shorter one loses is not known."""

import polars as pl

from aiops_pipelines.costs.lever import NONE, Found, Group, Unjudged
from aiops_pipelines.wording import count, percent

LEVER = "output length"
LONGEST = 0.05
"""Share of the answers that are called the longest."""
LONG = 3
"""How many times the median the longest answers are where there is a tail."""
SHOWN = 3


def output_length(group: Group) -> Found:
    """Say whether answers have a long tail; no log shows what they would be worth if they ended earlier."""
    written = pl.sum_horizontal("output_visible", "reasoning")
    answers = group.calls.filter(pl.col("status") == "ok", written > 0).with_columns(written=written)
    if answers.is_empty():
        return Unjudged(LEVER, "the log does not say how long answers are")
    median, limit = (float(answers["written"].quantile(q) or 0) for q in (0.5, 1 - LONGEST))
    longest = answers.filter(pl.col("written") > limit)
    share = float(longest["written"].sum()) / float(answers["written"].sum())
    reasoning = float(answers["reasoning"].fill_null(0).sum()) / float(answers["written"].sum())
    evidence = (
        f"Half of the answers have at most {count(median)} tokens; the longest {percent(LONGEST)} have "
        f"more than {count(limit)} and hold {percent(share)} of the output, of which {percent(reasoning)} is "
        "reasoning."
    )
    if limit < LONG * median and reasoning < 0.5:
        return Unjudged(LEVER, f"the longest answers are below {LONG} times the median", NONE, evidence)
    examples = longest.sort("written", "event_id", descending=[True, False])["event_id"].head(SHOWN).to_list()
    return Unjudged(
        LEVER,
        "a log does not show what an answer loses that ends earlier: ask for less on the known queries first",
        evidence=evidence,
        examples=examples,
    )
