"""Prompt compression: instructions that a system prompt gives twice, and tools that no call used."""

import polars as pl

from aiops_pipelines.costs.counterfactual import without
from aiops_pipelines.costs.lever import NONE, Bound, Found, Group, Opportunity, Unjudged
from aiops_pipelines.costs.prompt_texts import SAMPLE, repeated_shares, unused_shares
from aiops_pipelines.drift.comparison import unseen_change
from aiops_pipelines.wording import inert, listed, percent, some

COMPRESSION, TOOLS = "prompt compression", "unused tools"
ONE_SIDED = 0.025
SHOWN = 3
UNREAD = "the log files hold no texts of system prompts and tools that could be read"


def prompt_compression(group: Group) -> Found:
    """Say once what system prompts say twice, by sentence; versions that were not read stay as they are."""
    prompts = group.samples.get(SAMPLE, pl.DataFrame())
    if prompts.is_empty() or prompts["system_prompt"].null_count() == prompts.height:
        return Unjudged(COMPRESSION, UNREAD)
    shares = repeated_shares(prompts)
    found = shares.filter(pl.col("repeated_share") > 0)
    if found.is_empty():
        return Unjudged(COMPRESSION, "no sentence of four words or more is said twice", NONE)
    worst = found.sort("repeated_share", "version", descending=[True, False]).row(0, named=True)
    name = f"version {inert(worst['version'])}" if worst["version"] else "the prompt without a version"
    evidence = (
        f"{percent(worst['repeated_share'])} of {name} is said before, by sentence: "
        f"{listed(worst['where'][:SHOWN])}."
    )
    return Opportunity(
        COMPRESSION,
        "Say each instruction once.",
        lambda calls: _shorter(calls, "system_prompt", found.select("version", share="repeated_share")),
        None,
        evidence,
        prompts["event_id"].sort().head(SHOWN).to_list(),
    )


def unused_tools(group: Group) -> Found:
    """Leave out the tools that are declared with every call and were named by none of those that were read.

    That no call in n named a tool leaves calls in a share of 1 - 0.025^(1/n) possible that need it.
    """
    prompts = group.samples.get(SAMPLE, pl.DataFrame())
    if group.calls["tools_tokens"].null_count() == group.calls.height:
        return Unjudged(TOOLS, "the log does not say whether calls declare tools")
    if not group.calls["tools_tokens"].sum():
        return Unjudged(TOOLS, "no call declares tools", NONE)
    if prompts.is_empty() or prompts["tools"].null_count() == prompts.height:
        return Unjudged(TOOLS, UNREAD)
    unused = unused_shares(prompts)
    if unused.is_empty():
        return Unjudged(TOOLS, "every tool was named by some call", NONE)
    read = int(unused["prompts"].min() or 0)  # type: ignore[arg-type]
    names = [inert(name) for name in unused["tool"].unique(maintain_order=True)]
    evidence = (
        f"{some(len(names), 'tool')} declared and never named in the {some(read, 'call')} or more of a "
        "prompt version that stand at the beginning of a few log files."
    )
    return Opportunity(
        TOOLS,
        f"Do not send {listed(names[:SHOWN])}{' and the others' if len(names) > SHOWN else ''} along.",
        lambda calls: _shorter(calls, "tools", unused.group_by("version").agg(pl.col("share").sum())),
        Bound(unseen_change(read, ONE_SIDED), "share of calls that may need one of them", read),
        evidence,
        prompts["event_id"].sort().head(SHOWN).to_list(),
    )


def _shorter(calls: pl.DataFrame, part: str, shares: pl.DataFrame) -> pl.DataFrame:
    share = (
        calls.select(version=pl.col("prompt_version").fill_null(""))
        .join(shares, on="version", how="left", maintain_order="left")["share"]
        .fill_null(0.0)
    )
    return without(calls, part, pl.col(f"{part}_tokens") * share)
