"""What a check of the audit log reports: one finding for each thing that is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

MAX_NAMED = 100


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a log, as exactly located as it can be; a note is nothing wrong."""

    severity: Literal["error", "warning", "note"]
    entry_index: int | None
    entry_id: str | None
    column: str | None
    message: str


def intact(findings: Iterable[Finding]) -> bool:
    """Say whether nothing is wrong."""
    return all(finding.severity == "note" for finding in findings)


def capped(findings: Iterable[Finding], what: str) -> list[Finding]:
    """The first 100 findings of one check, and one more that counts the rest."""
    remaining = iter(findings)
    named = list(islice(remaining, MAX_NAMED))
    if rest := sum(1 for _ in remaining):
        named.append(Finding("error", None, None, None, f"{rest:,} more: {what}."))
    return named
