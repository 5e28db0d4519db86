"""Are the rows of what people decided about incidents still those that the log vouches for.

These rows are only ever appended, and response times and legal clocks are computed from them. How calls are
held against their entries is `records`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.finding import Finding, capped
from aiops_pipelines.wording import some

APPENDED = (
    "incidents.incident_events",
    "incidents.legal_events",
    "incidents.remedies",
    "incidents.reported_incidents",
)
"""Tables of which each row has an entry."""
COMPLETED = "log_completed"
"""The decision by which entries were put back into a log that was older than what was signed of it."""
RECORDED, OPENED = "decision.incident_", "decision.incident_opened"
"""How the kinds of these entries begin, and the one that is no row of them."""
Row = Mapping[str, Any]
Details = dict[str, str | bool | int | None]


def details(row: Row) -> Details:
    """Return a row as the details of its entry: what a leaf cannot hold is text."""
    return {key: _said(key, value) for key, value in row.items() if key != "system"}


def _said(key: str, value: Any) -> str | bool | int | None:
    if value is None or isinstance(value, str | bool | int):
        return value
    if key == "calls":
        return ", ".join(value)
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def against_rows(
    logged: Iterable[tuple[int, str, bytes]], rows: Iterable[Row], completed: Sequence[range]
) -> list[Finding]:
    """Return the entries of decisions that no row says any more.

    Args:
        logged: index, id and leaf of each entry of a decision.
        rows: rows of the APPENDED tables.
        completed: entries that were put back into an older log; the rows of these are lost, which is noted.
    """
    stored: dict[Any, list[Details]] = {}
    for row in rows:
        stored.setdefault(row["incident_id"], []).append(details(row))
    lost = 0

    def gone() -> Iterator[Finding]:
        nonlocal lost
        for index, entry_id, data in logged:
            try:
                said = leaf.decode(data).get("details") or {}
            except leaf.LeafInvalid:
                continue  # `integrity` names it
            same = stored.get(said.get("incident_id"), ())
            if any(all(row.get(key, value) == value for key, value in said.items()) for row in same):
                continue
            if any(index in span for span in completed):
                lost += 1
                continue
            message = f"What entry {index} ({entry_id}) says of {said.get('incident_id')} is in no table any "
            yield Finding("error", index, entry_id, None, f"{message}more, or says something else there.")

    found = capped(gone(), "decisions that are not what was logged")
    if lost:
        message = f"{some(lost, 'decision')} on incidents came back into the log and not into the tables."
        found.append(Finding("note", None, None, None, message))
    return found
