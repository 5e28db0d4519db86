"""What happens to a sample system, and when: `data/stories/<system>.yaml`, typed."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import Field

from aiops_pipelines.part import Part
from aiops_pipelines.systems import UtcDatetime

Value = TypeVar("Value")


class Traffic(Part):
    """Who asks, how much and where."""

    users: int
    sessions_per_week: int
    probe_user: str
    endpoints: dict[str, float]
    user_groups: dict[str, float]
    error_share: float
    pii_share: float


class Deployment(Part):
    """An index that went live, built from a corpus snapshot."""

    at: UtcDatetime
    snapshot: str | date


class Model(Part):
    """A model; `care` is the chance that it answers from what it was given."""

    from_day: date = Field(default=date.min, alias="from")
    requested: str
    served: str
    provider: str
    care: float


class Injections(Part):
    """Injection attempts: a trickle, and bursts by day."""

    background_per_week: int
    burst: dict[date, int]


class Truths(Part):
    """What the pipelines must find; tests compare with it."""

    baseline_weeks: list[date]
    stable_weeks: list[date]
    degraded_weeks: dict[date, str]
    stale_weeks: list[date]
    injection_days: list[date]
    growth_causes: list[str]


class Story(Part):
    """One sample system's story."""

    system: str
    seed: int
    first_week: date
    weeks: int
    compressed: bool = False
    """True to write the logs with gzip; they are read the same."""
    traffic: Traffic
    index_deployed: list[Deployment]
    models: list[Model]
    dear_model: Model | None = None
    dear_share: dict[date, float]
    history_turns: dict[date, int]
    system_prompt: dict[date, str]
    injection_attempts: Injections
    truths: Truths


def load_story(file: Path) -> Story:
    """Read a story file."""
    return Story.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))


def at_day(steps: Mapping[date, Value], day: date) -> Value:
    """Return the value of the latest step on or before a day."""
    return steps[max(start for start in steps if start <= day)]


def model_on(story: Story, day: date) -> Model:
    """Return the model the provider serves on a day."""
    return at_day({model.from_day: model for model in story.models}, day)


def deployment_at(story: Story, moment: datetime) -> Deployment:
    """Return the index that is live at a moment."""
    return max((d for d in story.index_deployed if d.at <= moment), key=lambda d: d.at)


def start_of(day: date) -> datetime:
    """Return a day's first moment in UTC."""
    return datetime.combine(day, time(), UTC)


def prompt_texts(file: Path, system: str) -> dict[str, str]:
    """Return the system prompts of a sample system by version."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {
        version: "\n\n".join(content["blocks"][block] for block in blocks)
        for version, blocks in content["versions"][system].items()
    }
