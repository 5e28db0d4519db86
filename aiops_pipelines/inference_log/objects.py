"""JSON objects out of lines: one a line, or the objects of a document that holds many."""

from collections.abc import Iterable, Iterator
from typing import Any

from aiops_pipelines.inference_log.lines import DOCUMENT_LIMIT, parse
from aiops_pipelines.inference_log.record import Batch, RecordError, Rejection, kind

WRAPPERS = ("data", "traces", "observations", "items", "results")
"""Keys under which an export wraps its list of objects, when nothing else tells that it is one itself."""


def unwrapped(document: Any) -> list[Any]:
    """Return the values of a document: those of a list, of an object that only wraps one, or itself."""
    if isinstance(document, list):
        return document
    if isinstance(document, dict) and len(document) <= len(WRAPPERS):
        inner = [document[key] for key in WRAPPERS if isinstance(document.get(key), list)]
        if len(inner) == 1 and not {"id", "trace", "info", "window"} & document.keys():
            found: list[Any] = inner[0]
            return found
    return [document]


def objects(raw: Iterable[tuple[int, bytes]], batch: Batch) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    """Yield each object with its line and the line's bytes; what is no object becomes a rejection."""
    for line, content in raw:
        try:
            found = unwrapped(parse(content, DOCUMENT_LIMIT))
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
            continue
        for value in found:
            if isinstance(value, dict):
                yield line, value, content
            else:
                reason = f"The line must hold objects, not {kind(value)}."
                batch.rejections.append(Rejection(line, reason, content))
