"""Exports that are tables of calls and of what else was traced: recognised, and read by their mappings.

What stands where in which tool's export is `exports`' business, what a mapping can say `mapped`'s.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops_pipelines.inference_log.mapped import fields_of, take
from aiops_pipelines.inference_log.objects import objects, unwrapped
from aiops_pipelines.inference_log.places import Place, at, left_out
from aiops_pipelines.inference_log.record import Batch, CountTokens, RecordError, Rejection
from aiops_pipelines.inference_log.row_facts import scores_of

Row = Mapping[str, Any]
TRACE_FACTS = ("session_id", "user_id", "endpoint")
AROUND = "call around another"


def nothing_more(row: Row) -> Mapping[str, Any]:
    """Return nothing: the row says all itself."""
    return {}


@dataclass(frozen=True)
class Export:
    """What stands where in one tool's export.

    `rows_in` is the key of a document that holds its rows, `trace_in` that of the whole trace beside them.
    `more` adds fields that no place alone holds. A row of the `ids` that no call has as its parent is a call
    of its own; a row left out that has no parent says with `whole` what its trace belongs to and scored.
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

        A call that was made through another, as a gateway's library around the provider's, is one call: the
        inner one.

        Args:
            raw: line numbers and rows or documents.
            count_tokens: counts text for the token parts; without it the parts stay null.
        """
        batch, tree = Batch(), list[tuple[str, Any, Any]]()
        for line, document, content in objects(raw, batch):
            for row in self._rows(document):
                try:
                    tree += self._take(batch, row, line, count_tokens)
                except RecordError as error:
                    batch.rejections.append(Rejection(line, str(error), content))
        around = {parent for _, _, parent in tree if parent}
        outer = {event_id for event_id, own, _ in tree if own in around}
        batch.ignored.update({AROUND: len(outer)} if outer else {})
        batch.records[:] = [record for record in batch.records if record["event_id"] not in outer]
        return batch

    def _holds(self, row: Any) -> bool:
        return isinstance(row, Mapping) and self.is_row(row)

    def _rows(self, document: Any) -> Iterator[Any]:
        rows = document.get(self.rows_in) if isinstance(document, Mapping) else None
        if not isinstance(rows, list):
            yield document
            return
        if self.trace_in in document:
            yield document[self.trace_in]
        yield from rows

    def _take(
        self, batch: Batch, row: Any, line: int, count_tokens: CountTokens | None
    ) -> Iterator[tuple[str, Any, Any]]:
        """Take a row in; yield of a call its event id, its own id and its parent's."""
        if not self._holds(row):
            raise RecordError(f"The object is none of these: {self.LOOKED_FOR}.")
        row = {**row, **self.more(row)}
        own, parent = (at(row, place) if place else None for place in self.ids)
        if (other := left_out(row, self.only)) is None:
            if record := take(batch, fields_of(row, self.mapping), line, count_tokens):
                yield record["event_id"], own, parent
            return
        batch.ignored[other] += 1
        facts = {} if parent else fields_of(row, self.whole)
        if "trace_id" not in facts:
            return
        batch.feedback.extend(scores_of(facts, line))
        if facts.keys() & set(TRACE_FACTS):
            known = {name: facts.get(name) for name in ("trace_id", *TRACE_FACTS)}
            batch.traces.append({**known, "source_line": line})
