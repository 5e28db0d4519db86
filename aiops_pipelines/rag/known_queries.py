"""Known queries: questions with judged documents, each row in force from a date on.

The file's lines come in, frames and sentences about bad lines go out; asking and scoring them is evaluation.
A drafted query (`drafting`) is none before somebody has signed it off, in a later line of the file. A later
line retires a query that is asked no more; deleting its lines does not, for that may be an accident. Queries
that attack on purpose stand in the same file and are none of these: nothing that is measured looks at them.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from aiops_pipelines.compliance.owasp import OWASP_2025
from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.wording import listed

_MOMENT = pl.Datetime("us", "UTC")
KNOWN_QUERIES = pl.Schema(
    {
        "system": pl.String(),
        "query_id": pl.String(),
        "valid_from": _MOMENT,
        "query": pl.String(),
        "reference_answer": pl.String(),
        "tags": pl.List(pl.String),
        "signed_off_by": pl.String(),
        "retired": pl.Boolean(),
    }
)
JUDGEMENTS = pl.Schema(
    {
        "system": pl.String(),
        "query_id": pl.String(),
        "valid_from": _MOMENT,
        "document": pl.String(),
        "grade": pl.Int64(),
    }
)
ADVERSARIAL = pl.Schema(
    {
        "system": pl.String(),
        "query_id": pl.String(),
        "valid_from": _MOMENT,
        "query": pl.String(),
        "category": pl.String(),
        "must_not_contain": pl.List(pl.String),
        "retired": pl.Boolean(),
    }
)
_FIELDS = {
    "adversarial",
    "must_not_contain",
    "query_id",
    "query",
    "valid_from",
    "reference_answer",
    "relevant",
    "tags",
    "retired",
}
_OF_DRAFTS = {"synthetic", "signed_off_by", "lexical_overlap"}


def parse_known_queries(
    system: str, lines: Iterable[str], drafts: bool = False
) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Return (known_queries, judgements, problems) out of JSON lines; a bad line is left out and named.

    A line is `{"query_id", "query", "valid_from", "reference_answer", "relevant": [{"document", "grade"}],
    "tags"}`; reference_answer and tags may be left out. Grades: 0 irrelevant, 1 helps, 2 answers. A line with
    `"synthetic": true` counts once it has `"signed_off_by"`; those without are returned with `drafts` only,
    unless their query has been signed off since. A line with `"retired": true` ends its query, from its date.
    """
    known: list[tuple[Any, ...]] = []
    judgements: list[tuple[Any, ...]] = []
    signed: set[str] = set()
    found, problems = _rows(lines)
    hostile = adversarial_ids(row for row, *_ in found)
    for row, since, draft in found:
        key = (row["query_id"], since)
        signed |= set() if draft else {row["query_id"]}
        if draft == drafts and row["query_id"] not in hostile:
            said = (row["query"], row.get("reference_answer"), row.get("tags", []), row.get("signed_off_by"))
            known.append((system, *key, *said, bool(row.get("retired"))))
            judgements += [(system, *key, entry["document"], entry["grade"]) for entry in row["relevant"]]
    waiting = ~pl.col("query_id").is_in(list(signed)) if drafts else pl.lit(True)
    return (
        pl.DataFrame(known, schema=KNOWN_QUERIES, orient="row").filter(waiting),
        pl.DataFrame(judgements, schema=JUDGEMENTS, orient="row").filter(waiting),
        problems,
    )


def adversarial_queries(system: str, lines: Iterable[str]) -> pl.DataFrame:
    """Return the queries that attack on purpose; `parse_known_queries` leaves them out and names bad lines.

    Such a line has `"adversarial": "LLM01"`, a category of the OWASP Top 10 for LLM applications 2025. The
    attack is to be refused or blocked, or, with `"must_not_contain": [...]`, no answer may hold these texts.
    """
    found, _ = _rows(lines)
    hostile = adversarial_ids(row for row, *_ in found)
    rows = [
        (
            *(system, row["query_id"], since, row["query"], row.get("adversarial")),
            *(row.get("must_not_contain") or [], bool(row.get("retired"))),
        )
        for row, since, _ in found
        if row["query_id"] in hostile
    ]
    return pl.DataFrame(rows, schema=ADVERSARIAL, orient="row")


