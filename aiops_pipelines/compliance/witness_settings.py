"""What a system's file says about witnesses: who cosigns its log, where they are, and how many must.

How they are reached is known by `resources.witnesses`; what follows from what they say, by `quorum`.
"""

from collections import Counter
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from aiops_pipelines.part import Part


class WitnessPlace(Part):
    """One witness: its verifier key, and the folder or the address where it is."""

    vkey: str
    folder: Path | None = None
    url: str | None = Field(default=None, pattern=r"^https?://[^/@\s]+(/\S*)?$")
    """Submission prefix of C2SP tlog-witness: add-checkpoint is below it."""
    monitoring_url: str | None = Field(default=None, pattern=r"^https?://[^/@\s]+(/\S*)?$")
    """Where its checkpoints are read, if that is another prefix."""

    @field_validator("vkey")
    @classmethod
    def _of_a_witness(cls, vkey: str) -> str:
        from aiops_pipelines.compliance.cosignature import witness_key

        witness_key(vkey.strip())
        return vkey.strip()

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.folder is None) == (self.url is None):
            raise ValueError("give either folder or url")
        if self.monitoring_url and not self.url:
            raise ValueError("monitoring_url belongs to url")
        return self

    @property
    def name(self) -> str:
        """The name in its verifier key."""
        return self.vkey.partition("+")[0]


class Witnesses(Part):
    """Who cosigns a log: at least `quorum` of these."""

    quorum: int = Field(default=1, ge=1)
    places: tuple[WitnessPlace, ...] = Field(default=(), max_length=14)
    """With two of the log's own keys, 16 signatures: so many every reader of a note accepts."""

    @model_validator(mode="after")
    def _of_them(self) -> Self:
        if self.places and self.quorum > len(self.places):
            raise ValueError(f"quorum is {self.quorum}, of {len(self.places)}")
        # One key under two names is one witness, and one name for two would hide who spoke.
        for what in (
            [place.name for place in self.places],
            [place.vkey.split("+", 2)[2] for place in self.places],
        ):
            if twice := [one for one, times in Counter(what).items() if times > 1]:
                raise ValueError(f"{twice[0]} is there twice; each witness counts once")
        return self

    def rooted(self, root: Path) -> Self:
        """Return the settings with relative folders taken from `root`."""
        places = [
            place.model_copy(update={"folder": root / place.folder}) if place.folder else place
            for place in self.places
        ]
        return self.model_copy(update={"places": tuple(places)})
