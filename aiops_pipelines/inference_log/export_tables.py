"""Exports that are tables of calls and of what else was traced: recognised, and read by their mappings.

What stands where in a tool's export its own file says, what a mapping can say `mapped`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops_pipelines.inference_log.feedback import trace_row
from aiops_pipelines.inference_log.mapped import fields_of, take
from aiops_pipelines.inference_log.objects import objects, unwrapped
from aiops_pipelines.inference_log.places import Place, at, left_out
from aiops_pipelines.inference_log.record import Batch, CountTokens, RecordError, Rejection
from aiops_pipelines.inference_log.row_facts import scores_of

Row = Mapping[str, Any]
WITHIN = "call logged again within another"
NO_ANSWER = "no answer"
"""What kind of error it is when a request ended and nothing came, and nothing says why."""
Nested = tuple[Mapping[str, Any], str | None, str | None]
"""A call's record, its own id and that of the span around it."""


def nothing_more(row: Row) -> Mapping[str, Any]:
    """Return nothing: the row says all itself."""
    return {}


@dataclass(frozen=True)
class Export:
    """What stands where in one tool's export.

    `rows_in` is the key of a document that holds its rows, `trace_in` that of the whole trace beside them.
    `more` adds fields that no place alone holds. The `ids` of a row are its own and its parent's; a row that
    is left out and has no parent says with `whole` what its trace belongs to, and how it was scored.
    """

    LOOKED_FOR: str
    is_row: Callable[[Row], bool]
    mapping: Mapping[str, Place]
    only: Mapping[str, Place]
    more: Callable[[Row], Mapping[str, Any]] = nothing_more
    ids: tuple[str, str] = ("", "")
    whole: Mapping[str, Place] = field(default_factory=dict)
    rows_in: str = ""
    trace_in: str = ""

    def recognises(self, value: Any) -> bool:
        """Return whether a JSON value is a row of the export, or holds some."""
        return any(self._holds(row) for document in unwrapped(value)[:1] for row in self._rows(document))

    def read(self, raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
        """Return one record for each model call; other rows are counted by what they are.

        Calls within one another are one call, as a gateway's library around the provider's: the inner one, or
        the outer one where only that states tokens.

        Args:
            raw: line numbers and rows or documents.
            count_tokens: counts text for the token parts; without it the parts stay null.
        """
        batch, calls = Batch(), list[Nested]()
        for line, document, content in objects(raw, batch):
            for row in self._rows(document):
                try:
                    calls += self._take(batch, row, line, count_tokens)
                except RecordError as error:
                    batch.rejections.append(Rejection(line, str(error), content))
        if again := _again(calls):
            kept = [record for record in batch.records if record["event_id"] not in again]
            batch.ignored[WITHIN] += len(batch.records) - len(kept)
            batch.records[:] = kept
        return batch

    def _holds(self, row: Any) -> bool:
        return isinstance(row, Mapping) and self.is_row(row)

    def _rows(self, document: Any) -> Iterator[Any]:
        rows = document.get(self.rows_in) if isinstance(document, Mapping) else None
        if self._holds(document) or not isinstance(rows, list):
            yield document
            yield from filter(self._holds, rows if isinstance(rows, list) else ())
            return
        if self.trace_in in document:
            yield document[self.trace_in]
        yield from rows

    def _take(self, batch: Batch, row: Any, line: int, count_tokens: CountTokens | None) -> Iterator[Nested]:
        """Take a row in; yield of a call its record, its own id and its parent's."""
        if not self._holds(row):
            raise RecordError(f"The object is none of these: {self.LOOKED_FOR}.")
        row = {**row, **self.more(row)}
        own, parent = (_named(at(row, place)) if place else None for place in self.ids)
        if (other := left_out(row, self.only)) is None:
            if record := take(batch, fields_of(row, self.mapping), line, count_tokens):
                yield record, own, parent
            return
        facts = {} if parent else fields_of(row, self.whole)
        if "trace_id" not in facts:  # a step, as a tool, or a request of another kind
            known = {name: place for name, place in self.mapping.items() if name in ("event_id", "scores")}
            facts = fields_of(row, known)
        (scores, wordless), trace = scores_of(facts, line), trace_row(facts, line)
        batch.feedback.extend(scores)
        batch.traces.extend([trace] if trace else [])
        batch.ignored.update(wordless)
        batch.ignored[other] += 1


def _named(found: Any) -> str | None:
    """Return an id of a row; what is no text or number names nothing."""
    return str(found) if isinstance(found, str | int) and found != "" else None


def _again(calls: Iterable[Nested]) -> set[str]:
    """Return the event ids of calls that others within or around them, at any depth, log too."""
    calls, inside = list(calls), defaultdict[str | None, list[Nested]](list)
    for call in calls:
        if call[2] and call[2] != call[1]:
            inside[call[2]].append(call)
    around = {own: parent for _, own, parent in calls if own}
    outer = set[str]()
    """Around a call that states tokens."""
    for record, own, parent in calls:
        if record["tokens_total"] is None or own in outer:
            continue
        while parent and parent != own and parent not in outer:
            outer.add(parent)
            parent = around.get(parent)
    again = set[str]()
    for record, own, _ in calls:
        if own in outer or (record["tokens_total"] is None and own in inside):
            again.add(record["event_id"])
            continue
        within = list(inside.pop(own, ()))
        while within:  # none of them states tokens
            part, inner, _ = within.pop()
            if inner != own:
                again.add(part["event_id"])
                within += inside.pop(inner, ())
    return again
