"""How savings proposals are said to people: a sentence each, and why there is none."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiops_pipelines.costs.lever import NONE, PROPOSED, UNKNOWN
from aiops_pipelines.document import Column, Table
from aiops_pipelines.wording import inert, percent, usd

Row = Mapping[str, Any]
PROOF = "aiops costs saved tells afterwards whether it was saved, and whether answers held."
KINDS: dict[str, Any] = {
    "Lever": "text",
    "Endpoint": "code",
    "Model": "code",
    "A month": "usd",
    "At least": "usd",
    "At most": "usd",
    "After those above": "usd",
    "Answers may lose": "text",
    "Change": "text",
}


def proposal_sentence(row: Row) -> str:
    """Say what a lever saves, how sure that is and what answers may lose."""
    saving, low, high, spend = (usd(row[name]) for name in ("saving_usd", "low_usd", "high_usd", "spend_usd"))
    further = ""
    if row["further_usd"] < row["saving_usd"]:
        more = usd(row["further_usd"], signed=True)
        further = f" With the larger ones of this endpoint in place it is {more}."
    return f"{saving} a month, {low} to {high}, of {spend}. {row['change']} {loss(row)}{further}"


def loss(row: Row) -> str:
    """Say what answers may lose by a change."""
    if row["loss_high"] is None:
        return "What answers lose is not measured: try it on the known queries first."
    if not row["loss_high"]:
        return f"Answers stay: {row['loss_measure']}."
    return f"Answers lose at most {percent(row['loss_high'])} ({row['loss_measure']})."


def place(row: Row) -> str:
    """Name a lever and where it was looked for."""
    return f"{row['lever']} at {inert(row['endpoint'])} ({inert(row['model'])})"


def together(rows: Iterable[Row]) -> str:
    """Say what the proposals save together: what each adds to the ones before it."""
    made = [row for row in rows if row["verdict"] == PROPOSED]
    total = usd(sum(row["further_usd"] for row in made))
    return f"Together {total} a month: savings of one endpoint overlap and are not added up."


def proposals_table(rows: Iterable[Row]) -> Table:
    """Return the proposals of a month as a table for the review and the report."""
    cells = tuple(
        (
            *(row[name] for name in ("lever", "endpoint", "model", "saving_usd", "low_usd", "high_usd")),
            *(row["further_usd"], loss(row), row["change"]),
        )
        for row in rows
        if row["verdict"] == PROPOSED
    )
    columns = tuple(Column(label, kind) for label, kind in KINDS.items())
    title = "Savings proposed, with 95 % intervals; those of one endpoint overlap"
    return Table(title, columns, cells, "costs.savings_proposals", "None was proposed.")


def abstained(rows: Iterable[Row]) -> list[tuple[str, str, str]]:
    """Return verdict, place and reason of what is not proposed, what cannot be told first."""
    return [
        (row["verdict"], place(row), row["reason"])
        for verdict in (UNKNOWN, NONE)
        for row in rows
        if row["verdict"] == verdict
    ]
