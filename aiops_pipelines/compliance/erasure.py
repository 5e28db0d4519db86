"""One person in what is stored: the marks by which an erased one is known again, and what is looked for.

A mark is a keyed hash: without the system's secret it tells nothing, with it a name that somebody gives can
be recognised, and no name can be read. Erasing is done in `resources`.
"""

import hmac
import html
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_MARK = b"aiops person mark 1"
SHORTEST_ID, SHORTEST_TEXT, LOOKED_FOR = 6, 24, 48
"""Characters of an identifier, and of a text, that can be told from other text, and of a text looked for."""
GONE, ERASED = "[erased]", "erased-"
"""What takes the place of words, and how a key begins that takes the place of an identifier."""
_INSIDE_A_WORD = re.compile(rb"[0-9A-Za-z_]")


def mark(pepper: bytes, identifier: str) -> str:
    """Return the keyed hash by which an erased user or session is recognised: HMAC-SHA-256, hex.

    `pepper` is the system's own secret.
    """
    return hmac.digest(pepper, _MARK + identifier.encode(errors="replace"), "sha256").hex()


def sought(identifiers: Iterable[str], texts: Iterable[str]) -> dict[bytes, bool]:
    """Return what a person is looked for by, as it can stand in a file, and whether it is an identifier.

    A text is looked for by its start, in the spellings of UTF-8, JSON and HTML. What is too short to be told
    from other text is left out.
    """
    names = {one for one in identifiers if len(one) >= SHORTEST_ID}
    starts = {one.strip()[:LOOKED_FOR] for one in texts if len(one.strip()) >= SHORTEST_TEXT}
    return {
        spelled: value in names for value in sorted(starts) + sorted(names) for spelled in _spellings(value)
    }


def _spellings(value: str) -> set[bytes]:
    written = (
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
    )
    return {one.encode(errors="replace") for one in written}


def stands_alone(content: bytes, start: int, end: int) -> bool:
    """Say whether an identifier that was found is a whole one, not a part of a longer word."""
    around = content[max(start - 1, 0) : start], content[end : end + 1]
    return not any(_INSIDE_A_WORD.match(one) for one in around)


def redacted(answer: str, names: Mapping[str, str], theirs: Callable[[str], bool]) -> str:
    """Return the answer to a runbook's query (JSON of columns and rows) with other names and without words.

    Args:
        answer: as in incidents.diagnoses.
        names: what takes the place of an identifier.
        theirs: says whether a cell holds words that must go.
    """
    found = json.loads(answer)

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return names.get(value) or (GONE if theirs(value) else value)

    rows = [[cell(value) for value in row] for row in found["rows"]]
    if rows == found["rows"]:
        return answer
    return json.dumps(found | {"rows": rows}, ensure_ascii=False, allow_nan=False)


def starts(text: str | None, cell: str) -> bool:
    """Say whether a cell is a text, or what a query left of it."""
    return text is not None and (text == cell or (len(cell) >= SHORTEST_TEXT and text.startswith(cell)))
