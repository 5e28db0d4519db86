"""What a check of the audit log reports: one finding for each thing that is wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, Literal

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


def verification_order(row: Mapping[str, Any]) -> tuple[date, datetime]:
    """Return what verifications are sorted by: the week, then when, which was not kept of the oldest."""
    return row["week"], row["verified_at"] or datetime.min.replace(tzinfo=UTC)


@dataclass
class Capped:
    """The first 100 findings of one check, and how many more there are."""

    named: list[Finding] = field(default_factory=list)
    rest: int = 0

    def add(self, findings: Iterable[Finding]) -> None:
        """Take in what was found next."""
        remaining = iter(findings)
        self.named += islice(remaining, MAX_NAMED - len(self.named))
        self.rest += sum(1 for _ in remaining)

    def told(self, what: str) -> list[Finding]:
        """Return the findings, and one more that counts the rest."""
        more = Finding("error", None, None, None, f"{self.rest:,} more: {what}.")
        return [*self.named, more] if self.rest else self.named


def capped(findings: Iterable[Finding], what: str) -> list[Finding]:
    """The first 100 findings of one check, and one more that counts the rest."""
    found = Capped()
    found.add(findings)
    return found.told(what)
