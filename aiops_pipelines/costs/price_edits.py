"""The history of a price book: which entries came, changed and went, and which public book stood behind it.

Where the entries are read is `resources.prices`. What a call was priced with stands in its own row.
"""

import json
from collections.abc import Mapping
from datetime import datetime

import polars as pl

from aiops_pipelines.systems import System

PUBLIC_BOOK = "genai-prices"
EDITS = {
    "system": pl.String(),
    "noticed_at": pl.Datetime("us", "UTC"),
    "entry": pl.String(),
    "change": pl.String(),
    "old": pl.String(),
    "new": pl.String(),
    "entered_by": pl.String(),
}


def entries(system: System, book_version: str) -> dict[str, tuple[str, str]]:
    """Return what a system is priced with: entry -> what it says as JSON, and who entered it."""
    found = {PUBLIC_BOOK: (json.dumps({"version": book_version}), "")}
    for price in system.prices:
        said = {
            name: str(value) for name, value in price.model_dump(exclude_none=True).items() if value != ""
        }
        tier = f" ({price.service_tier})" if price.service_tier else ""
        found[f"{price.model}{tier} from {price.valid_from}"] = (
            json.dumps(said, sort_keys=True),
            price.entered_by or system.owner,
        )
    return found


def edits(
    system: System, now_said: Mapping[str, tuple[str, str]], known: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """Return what has changed since the known edits: new rows of `costs.price_edits`.

    `now_said` is of `entries`, `known` are the system's rows so far. The first run notices every entry.
    """
    latest = known.sort("noticed_at", maintain_order=True).unique("entry", keep="last", maintain_order=True)
    before = {entry: said for entry, said in latest.select("entry", "new").iter_rows() if said is not None}
    rows = []
    for entry in sorted({*before, *now_said}):
        old, (new, by) = before.get(entry), now_said.get(entry, (None, system.owner))
        if old != new:
            change = "added" if old is None else "removed" if new is None else "changed"
            rows.append((system.name, now, entry, change, old, new, by))
    return pl.DataFrame(rows, schema=EDITS, orient="row")


def sentence(edit: Mapping[str, str | None]) -> str:
    """Say an edit in a sentence for the audit log."""
    was = f", was {edit['old']}" if edit["old"] else ""
    return f"Price entry {edit['entry']} was {edit['change']}: {edit['new'] or 'nothing'}{was}."
