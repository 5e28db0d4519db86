"""Importer of the project's own JSON lines: one object a call, fields named as the record's columns.

`usage` is the provider's object as it came; `token_parts` is what the application counted itself.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from aiops_pipelines.inference_log.lines import parse
from aiops_pipelines.inference_log.provider_usage import canonical_tokens, provider_tokens
from aiops_pipelines.inference_log.record import (
    READERS,
    TOKEN_COLUMNS,
    Batch,
    CountTokens,
    RecordError,
    Rejection,
    count,
    kind,
    normal_form,
)
from aiops_pipelines.inference_log.tokens import PARTS, Tokens, token_columns

FIELDS = {*READERS, *TOKEN_COLUMNS, "tokens_total", "usage", "token_parts"}
FIELD_LIMIT = 256
NAME_LIMIT = 1_000


def read(raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
    """Return one record a line; unknown fields are counted by name and left out.

    Args:
        raw: line numbers and lines.
        count_tokens: not needed here, the format carries no prompt texts to count.
    """
    batch = Batch()
    for line, content in raw:
        try:
            batch.records.append(_record(parse(content), batch.ignored) | {"source_line": line})
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
    return batch


def _record(fields: Any, ignored: Counter[str]) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise RecordError(f"The line must be an object, not {kind(fields)}.")
    if len(fields) > FIELD_LIMIT:
        raise RecordError(f"The line has {len(fields):,} fields; a call has at most {FIELD_LIMIT}.")
    record, tokens = normal_form(fields), _tokens(fields)
    parts = _parts(fields.get("token_parts"))
    unknown = fields.keys() - FIELDS
    ignored.update(name if name in ignored or len(ignored) < NAME_LIMIT else "other" for name in unknown)
    usage = fields.get("usage")
    return {
        **record,
        **token_columns(tokens, parts, "reported"),
        "usage_raw": None if usage is None else json.dumps(usage),
    }


def _tokens(fields: Mapping[str, Any]) -> Tokens | None:
    if fields.get("usage") is not None:
        return provider_tokens(fields["usage"])
    return canonical_tokens(fields) if any(fields.get(name) is not None for name in TOKEN_COLUMNS) else None


def _parts(reported: Any) -> dict[str, int] | None:
    if reported is None:
        return None
    if not isinstance(reported, dict):
        raise RecordError(f"token_parts must be an object, not {kind(reported)}.")
    if unknown := sorted(reported.keys() - set(PARTS)):
        raise RecordError(
            f"token_parts has {len(unknown)} unknown part(s); the parts are {', '.join(PARTS)}."
        )
    return {
        part: count(f"token_parts.{part}", value) for part, value in reported.items() if value is not None
    }
