"""What the texts of system prompts and tools say, where a log has them: what is constant, repeated or unused.

The texts are read from log files for a sample of calls, looked at and dropped; nothing of them is stored.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import polars as pl

SAMPLE = "prompts"
PROMPTS = pl.Schema(
    {
        "event_id": pl.String(),
        "prompt_version": pl.String(),
        "system_prompt": pl.String(),
        "tools": pl.String(),
        "mentioned": pl.List(pl.String),
    }
)
"""`tools` is the definitions as JSON, `mentioned` those of them that the call names anywhere else."""
STEADY = 0.95
FEWEST = 5
"""Prompts of a version that must have been read before its sentences are called constant, or repeated."""
SHORTEST = 4
"""Words of a sentence from which saying it twice is taken for a repetition, not for a heading or a list."""
_SENTENCE, _WORD = re.compile(r"[^.!?\n]+[.!?]*\s*|\n"), re.compile(r"\w+")


def constant_shares(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return version and constant_share: the part of a version's front that 19 of 20 prompts have.

    Prompts are compared by sentence, wherever it stands: what is constant can be put first.
    """
    rows = []
    for version, texts in _by_version(prompts):
        both = [(row["tools"] or "", row["system_prompt"] or "") for row in texts]
        lines = [[part for text in pair for part in _SENTENCE.findall(text)] for pair in both]
        there = pl.Series([line for prompt in lines for line in set(prompt)], dtype=pl.String).value_counts()
        steady = set(there.filter(pl.col("count") >= STEADY * len(lines)).to_series().to_list())
        length = sum(len(line) for prompt in lines for line in prompt)
        kept = sum(len(line) for prompt in lines for line in prompt if line in steady)
        rows.append((version, kept / length if length else 1.0))
    return pl.DataFrame(rows, schema={"version": pl.String, "constant_share": pl.Float64}, orient="row")


def repeated_shares(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return version, repeated_share and where: how much of its system prompts is said before in them."""
    rows = []
    for version, texts in _by_version(prompts):
        counts = Counter(row["system_prompt"] or "" for row in texts)
        found = {text: list(repeated(text)) for text in counts}
        again = sum(len(part[0]) * counts[text] for text, parts in found.items() for part in parts)
        whole = sum(len(text) * times for text, times in counts.items())
        where = [f"{second} says {first} again" for _, first, second in found[counts.most_common(1)[0][0]]]
        rows.append((version, again / whole if whole else 0.0, where))
    schema = pl.Schema({"version": pl.String(), "repeated_share": pl.Float64(), "where": pl.List(pl.String)})
    return pl.DataFrame(rows, schema=schema, orient="row")


def repeated(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each sentence that one before it says word for word, with the numbers of both, from 1.

    A sentence that differs by a word may say the opposite, and one of fewer than four words is a heading.

    Worked example: "Answer in one line. Be kind to users. Answer in one line." yields the third, for the
    first.
    """
    first: dict[tuple[str, ...], int] = {}
    sentences = [part for part in _SENTENCE.findall(text) if part.strip()]
    for number, sentence in enumerate(sentences, 1):
        words = tuple(_WORD.findall(sentence.casefold()))
        if len(words) < SHORTEST:
            continue
        if words in first:
            yield sentence, first[words], number
        first.setdefault(words, number)


def unused_shares(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return version, tool, share of the definitions' length and prompts, for tools that no call named."""
    rows = []
    for version, texts in _by_version(prompts):
        with_tools = [row for row in texts if row["tools"]]
        named = {name for row in with_tools for name in row["mentioned"]}
        for name, size in _sizes(with_tools).items() if with_tools else ():
            if name not in named:
                rows.append((version, name, size, len(with_tools)))
    schema = {"version": pl.String, "tool": pl.String, "share": pl.Float64, "prompts": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _sizes(prompts: list[dict[str, Any]]) -> dict[str, float]:
    """Return the share of each tool in the definitions' length, for tools that every prompt declares."""
    declared = [dict(definitions(row["tools"])) for row in prompts]
    always = set.intersection(*map(set, declared))
    whole = sum(sum(sizes.values()) for sizes in declared)
    return {name: sum(sizes[name] for sizes in declared) / whole for name in sorted(always)} if whole else {}


def definitions(tools: str) -> Iterator[tuple[str, int]]:
    """Yield name and length of each definition in the JSON of tools, however a provider nests them."""
    try:
        yield from list(_definitions(orjson.loads(tools)))
    except orjson.JSONDecodeError:
        return


def _definitions(value: Any) -> Iterator[tuple[str, int]]:
    if isinstance(value, str) and value[:1] in "[{":
        value = orjson.loads(value)
    if isinstance(value, list):
        for part in value:
            yield from _definitions(part)
    elif isinstance(value, dict):
        if isinstance(value.get("name"), str):
            yield value["name"], len(orjson.dumps(value))
        else:
            for part in value.values():
                if isinstance(part, list | dict):
                    yield from _definitions(part)


def _by_version(prompts: pl.DataFrame) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    if prompts.is_empty():
        return
    named = prompts.with_columns(version=pl.col("prompt_version").fill_null(""))
    for (version,), rows in named.group_by(["version"], maintain_order=True):
        if rows.height >= FEWEST:
            yield str(version), rows.to_dicts()
