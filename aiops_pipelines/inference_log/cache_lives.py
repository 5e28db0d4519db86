"""How long what a call writes to a prompt cache is kept: five minutes, or an hour, which costs more.

The names are Anthropic's and what gateways, frameworks and tracers made of them; Bedrock lists its writes by
`ttl`. How many tokens are written in all is `provider_usage`'s business.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiops_pipelines.inference_log.record import RecordError, count
from aiops_pipelines.inference_log.tokens import spelt

LIVES = ("5m", "1h")
_NAME = re.compile(r"(?:^|[._])(?:ephemeral|cache_creation|cache_write)_(5m|1h)(?:[._](?:input_)?tokens)?$")
_LISTS = ("cacheDetails", "cache_details")


def writes_by_life(usage: Any) -> dict[str, int]:
    """Return the tokens written to the cache by how long they live, of LIVES those that a usage states.

    Worked example: `{"cache_creation": {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100}}`
    is 456 for 5m and 100 for 1h. What is stated in two places is counted once.

    Raises:
        RecordError: a count is no whole number from 0 on; the field is named.
    """
    found: dict[str, int] = {}
    for life, path, value in _stated(usage, "usage"):
        if value is not None:
            found[life] = max(count(path, int(value) if spelt(value) else value), found.get(life, 0))
    return found


def hour_writes(usage: Any) -> dict[str, int]:
    """Return the column of tokens that are kept for an hour, where a usage states any in numbers."""
    try:
        tokens = writes_by_life(usage).get("1h")
    except RecordError:
        return {}
    return {"cache_write_1h": tokens} if tokens else {}


def _stated(value: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """Yield lives, places and counts; of lists only Bedrock's, for others repeat the usage by turn."""
    if not isinstance(value, Mapping):
        if named := _NAME.search(path):
            yield named[1], path, value
        return
    for name, inner in value.items():
        if name in _LISTS and isinstance(inner, list):
            yield from (
                (one["ttl"], f"{path}.{name}", one.get("inputTokens")) for one in inner if _lives(one)
            )
        else:
            yield from _stated(inner, f"{path}.{name}")


def _lives(one: Any) -> bool:
    return isinstance(one, Mapping) and one.get("ttl") in LIVES
