"""The weekly review: what happened to one system in one week, what it means and what to do now.

Each section is a function of the modules beside this one; how they look is decided in `resources`.
"""

from dataclasses import dataclass
from datetime import datetime

from aiops_pipelines.document import TONES, Action, Section, Tone
from aiops_pipelines.incidents.review_guard import adversarial, guardrails
from aiops_pipelines.incidents.review_incidents import incidents
from aiops_pipelines.incidents.review_inputs import ReviewInputs
from aiops_pipelines.incidents.review_quality import quality
from aiops_pipelines.incidents.review_retrieval import freshness, retrieval
from aiops_pipelines.incidents.review_service import audit_log, privacy, service
from aiops_pipelines.incidents.review_spend import spend
from aiops_pipelines.systems import System

WEIGHT = (
    "audit_log",
    "service",
    "quality",
    "freshness",
    "incidents",
    "guardrails",
    "adversarial",
    "spend",
    "retrieval",
    "privacy",
)
"""Which section speaks first when several are equally bad; incidents come after what caused them."""


@dataclass(frozen=True)
class Review:
    """One week of one system, ready to be rendered."""

    system: System
    start: datetime
    end: datetime
    headline: str
    tone: Tone
    actions: tuple[Action, ...]
    sections: tuple[Section, ...]


def _headline(sections: tuple[Section, ...]) -> tuple[str, Tone]:
    """Return the meaning of the gravest section; only a week in which all is known and well is quiet."""
    judged = [section for section in sections if section.tone != "plain"]
    gravest = min(judged, key=lambda section: (TONES.index(section.tone), WEIGHT.index(section.key)))
    if gravest.tone != "good":
        return gravest.meaning, gravest.tone
    answers = next(section for section in sections if section.key == "quality")
    return f"A quiet week. {answers.meaning}", "good"


def weekly_review(inputs: ReviewInputs) -> Review:
    """Review one system's week from what was known at its end.

    Raises:
        ValueError: a frame holds rows of another system.
    """
    sections = (
        quality(inputs),
        freshness(inputs),
        retrieval(inputs),
        spend(inputs),
        service(inputs),
        guardrails(inputs),
        adversarial(inputs),
        privacy(inputs),
        incidents(inputs),
        audit_log(inputs),
    )
    headline, tone = _headline(sections)
    ranked = sorted(sections, key=lambda section: WEIGHT.index(section.key))
    wanted = {action.what: action for section in reversed(ranked) for action in reversed(section.actions)}
    actions = sorted(reversed(wanted.values()), key=lambda action: TONES.index(action.tone))
    return Review(inputs.system, inputs.start, inputs.end, headline, tone, tuple(actions), sections)
