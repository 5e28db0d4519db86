"""Run and judgement files as TREC writes them: lines in, frames and sentences about bad lines out.

What is measured on them is `metrics`.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import polars as pl

from aiops_pipelines.rag.metrics import QRELS, RUN

_BEIR = ["query-id", "corpus-id", "score"]


def parse_run(lines: Iterable[str], name: str) -> tuple[pl.DataFrame, list[str]]:
    """Return a run and what is wrong with its lines: query, Q0, document, rank, score, tag.

    The score decides and the rank is not read, as in trec_eval. A line that is wrong is left out.
    """
    rows, problems = _read(lines, name, _run_row)
    return pl.DataFrame(rows, schema=RUN, orient="row"), problems


def parse_qrels(lines: Iterable[str], name: str) -> tuple[pl.DataFrame, list[str]]:
    """Return judgements and what is wrong with their lines: query, iteration, document, grade.

    A file that begins with the header query-id, corpus-id, score has these three columns.
    """
    every = list(lines)
    three = bool(every) and every[0].split() == _BEIR
    rows, problems = _read(every, name, _three if three else _four, skipped=int(three))
    return pl.DataFrame(rows, schema=QRELS, orient="row"), problems


def _read(
    lines: Iterable[str], name: str, row: Callable[[list[str]], tuple[str, str, Any]], skipped: int = 0
) -> tuple[list[tuple[str, str, Any]], list[str]]:
    rows: dict[tuple[str, str], tuple[str, str, Any]] = {}
    problems = []
    for number, line in enumerate(lines, start=1):
        if number <= skipped or not line.strip():
            continue
        try:
            found = row(line.split())
            if found[:2] in rows:
                raise ValueError(f"{found[1]} stands a second time for query {found[0]}")
        except ValueError as error:
            problems.append(f"{name}, line {number}: {error}.")
            continue
        rows[found[:2]] = found
    return list(rows.values()), problems


def _run_row(fields: list[str]) -> tuple[str, str, float]:
    if len(fields) != 6:
        raise ValueError(f"{len(fields)} fields instead of query, Q0, document, rank, score and tag")
    try:
        score = float(fields[4])
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ValueError(f"the score {fields[4]!r} is not a number")
    return fields[0], fields[2], score


def _four(fields: list[str]) -> tuple[str, str, int]:
    if len(fields) != 4:
        raise ValueError(f"{len(fields)} fields instead of query, iteration, document and grade")
    return fields[0], fields[2], _grade(fields[3])


def _three(fields: list[str]) -> tuple[str, str, int]:
    if len(fields) != 3:
        raise ValueError(f"{len(fields)} fields instead of {', '.join(_BEIR)}")
    return fields[0], fields[1], _grade(fields[2])


def _grade(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"the grade {text!r} is not a whole number") from None
