"""Prompt caching: a long constant beginning of prompts that the provider's cache could serve and does not."""

from datetime import timedelta

import polars as pl

from aiops_pipelines.costs.cells import FRONT
from aiops_pipelines.costs.lever import NONE, UNCHANGED, Found, Group, Opportunity, Unjudged
from aiops_pipelines.costs.prompt_texts import SAMPLE, constant_shares
from aiops_pipelines.wording import count, percent

LEVER = "prompt caching"
LIFE = timedelta(minutes=5)
"""How long providers keep a prefix after its last use, at least."""
SMALLEST = {"openai": 1_024, "azure": 1_024}
SMALLEST_ELSEWHERE = 4_096
"""Tokens from which a prefix is cached: where it differs by model, the most that a provider asks for."""
STEADY = 0.95
"""Share of calls that must have the constant beginning."""
VARIES = 1.1
"""Ratio of a longest to a shortest beginning up to which it is one text, counted with some error."""
SHOWN = 3


def prompt_caching(group: Group) -> Found:
    """Take the front of each prompt version as cached where another call came in the five minutes before.

    Its length is that which 19 of 20 calls of the version reach, less what the texts that were logged do not
    share. The first call of each stretch writes to the cache, at the price of writing. What a cache serves or
    keeps already is left as it is.
    """
    smallest = SMALLEST.get(_provider(group), SMALLEST_ELSEWHERE)
    shares = constant_shares(group.samples.get(SAMPLE, pl.DataFrame()))
    told = _told(group.calls, shares)
    if told["front"].null_count() == told.height:
        return Unjudged(LEVER, "the log does not say how long system prompts and tools are")
    missed = told.filter(pl.col("missed") >= smallest)
    if missed.is_empty():
        return Unjudged(LEVER, _why_none(told, smallest), NONE)
    hits = float(missed["again"].sum()) / missed.height
    length = count(float(missed["missed"].sum()) / missed.height)
    seen = "as counted; whether it is the same text was not seen" if shares.is_empty() else "by their texts"
    evidence = (
        f"{count(missed.height)} of {count(told.height)} calls sent a constant part of {length} tokens "
        f"({seen}) at the full price. {percent(hits)} of them came within five minutes of another; the rest "
        "would pay for writing it. A provider promises no hit."
    )
    return Opportunity(
        LEVER,
        "Put the constant part of the prompt first, without dates or names in it, and have it cached.",
        lambda calls: served(calls, smallest, shares),
        UNCHANGED,
        evidence,
        missed.sort("missed", "event_id", descending=[True, False])["event_id"].head(SHOWN).to_list(),
    )


def served(calls: pl.DataFrame, smallest: int, shares: pl.DataFrame) -> pl.DataFrame:
    """Return the calls with the constant front of their prompts read from a cache, or written to it."""
    moved = pl.when(pl.col("missed") >= smallest).then("missed").otherwise(0)
    read, written = (pl.col(name).fill_null(0) + pl.col("moved") for name in ("cache_read", "cache_write"))
    counts = (
        _told(calls, shares)
        .with_columns(moved=moved)
        .select(
            pl.col("input_uncached") - pl.col("moved"),
            pl.when(pl.col("again") & (pl.col("moved") > 0)).then(read).otherwise("cache_read"),
            pl.when(~pl.col("again") & (pl.col("moved") > 0)).then(written).otherwise("cache_write"),
        )
        .select("input_uncached", cache_read="cache_read", cache_write="cache_write")
    )
    return calls.with_columns(counts.get_columns())


def _told(calls: pl.DataFrame, shares: pl.DataFrame) -> pl.DataFrame:
    """Say of each call how long its front is, how much of it was missed and whether another came before."""
    parts = [f"{part}_tokens" for part in FRONT]
    known, version = pl.any_horizontal(pl.col(parts).is_not_null()), pl.col("prompt_version").fill_null("")
    ordered = (
        calls.with_row_index("place")
        .with_columns(front=pl.when(known).then(pl.sum_horizontal(parts)), version=version)
        .join(shares, on="version", how="left")
        .sort("occurred_at", "event_id")
    )
    sent = pl.when(pl.col("front") > 0)
    shortest, longest = (sent.then("front").quantile(q).over("version") for q in (1 - STEADY, STEADY))
    steady = pl.when(longest <= VARIES * shortest).then(pl.min_horizontal("front", shortest))
    before = sent.then("occurred_at").forward_fill().shift(1).over("version")
    gap = pl.col("occurred_at") - before
    held = pl.col("cache_read").fill_null(0) + pl.col("cache_write").fill_null(0)
    missed = pl.min_horizontal(pl.col("constant") - held, "input_uncached")
    return (
        ordered.with_columns(
            constant=steady * pl.col("constant_share").fill_null(1.0), again=(gap <= LIFE).fill_null(False)
        )
        .with_columns(missed=pl.when(held < pl.col("constant") / 2).then(missed).fill_null(0).cast(pl.Int64))
        .sort("place")
    )


def _provider(group: Group) -> str:
    known = group.calls["provider"].drop_nulls()
    return str(known.mode().sort()[0]) if len(known) else ""


def _why_none(told: pl.DataFrame, smallest: int) -> str:
    if told.filter(pl.col("constant") >= smallest).is_empty():
        return f"no constant beginning of {count(smallest)} tokens, the least that is cached, was seen"
    return "what could be cached is"
