"""When the term of texts is over, and how their deletion stands in the audit log, entry by entry.

A deletion names the log entries whose calls it emptied, as spans of indexes, and nobody. Only that excuses a
text that is gone: `records` asks `Deletions`. Deleting is done in `resources`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Literal, TypeVar

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.audit_entry import decision_entry
from aiops_pipelines.compliance.settings import CHANGED, NOTED
from aiops_pipelines.periods import midnight
from aiops_pipelines.wording import day, some

DELETED, HELD, ERASED, REFUSED = "texts_deleted", "texts_held", "person_erased", "erasure_refused"
KINDS = tuple(f"decision.{what}" for what in (NOTED, CHANGED, DELETED, ERASED))
"""Entries that say which texts may be gone."""
LONGEST_TERM_DAYS = 36_500
SPANS_AN_ENTRY = 2_000
"""Written as "1234567890-1234567899" each, they stay below the bytes of a leaf."""
Gone = Literal["", "texts", "person"]
Entry = dict[str, Any]
Before = TypeVar("Before")


def kept_from(now: datetime, text_days: int) -> datetime:
    """Return the moment before which the term of texts is over: it ends with the UTC day in which it does.

    Texts of 1 January, 10:00, with a term of 180 days are kept until 30 June, 24:00. So there is one deletion
    a day, and none is early.
    """
    return midnight((now - timedelta(days=min(text_days, LONGEST_TERM_DAYS))).date())


def spans(places: Iterable[tuple[int, bool]]) -> list[str]:
    """Return the runs of what is gone, as "5-9" or "7".

    Args:
        places: index of each entry that something could be taken from, in order, and whether it is taken now.
            What was taken before ends a run, so that no two deletions name the same entry.
    """
    found = []
    for gone, run in groupby(places, lambda place: place[1]):
        if gone:
            first, *rest = (index for index, _ in run)
            found.append(f"{first}-{rest[-1]}" if rest else f"{first}")
    return found


def deletion_entries(
    system: str, now: datetime, text_days: int, gone: Sequence[str], counts: Mapping[str, int]
) -> Iterator[Entry]:
    """Yield the entries of one deletion of texts by their term, each of so many spans as a leaf holds."""
    before = kept_from(now, text_days)
    said = f"The texts of {some(counts['calls'], 'call')} before {day(before)} were deleted after their term."
    details = {"text_days": text_days, "before": before.isoformat(), **counts}
    for part in _parts(gone):
        yield decision_entry(system, DELETED, now, "aiops_pipelines", said, details | part)


def erasure_entries(
    system: str, now: datetime, by: str, reason: str, gone: Sequence[str], counts: Mapping[str, int]
) -> Iterator[Entry]:
    """Yield the entries of the erasure of one person, who is not named."""
    said = f"One person was erased from {some(counts['calls'], 'call')}: {reason}"
    for part in _parts(gone):
        yield decision_entry(system, ERASED, now, by, said, {"reason": reason, **counts, **part})


def _parts(gone: Sequence[str]) -> Iterator[dict[str, Any]]:
    for part, start in enumerate(range(0, max(len(gone), 1), SPANS_AN_ENTRY)):
        yield {"part": part, "entries": list(gone[start : start + SPANS_AN_ENTRY])}


@dataclass
class Deletions:
    """What a log says was deleted: the spans of entries, with the moment before which their calls lie."""

    texts: list[tuple[int, int, datetime]] = field(default_factory=list)
    people: list[tuple[int, int, None]] = field(default_factory=list)

    @classmethod
    def of(cls, entries: Iterable[bytes]) -> "Deletions":
        """Read the entries of KINDS in the order of the log.

        A deletion by term counts only if the term was over by the settings that the log noted before it.
        """
        texts: list[tuple[int, int, datetime]] = []
        people: list[tuple[int, int, None]] = []
        text_days: int | None = None
        for data in entries:
            try:
                said = leaf.decode(data)
                kind, details = said["kind"].removeprefix("decision."), said["details"]
                at = datetime.fromisoformat(said["occurred_at"])
                if kind in (NOTED, CHANGED):
                    text_days = int(details["settings"]["retention.text_days"])
                elif kind == ERASED:
                    people += ((*_ends(span), None) for span in details["entries"])
                elif text_days and (before := datetime.fromisoformat(details["before"])) <= kept_from(
                    at, text_days
                ):
                    texts += ((*_ends(span), before) for span in details["entries"])
            except (leaf.LeafInvalid, KeyError, TypeError, ValueError):
                continue  # an entry that was edited is found by `integrity`, and excuses nothing
        return cls(_outermost(texts), _outermost(people))

    def gone(self, index: int, occurred_at: datetime) -> Gone:
        """Say what the log says was deleted of the call of an entry."""
        if _within(self.people, index):
            return "person"
        return "texts" if (before := _within(self.texts, index)) and occurred_at < before[2] else ""


def _ends(span: str) -> tuple[int, int]:
    first, _, last = span.partition("-")
    return int(first), int(last or first)


def _outermost(found: Iterable[tuple[int, int, Before]]) -> list[tuple[int, int, Before]]:
    """Sort spans without those inside of others: texts that came back with a backup are deleted twice."""
    kept: list[tuple[int, int, Before]] = []
    for one in sorted(found, key=lambda span: (span[0], -span[1])):
        if not kept or one[1] > kept[-1][1]:
            kept.append(one)
    return kept


def _within(found: Sequence[tuple[int, int, Any]], index: int) -> tuple[int, int, Any] | None:
    # None lies inside of another, so of those that start before an entry the last reaches furthest.
    at = bisect_right(found, index, key=lambda span: span[0])
    return found[at - 1] if at and index <= found[at - 1][1] else None
