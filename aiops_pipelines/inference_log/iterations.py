"""Usages of Anthropic's requests that asked a model several times.

The counts at their top are those of the messages. A context that was compacted on the way, and another model
that was asked for advice, are billed beside them and stand in `iterations` alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any

MESSAGE = "message"
NAMES = {"compaction": "compaction", "advisor_message": "advice"}
"""Kinds of iterations, and what their calls are named by."""


def beside(usage: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield a name and the usage of each iteration that is no message; one of another model has `model`."""
    found = usage.get("iterations")
    for place, one in enumerate(found if isinstance(found, list) else (), 1):
        if isinstance(one, Mapping) and one.get("type") not in (None, MESSAGE):
            yield f"{NAMES.get(str(one['type']), one['type'])}-{place}", one
