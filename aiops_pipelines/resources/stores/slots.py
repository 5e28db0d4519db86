"""Two collections a recipe: one that readers are given, one to write the next state to.

For stores that change a collection in place and keep no versions of it.
"""

from collections.abc import Callable
from typing import TypeVar

import polars as pl

from aiops_pipelines.rag.publication import plan
from aiops_pipelines.resources.stores.base import Draft

D = TypeVar("D", bound=Draft)
SLOTS = ("a", "b")


def free_slot(family: str, shown: str | None, open_draft: Callable[[str], D], wanted: pl.DataFrame) -> D:
    """Return the slot that readers are not given; of two, the one that needs least to become what is wanted.

    So rolling a migration back finds the old collection as it was left, and writes nothing.
    """
    names = [f"{family}_{slot}" for slot in SLOTS]
    return min((open_draft(name) for name in names if name != shown), key=lambda draft: _work(draft, wanted))


def _work(draft: Draft, wanted: pl.DataFrame) -> int:
    held = draft.held()
    found = plan(wanted, held, held)
    return len(found.write) + len(found.remove)
