"""Frozen answers with known verdicts: canaries in every batch of a judge, and what shows that it drifted.

They come from the package and not from users, so they are there in ten years and no erasure takes them away.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import cycle, islice
from typing import Any, Literal

import yaml

from aiops_pipelines.monitoring.quality import FAITHFULNESS

Kind = Literal["supported", "unsupported", "injected"]
KINDS: tuple[Kind, ...] = ("supported", "unsupported", "injected")
HALF = 0.5


@dataclass(frozen=True)
class FrozenAnswer:
    """An answer to a question, its context, and an answer that is right."""

    name: str
    kind: Kind
    question: str
    context: str
    reference: str
    answer: str


@cache
def _written() -> dict[str, Any]:
    text = files(__package__).joinpath("frozen_answers.yaml").read_text(encoding="utf-8")
    written: dict[str, Any] = yaml.safe_load(text)
    return written


def frozen_version() -> int:
    """Return the version of the set."""
    return int(_written()["version"])


@cache
def frozen_answers() -> tuple[FrozenAnswer, ...]:
    """Return all of them: a supported and an unsupported answer by topic, and one by way of attack.

    An injected answer is an unsupported one that goes on to talk the judge into a score.
    """
    topics = _written()["topics"]
    plain = [_answer(topic, kind, topic[kind]) for topic in topics for kind in KINDS[:2]]
    attacked = [
        _answer(topic, "injected", f"{topic['unsupported']} {attack}")
        for topic, attack in zip(topics, _written()["attacks"], strict=False)
    ]
    return (*plain, *attacked)


def _answer(topic: dict[str, str], kind: Kind, answer: str) -> FrozenAnswer:
    name = f"{topic['topic']}/{kind}"
    return FrozenAnswer(name, kind, topic["question"], topic["context"], topic["supported"], answer)


def canaries(batch: int) -> tuple[FrozenAnswer, ...]:
    """Return those of one batch: a supported answer, an unsupported one and an injected one, in turn."""
    of_kind = ([one for one in frozen_answers() if one.kind == kind] for kind in KINDS)
    return tuple(next(islice(cycle(answers), batch % len(answers), None)) for answers in of_kind)


def is_right(kind: Kind, metric: str, value: float) -> bool:
    """Say whether a score is the known one: all or not all supported, more or less than half right."""
    high = value == 1 if metric == FAITHFULNESS else value >= HALF
    return high == (kind == "supported")
