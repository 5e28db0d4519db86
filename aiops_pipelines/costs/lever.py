"""What a lever is given and what it returns: the calls of a model at an endpoint, and those calls otherwise.

How opportunities are priced, tested and put in order is `opportunities`'.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from aiops_pipelines.costs.savings import FEWEST_UNITS
from aiops_pipelines.drift.comparison import effective_clusters, paired
from aiops_pipelines.systems import Limits
from aiops_pipelines.wording import some

PROPOSED, NONE, UNKNOWN = "propose", "nothing to save", "cannot tell"
Apply = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Bound:
    """The most that answers may lose, at 95 % confidence, how that was measured and on how many calls.

    None where it could not be measured, which `measure` then explains.
    """

    loss: float | None
    measure: str
    judged: int = 0


UNCHANGED = Bound(0.0, "the model reads the same text")


@dataclass(frozen=True)
class Opportunity:
    """Calls as they would have been: `apply` returns its frame with other tokens, in the same order.

    `bound` is None where no log can tell what answers lose.
    """

    lever: str
    change: str
    apply: Apply
    bound: Bound | None
    evidence: str
    examples: Sequence[str] = ()


@dataclass(frozen=True)
class Unjudged:
    """Why a lever proposes nothing: `verdict` is NONE where that was measured, else UNKNOWN."""

    lever: str
    reason: str
    verdict: str = UNKNOWN
    evidence: str = ""
    examples: Sequence[str] = ()


Found = Opportunity | Unjudged
Lever = Callable[["Group"], Found]


@dataclass(frozen=True)
class Group:
    """The chats of users with one model at one endpoint in a month.

    `calls` has what prices and parts need, with their cost_usd; `samples` has texts of a few of them, by the
    name that a lever gives its sample. Both are read in `resources.month_calls`.
    """

    system: str
    endpoint: str
    model: str
    calls: pl.DataFrame
    limits: Limits
    samples: dict[str, pl.DataFrame] = field(default_factory=dict)


def loss_bound(judged: pl.DataFrame, measure: str) -> Bound:
    """Bound the share of a score that is lost, from rows of user, before and after, by users.

    The upper end of the interval of the relative drop (`drift.comparison`); none where there are too few
    users.
    """
    rows = judged.sort("user", "before", "after")  # sums of floats are the same in the same order only
    users = rows.group_by("user", maintain_order=True).agg(
        pl.len().alias("calls"), pl.col("before", "after").sum()
    )
    enough = effective_clusters(users["calls"].to_numpy().astype(np.float64)) if users.height else 0.0
    if enough < FEWEST_UNITS["user"]:
        few = f"{some(judged.height, 'answer')} of {some(users.height, 'user')} could be judged"
        return Bound(None, few, judged.height)
    c = paired(users["before"].to_numpy(), users["after"].to_numpy())
    c = replace(c, df=enough - 1)
    interval = c.interval()
    if interval is None:
        return Bound(None, f"{measure} is too rare to be compared", judged.height)
    return Bound(max(0.0, interval[1]), measure, judged.height)
