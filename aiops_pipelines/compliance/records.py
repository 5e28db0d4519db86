"""Are the stored calls still those that the log vouches for: each record against the leaf of its entry.

A record is stored once and never edited by the pipelines, and every figure is computed from it. Its cost is
not compared: prices become known later. How the log itself is checked is `integrity`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.audit_entry import inference_entry
from aiops_pipelines.compliance.finding import Finding, capped
from aiops_pipelines.wording import some

Record = Mapping[str, Any]
NO_KEY = bytes(32)
OF_A_PERSON = {"actor": "user_id", "input_commitment": "query", "output_commitment": "answer"}
"""What only the person's key can be checked with: the field of the leaf, and the column it is made of."""
TEXTS = frozenset({"input_commitment", "output_commitment"})
PRICED = frozenset({"cost_usd", "cost_micro_usd", "cost_status"})


def subject_of(record: Record) -> str:
    """Return whom a call is about: its user, else its session, else only itself."""
    subject: str = record["user_id"] or record["session_id"] or record["event_id"]
    return subject


def against_records(
    logged: Iterable[tuple[int, str, bytes, Record | None]],
    key_of: Callable[[str], bytes | None],
    texts_until: datetime | None = None,
) -> list[Finding]:
    """Return the calls that are gone or differ from what was logged, each with the columns that differ.

    Args:
        logged: index, id and leaf of each entry of a call, and its record if there still is one.
        key_of: the secret of a subject, or None if it is gone; then text and person cannot be checked.
        texts_until: calls before this moment are past the term of their texts: that both are gone is as
            it should be, and noted. None if no term is known.
    """
    closed = expired = 0

    def altered() -> Iterator[Finding]:
        nonlocal closed, expired
        for index, entry_id, data, record in logged:
            if record is None:
                message = f"The call of entry {index} ({entry_id}) is gone from inference_log.inferences."
                yield Finding("error", index, entry_id, None, message)
                continue
            key = key_of(subject_of(record))
            closed += key is None
            try:
                said = leaf.decode(data)
            except leaf.LeafInvalid:
                continue  # `integrity` names it
            now = inference_entry({**record, "cost_usd": None, "price_status": None}, key or NO_KEY)
            passed_over = PRICED if key else PRICED | OF_A_PERSON.keys()
            if _emptied(record, texts_until):
                passed_over |= TEXTS
                expired += any(said.get(field) for field in TEXTS)
            for field in said.keys() - passed_over:
                if field in now and said[field] != now[field]:
                    column = OF_A_PERSON.get(field, field)
                    message = f"{column} of the call of entry {index} ({entry_id}) is not what was logged."
                    yield Finding("error", index, entry_id, column, message)

    findings = capped(altered(), "calls that are not what was logged")
    if closed:
        what = f"The keys of {some(closed, 'call')} are gone: question, answer and person cannot be checked."
        findings.append(Finding("warning", None, None, None, what))
    if expired:
        what = f"The texts of {some(expired, 'call')} were deleted after their term; the log holds the rest."
        findings.append(Finding("note", None, None, None, what))
    return findings


def _emptied(record: Record, texts_until: datetime | None) -> bool:
    gone = record["query"] is None and record["answer"] is None
    return gone and texts_until is not None and record["occurred_at"] < texts_until


def unlogged(number: int) -> str:
    """Say that stored calls have no entry yet."""
    return f"{some(number, 'stored call')} not in the log yet; a run enters what is new: aiops run"
