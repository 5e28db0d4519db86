"""The blocks of Markdown-like text: headings, code, tables, lists and paragraphs, and the sections they make.

Cutting blocks to size is `chunking`.
"""

import re
from collections.abc import Iterator

_FENCE = re.compile(r"\s*(`{3,}(?=[^`]*$)|~{3,})")
_HEADING = re.compile(r"(#{1,6})(?![^ \t])(.*)")
_UNDERLINE = re.compile(r"(=+|-{3,})\s*$")
_ITEM = re.compile(r"\s*([-*+]|\d{1,9}[.)])\s+\S")
_ANCHOR = re.compile(r" ?(\{ ?#[^{}]*\}|#+)$")
_FIRST_LINE = 500


def title(text: str) -> str | None:
    """Return the words of the first heading, or nothing where there is none."""
    first = _lines(text[:_FIRST_LINE])[0]
    if len(first) < _FIRST_LINE and _HEADING.match(first):  # as most do, so the rest need not be cut
        return _title(first)[1]
    return next((_title(block)[1] for kind, block in _blocks(_lines(text)) if kind == "heading"), None)


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def sections(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield (path of headings, blocks); headings without a body open the section that follows them."""
    path: dict[int, str] = {}
    section: list[tuple[str, str]] = []
    for kind, block in _blocks(_lines(text)):
        if kind == "heading":
            if any(earlier != "heading" for earlier, _ in section):
                yield " > ".join(filter(None, path.values())), section
                section = []
            level, title = _title(block)
            path = {above: name for above, name in path.items() if above < level} | {level: title}
        section.append((kind, block))
    if section:
        yield " > ".join(filter(None, path.values())), section


def _title(block: str) -> tuple[int, str]:
    """Return level and words of a heading: `## Setup {#setup}` is (2, "Setup")."""
    if match := _HEADING.match(block):
        return len(match[1]), _ANCHOR.sub("", " ".join(match[2].split()))
    words, line = block.split("\n")
    return 1 if line.startswith("=") else 2, words.strip()


def _blocks(lines: list[str]) -> Iterator[tuple[str, str]]:
    start, last = 0, len(lines)
    while start < last:
        if not lines[start].strip():
            start += 1
            continue
        kind = _kind(lines, start)
        end = _end(kind, lines, start)
        yield kind, "\n".join(lines[start:end]).rstrip()
        start = end


def _kind(lines: list[str], at: int) -> str:
    """Return the kind of block a line starts; a pattern is tried only where the first character fits."""
    line = lines[at]
    first = line.lstrip()[:1]
    if first == "#" and _HEADING.match(line):
        return "heading"
    if (first in ("`", "~") and _FENCE.match(line)) or (at == 0 and line == "---" and "---" in lines[1:]):
        return "code"
    if first == "|":
        return "table"
    if (first in ("-", "*", "+") or first.isdecimal()) and _ITEM.match(line):
        return "list"
    below = lines[at + 1] if at + 1 < len(lines) else ""
    underlined = below[:1] in ("=", "-") and _UNDERLINE.match(below) and not line.startswith((" ", "---"))
    return "heading" if underlined else "text"


def _end(kind: str, lines: list[str], start: int) -> int:
    """Return the index of the first line after the block that begins at `start`."""
    if kind == "heading":
        return start + (1 if _HEADING.match(lines[start]) else 2)
    if kind == "code":
        return _end_of_code(lines, start)
    end = start + 1
    while end < len(lines) and _continues(kind, lines, end):
        end += 1
    return end


def _end_of_code(lines: list[str], start: int) -> int:
    match = _FENCE.match(lines[start])
    fence = match[1] if match else "---"
    for at in range(start + 1, len(lines)):
        line = lines[at].strip()
        if len(line) >= len(fence) and not line.strip(fence[0]):
            return at + 1
    return len(lines)


def _continues(kind: str, lines: list[str], at: int) -> bool:
    if kind == "list":
        if not lines[at].strip():
            following = next((line for line in lines[at + 1 : at + 3] if line.strip()), "")
            return following.startswith((" ", "\t")) or bool(_ITEM.match(following))
        return lines[at].startswith((" ", "\t")) or _kind(lines, at) in ("list", "text")
    return bool(lines[at].strip()) and _kind(lines, at) == kind
