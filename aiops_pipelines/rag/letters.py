"""Where a piece stands in its document, whatever was done to the white space between: places count letters.

A letter here is any character that is not white space. Chunking joins, strips and re-wraps; letters stay.
"""

from collections.abc import Iterable

Span = tuple[int, int]
"""First letter and the one after the last, from 0."""


def letters(text: str) -> str:
    """Return a text without its white space: "a bc" is "abc"."""
    return "".join(text.split())


def union(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order without overlaps: (0, 4), (2, 6), (8, 9) become (0, 6), (8, 9)."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        elif end > start:
            joined.append((start, end))
    return joined


def shared(one: Iterable[Span], other: Iterable[Span]) -> int:
    """Return how many letters stand in both: (0, 6) and (4, 8) share 2."""
    others = union(other)
    return sum(max(0, min(end, b) - max(start, a)) for start, end in union(one) for a, b in others)
