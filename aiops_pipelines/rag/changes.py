"""What changed between two revisions of a corpus: documents added, edited, renamed and deleted.

Finding that a corpus moved at all is the resource's work (a listing of sizes and times); this is about
content.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

import polars as pl

SAME_DOCUMENT = 0.6
"""Least similarity at which a document under a new path counts as the old one, moved and edited."""

_RARE = 20
"""Only lines found in at most this many documents propose a pair; boilerplate would propose every pair."""

SCHEMA = pl.Schema({"document": pl.String, "change": pl.String, "previous_document": pl.String})


def corpus_changes(previous: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """Return one row (document, change, previous_document) per changed document, sorted by document.

    Args:
        previous: the earlier revision, columns document, document_hash and text (null where it is not kept).
        current: the later revision, same columns. Without text an edited move shows as deleted and added.
    """
    old, new = _by_path(previous), _by_path(current)
    gone, came = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    moved = _same_hash(gone, came, old, new)
    left = [path for path in gone if path not in moved]
    found = set(moved.values())
    similar = _similar(
        {path: old[path][1] for path in left},
        {path: new[path][1] for path in came if path not in found},
    )
    origin = {**moved, **similar}
    rows: list[tuple[str, str, str | None]] = [
        (path, "edited", None) for path in old.keys() & new.keys() if old[path][0] != new[path][0]
    ]
    rows += [(target, "renamed", source) for source, target in moved.items()]
    rows += [(target, "renamed_edited", source) for source, target in similar.items()]
    rows += [(path, "deleted", None) for path in gone if path not in origin]
    rows += [(path, "added", None) for path in came if path not in origin.values()]
    return pl.DataFrame(sorted(rows), schema=SCHEMA, orient="row")


def similarity(one: str, other: str) -> float:
    r"""Return the share of text two documents have in common, by lines weighted with their length (0 to 1).

    Dice's coefficient on characters: twice the characters in shared lines over the characters in both.
    Line order does not matter. `similarity("ab\ncd", "ab\nef")` is 2 * 2 / 8 = 0.5.
    """
    return _shared(_lines(one), _lines(other))


def _shared(first: Counter[str], second: Counter[str]) -> float:
    total = _characters(first) + _characters(second)
    return 2 * _characters(first & second) / total if total else 0.0


def _by_path(documents: pl.DataFrame) -> dict[str, tuple[str, str]]:
    rows = documents.select("document", "document_hash", "text").iter_rows()
    return {document: (document_hash, text or "") for document, document_hash, text in rows}


def _same_hash(
    gone: list[str], came: list[str], old: dict[str, tuple[str, str]], new: dict[str, tuple[str, str]]
) -> dict[str, str]:
    targets = defaultdict(list)
    for path in reversed(came):
        targets[new[path][0]].append(path)
    return {path: targets[old[path][0]].pop() for path in gone if targets[old[path][0]]}


def _similar(gone: dict[str, str], came: dict[str, str]) -> dict[str, str]:
    """Pair vanished with new documents, the most similar first, each at most once."""
    old, new = ({path: _lines(text) for path, text in texts.items()} for texts in (gone, came))
    scored = ((_shared(old[source], new[target]), source, target) for source, target in _candidates(old, new))
    pairs: dict[str, str] = {}
    for score, source, target in sorted(scored, key=lambda pair: (-pair[0], pair[1:])):
        if score >= SAME_DOCUMENT and source not in pairs and target not in pairs.values():
            pairs[source] = target
    return pairs


def _candidates(gone: dict[str, Counter[str]], came: dict[str, Counter[str]]) -> Iterator[tuple[str, str]]:
    sources, targets = _where(gone), _where(came)
    pairs = {
        (source, target)
        for line in sources.keys() & targets.keys()
        if len(sources[line]) <= _RARE and len(targets[line]) <= _RARE
        for source in sources[line]
        for target in targets[line]
    }
    yield from sorted(pairs)


def _where(texts: dict[str, Counter[str]]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for path, lines in texts.items():
        for line in lines:
            found[line].append(path)
    return found


def _lines(text: str) -> Counter[str]:
    return Counter(stripped for line in text.splitlines() if (stripped := line.strip()))


def _characters(lines: Counter[str]) -> int:
    return sum(len(line) * times for line, times in lines.items())