def attacks_in_force(queries: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """Return the rows of `adversarial_queries` that hold at a moment."""
    return _latest(queries, at).filter(~pl.col("retired"))


def adversarial_ids(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the ids of the queries that any line calls adversarial; a line that retires one need not."""
    return {row["query_id"] for row in rows if row.get("adversarial")}


def _rows(lines: Iterable[str]) -> tuple[list[tuple[dict[str, Any], datetime, bool]], list[str]]:
    """Return each good line with its moment and whether it is a draft, and a sentence for each bad one."""
    found: list[tuple[dict[str, Any], datetime, bool]] = []
    problems: list[str] = []
    seen: set[tuple[str, datetime, bool]] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = _checked(line)
            key = (row["query_id"], _moment(row["valid_from"]))
            draft = bool(row.get("synthetic")) and not row.get("signed_off_by")
            if (*key, draft) in seen:
                raise ValueError(f"{key[0]} has a second row from {key[1].date()}; keep one")
        except ValueError as error:
            problems.append(f"Line {number}: {error}.")
            continue
        seen.add((*key, draft))
        found.append((row, key[1], draft))
    hostile = adversarial_ids(row for row, *_ in found)
    unsaid = {
        name
        for row, *_ in found
        if (name := row["query_id"]) in hostile and not (row.get("adversarial") or row.get("retired"))
    }
    problems += [
        f"{name} is adversarial in one line and not in another; keep one kind." for name in sorted(unsaid)
    ]
    return [line for line in found if line[0]["query_id"] not in unsaid], problems


def in_force(
    known: pl.DataFrame, judgements: pl.DataFrame, at: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that hold at a moment: per query those of the latest valid_from not after it."""
    latest = _latest(known, at).filter(~pl.col("retired").fill_null(value=False))
    return latest, judgements.join(
        latest.select("query_id", "valid_from"), on=["query_id", "valid_from"], how="semi"
    )


def retired(known: pl.DataFrame, at: datetime) -> list[str]:
    """Return the ids of the queries that are retired at a moment."""
    return _latest(known, at).filter("retired")["query_id"].to_list()


def _latest(known: pl.DataFrame, at: datetime) -> pl.DataFrame:
    return (
        known.filter(pl.col("valid_from") <= at)
        .sort("query_id", "valid_from")
        .unique("query_id", keep="last", maintain_order=True)
    )


def _checked(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("half a character (a lone surrogate such as \\ud83d); write it whole") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    if unknown := sorted(row.keys() - _FIELDS - _OF_DRAFTS):
        raise ValueError(f"unknown field {unknown[0]}; the fields are {', '.join(sorted(_FIELDS))}")
    for field in ("query_id", "query", "valid_from"):
        if not isinstance(row.get(field), str) or not row[field].strip():
            raise ValueError(f"{field} is missing or not a text")
    if not isinstance(row.get("reference_answer"), str | None):
        raise ValueError("reference_answer is neither a text nor null")
    tags = row.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("tags is not a list of texts")
    for field in ("synthetic", "retired"):
        if not isinstance(row.get(field), bool | None):
            raise ValueError(f"{field} is neither true nor false")
    if not isinstance(row.get("signed_off_by"), str | None):
        raise ValueError("signed_off_by is not a name")
    _check_adversarial(row)
    if row.get("retired") or row.get("adversarial"):
        row["relevant"] = []
    _check_relevant(row.get("relevant"))
    return row


def _check_adversarial(row: Mapping[str, Any]) -> None:
    category, forbidden = row.get("adversarial"), row.get("must_not_contain")
    if category is None and forbidden is not None:
        raise ValueError("must_not_contain belongs to a line with adversarial")
    if category is not None and (not isinstance(category, str) or category not in OWASP_2025):
        raise ValueError(f"adversarial is not one of {', '.join(OWASP_2025)}")
    texts = [] if forbidden is None else forbidden
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError("must_not_contain is not a list of texts")
    for text in texts:
        if masked := mask(text)[1]:
            raise ValueError(
                f"must_not_contain has {listed(sorted(masked))}, which the log never holds unmasked"
            )
    for field in ("relevant", "reference_answer", "synthetic"):
        if category is not None and row.get(field):
            raise ValueError(f"an adversarial query has no {field}; it is no question to be answered")


def _check_relevant(relevant: object) -> None:
    if not isinstance(relevant, list):
        raise ValueError("relevant is not a list; write [] when the corpus has no answer")
    documents = set()
    for entry in relevant:
        document = entry.get("document") if isinstance(entry, dict) else None
        if not isinstance(document, str) or not document:
            raise ValueError("an entry of relevant has no document")
        if type(entry.get("grade")) is not int or entry["grade"] not in (0, 1, 2):
            raise ValueError(f"the grade of {document} is not 0, 1 or 2")
        if document in documents:
            raise ValueError(f"{document} is judged twice")
        documents.add(document)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"valid_from {text!r} is not an ISO date such as 2026-06-01") from error
