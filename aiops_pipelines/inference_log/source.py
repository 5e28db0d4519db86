"""Whose log is read: the settings of one system that decide what becomes of its lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aiops_pipelines.compliance.privacy import REGIONS
from aiops_pipelines.inference_log.places import Mapped


@dataclass(frozen=True)
class Source:
    """Whose log is read, in which format, and when."""

    system: str
    format: str
    now: datetime
    key: bytes
    """Secret of 32 bytes or more, for the pseudonyms of identifiers that hold personal data."""
    regions: Sequence[str] = REGIONS
    mapping: Mapped | None = None
    """Column of the record to field, for the format `mapped`."""
    erased: frozenset[str] = frozenset()
    """Marks of people who were erased: their calls come back without texts and person."""
    erased_traces: frozenset[str] = frozenset()
    erased_calls: frozenset[str] = frozenset()
    """Their traces and calls as stored, for what names nothing else; of a call its own part of the id too."""
    story_ends: datetime | None = None
    """The end of a recorded story, which may lie ahead of `now`."""

    @property
    def present(self) -> datetime:
        """The latest time that a call can have without a clock that is wrong."""
        return max(self.now, self.story_ends or self.now)
