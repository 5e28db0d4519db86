"""Text that was decoded wrongly somewhere before it got here (mojibake), counted."""

import re

_LATIN = "[\u00c2-\u00c5\u00c8\u00cb\u00cf\u00d0\u00e2\u00e3]"
_CONTINUED = (
    "[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
_GARBLED = re.compile(f"[\ufffd{_LATIN[1:-1]}](?:(?<=\ufffd)|{_CONTINUED}{{1,2}})")
"""One class in front, so that text without any of its signs is passed over in C."""


def garbled_characters(text: str) -> int:
    """Return how many characters look wrongly decoded: U+FFFD, or UTF-8 that was read as Windows-1252.

    A UTF-8 character of two or three bytes read that way starts with one of a few accented capitals and
    goes on with signs that no word has after them: `garbled_characters("caf\u00c3\u00a9")` is 1.
    """
    return 0 if text.isascii() else len(_GARBLED.findall(text))
