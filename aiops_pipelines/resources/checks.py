"""What `aiops check` finds, one sentence at a time."""

from dataclasses import dataclass

from aiops_pipelines.document import Tone


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: `bad` keeps the system from being operated, `warn` leaves a part out."""

    tone: Tone
    sentence: str
