"""What is set aside instead of stored: which line, why, and its beginning, masked."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.inference_log.forgotten import keyed_line, names_erased
from aiops_pipelines.inference_log.record import Rejection
from aiops_pipelines.inference_log.source import Source

RAW_SHOWN, RAW_MASKED = 500, 4_000
"""Characters kept of a line that was set aside, and masked before: data cut in two is not recognised."""
QUARANTINE = pl.Schema(
    {
        **dict.fromkeys(("system", "source_file"), pl.String()),
        "source_line": pl.Int64(),
        **dict.fromkeys(("reason", "line_hash", "raw_masked"), pl.String()),
        "quarantined_at": pl.Datetime("us", "UTC"),
    }
)
_ESCAPE = re.compile(r"\\(?:u00([0-7][0-9a-fA-F])|([nrt/]))")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def refusal(record: Mapping[str, Any], reason: str) -> Rejection:
    """Return a call that was understood and is not stored as what is set aside."""
    content = json.dumps({**record, "source_line": None}, default=str, ensure_ascii=False)
    return Rejection(record["source_line"], reason, content.encode())


def aside_rows(rejections: Sequence[Rejection], source_file: str, source: Source) -> Iterator[dict[str, Any]]:
    """Yield rows of `inference_log.quarantine`, QUARANTINE."""
    # Many bad spans can stand in one long line, which is hashed once.
    lines = {raw: _line(raw, source) for raw in {rejection.raw for rejection in rejections}}
    for rejection in rejections:
        yield {
            "system": source.system,
            "source_file": source_file,
            "source_line": rejection.line,
            "reason": rejection.reason,
            **lines[rejection.raw],
            "quarantined_at": source.now,
        }


def _line(raw: bytes, source: Source) -> dict[str, str | None]:
    hashed = hashlib.sha256(raw).hexdigest()
    if names_erased(raw, source):
        return {"line_hash": keyed_line(source.key, hashed), "raw_masked": None}
    return {"line_hash": hashed, "raw_masked": _shown(raw, source.regions)}


def _shown(raw: bytes, regions: Sequence[str]) -> str:
    """Return the start of a line, masked; JSON escapes are undone first, they hide what they spell."""
    start = raw[:RAW_MASKED].decode(errors="replace")
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", start)
    return mask(_CONTROL.sub(" ", plain), regions)[0][:RAW_SHOWN]
