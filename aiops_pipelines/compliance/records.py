"""Are the stored calls still those that the log vouches for: each record against the leaf of its entry.

A record is stored once and never edited by the pipelines, and every figure is computed from it. Its cost is
not compared: prices become known later. How the log itself is checked is `integrity`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.audit_entry import FACTS_HASH, inference_entry
from aiops_pipelines.compliance.finding import Finding, capped
from aiops_pipelines.compliance.retention import Deletions
from aiops_pipelines.wording import some

Record = Mapping[str, Any]
NO_KEY = bytes(32)
OF_A_PERSON = {"actor": "user_id", "input_commitment": "query", "output_commitment": "answer"}
"""What only the person's key can be checked with: the field of the leaf, and the column it is made of."""
OTHERWISE = "A count of tokens, a guardrail's verdict or another fact"
TEXTS = frozenset({"input_commitment", "output_commitment"})
PRICED = frozenset({"cost_usd", "cost_micro_usd", "cost_status"})


def subject_of(record: Record) -> str:
    """Return whom a call is about: its user, else its session, else only itself."""
    subject: str = record["user_id"] or record["session_id"] or record["event_id"]
    return subject


def against_records(
    logged: Iterable[tuple[int, str, bytes, Record | None]],
    key_of: Callable[[str], bytes | None],
    deletions: Deletions,
) -> list[Finding]:
    """Return the calls that are gone or differ from what was logged, each with the columns that differ.

    Args:
        logged: index, id and leaf of each entry of a call, and its record if there still is one.
        key_of: the secret of a subject, or None if it is gone; then text and person cannot be checked.
        deletions: what the log says was deleted. That it is gone is as it should be, and noted.
    """
    counts: Counter[str] = Counter()

    def altered() -> Iterator[Finding]:
        for index, entry_id, data, record in logged:
            if record is None:
                message = f"The call of entry {index} ({entry_id}) is gone from inference_log.inferences."
                yield Finding("error", index, entry_id, None, message)
                continue
            try:
                said = leaf.decode(data)
            except leaf.LeafInvalid:
                continue  # `integrity` names it
            gone = deletions.gone(index, record["occurred_at"])
            empty = record["query"] is None and record["answer"] is None
            key = key_of(subject_of(record))
            if gone:
                counts[gone if empty else "back"] += 1
            counts["closed"] += key is None and not (gone == "person" and empty)
            now = inference_entry({**record, "cost_usd": None, "price_status": None}, key or NO_KEY)
            passed_over = PRICED | (OF_A_PERSON.keys() if key is None else set())
            if gone and empty:
                passed_over |= OF_A_PERSON.keys() if gone == "person" else TEXTS
            for field in said.keys() - passed_over:
                if field in now and said[field] != now[field]:
                    column = OF_A_PERSON.get(field, field)
                    what = OTHERWISE if field == FACTS_HASH else column
                    message = f"{what} of the call of entry {index} ({entry_id}) is not what was logged."
                    yield Finding("error", index, entry_id, column, message)

    findings = capped(altered(), "calls that are not what was logged")
    return [*findings, *_summed(counts)]


def _summed(counts: Mapping[str, int]) -> Iterator[Finding]:
    """Yield what is said of many calls at once."""
    closed, back, texts, people = (
        some(counts[name], "call") for name in ("closed", "back", "texts", "person")
    )
    if counts["closed"]:
        what = f"The keys of {closed} are gone: question, answer and person cannot be checked."
        yield Finding("warning", None, None, None, what)
    if counts["back"]:
        what = (
            f"The texts of {back} are there although the log says they were deleted: was a backup restored?"
        )
        yield Finding("warning", None, None, None, what)
    if counts["texts"]:
        what = f"The texts of {texts} were deleted after their term, as the log says; it holds the rest."
        yield Finding("note", None, None, None, what)
    if counts["person"]:
        whose = "was of a person who was" if counts["person"] == 1 else "were of people who were"
        what = f"{people} {whose} erased, as the log says: only the rest could be checked."
        yield Finding("note", None, None, None, what)


def unlogged(number: int) -> str:
    """Say that stored calls have no entry yet."""
    return f"{some(number, 'stored call')} not in the log yet; a run enters what is new: aiops run"
