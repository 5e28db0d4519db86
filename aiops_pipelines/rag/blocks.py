"""The blocks of Markdown-like text: headings, code, tables, lists and paragraphs, and the sections they make.

Cutting blocks to size is `chunking`.
"""

import re
from collections.abc import Iterator

import yaml

_FENCE = re.compile(r"\s*(`{3,}(?=[^`]*$)|~{3,})")
_HEADING = re.compile(r"(#{1,6})(?![^ \t])(.*)")
_UNDERLINE = re.compile(r"(=+|-{3,})\s*$")
_ITEM = re.compile(r"\s*([-*+]|\d{1,9}[.)])\s+\S")
_MARKER = re.compile(r"\s*([-*+]|\d{1,9}[.)])\s+")
_GRID = re.compile(r"\+[-=+]*[-=]\+\s*$")
_FRONT_KEY = re.compile(r"[\w\"'.:-]{1,100} *:(?: |$)")
_FRONT_OTHER = re.compile(r"\s|#|- |-?$")
"""What may stand in YAML beside its keys: what belongs to one, a comment, an item, nothing."""
_FRONT_TITLE = re.compile(r"[\"']?title[\"']? *: +(.*)")
_FRONT_LINES = 500
_ANCHOR = re.compile(r" ?(\{ ?#[^{}]*\}|(?<!#)#+)$")
_FIRST_LINE = 500


def title(text: str) -> str | None:
    """Return the title that front matter says, else the words of the first heading, or nothing."""
    first = _lines(text[:_FIRST_LINE])[0]
    if len(first) < _FIRST_LINE and _HEADING.match(first):  # as most do, so the rest need not be cut
        return _title(first)[1]
    lines = _lines(text)
    said = _front_title(lines)
    return said or next((_title(block)[1] for kind, block in _blocks(lines) if kind == "heading"), None)


def end_of_fence(lines: list[str], start: int) -> int:
    """Return the index of the first line after the fenced code that begins at `start`, or 0 for none."""
    return _end_of_code(lines, start) if _FENCE.match(lines[start]) else _end_of_listed_code(lines, start)


def lines_with_whole_code(block: str) -> list[str]:
    """Cut a list into its lines, line ends included; the lines of one piece of code are one."""
    lines = block.split("\n")
    cut, at = [], 0
    while at < len(lines):
        end = _end_of_listed_code(lines, at) or at + 1
        cut.append("\n".join(lines[at:end]) + "\n" * (end < len(lines)))
        at = end
    return cut


def _front_title(lines: list[str]) -> str:
    """Return what the YAML at the top of a document calls it, or nothing; many have no other title."""
    if not _opens_front_matter(lines):
        return ""
    for line in lines[1 : _end_of_code(lines, 0)]:
        if match := _FRONT_TITLE.match(line):
            return _scalar(match[1].strip())
    return ""


def _scalar(words: str) -> str:
    """Return the text that a value of YAML on one line is, or nothing where it is of another kind."""
    if words[:1] not in "\"'>|[{&*!#" and " #" not in words:  # as most are
        return words
    try:
        found = yaml.safe_load(words[:_FIRST_LINE])
    except (yaml.YAMLError, ValueError):
        return words
    return found.strip() if isinstance(found, str) else ""


def _opens_front_matter(lines: list[str]) -> bool:
    """Say whether a document begins with YAML: between the rules stand keys and what belongs to them."""
    if lines[0] != "---":
        return False
    keys = False
    for line in lines[1:_FRONT_LINES]:
        if line.rstrip() == "---":
            return keys
        if _FRONT_KEY.match(line):
            keys = True
        elif line and not _FRONT_OTHER.match(line):
            return False
    return False


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def sections(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield (path of headings, blocks); headings without a body open the section that follows them.

    The title that front matter says stands above all headings, once where the first heading repeats it.
    """
    lines = _lines(text)
    path = {0: _front_title(lines)}
    section: list[tuple[str, str]] = []
    body = False
    for kind, block in _blocks(lines):
        if kind == "heading":
            if body:
                yield _joined(path), section
                section, body = [], False
            level, title = _title(block)
            path = {above: name for above, name in path.items() if above < level} | {level: title}
        body = body or kind != "heading"
        section.append((kind, block))
    if section:
        yield _joined(path), section


def _joined(path: dict[int, str]) -> str:
    names = [name for name in path.values() if name]
    return " > ".join(names[1:] if path[0] and path[0] in names[1:] else names)


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
    if (first in ("`", "~") and _FENCE.match(line)) or (at == 0 and _opens_front_matter(lines)):
        return "code"
    if first == "|" or (first == "+" and _GRID.match(line.lstrip())):
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
    end = start
    while end < len(lines) and (end == start or _continues(kind, lines, end)):
        end = (_end_of_listed_code(lines, end) if kind == "list" else 0) or end + 1
    return end


def _end_of_listed_code(lines: list[str], start: int) -> int:
    """Return where the code ends that a line of a list opens, or 0 for none; the list may end it."""
    line = lines[start]
    if "```" not in line and "~~~" not in line:
        return 0
    marker = _MARKER.match(line)
    match = _FENCE.match(line[marker.end() :] if marker else line)
    return _closing(lines, start, match[1], inside=True) if match else 0


def _end_of_code(lines: list[str], start: int) -> int:
    match = _FENCE.match(lines[start])
    return _closing(lines, start, match[1] if match else "---")


def _closing(lines: list[str], start: int, fence: str, inside: bool = False) -> int:
    """Return the index after the line that closes a fence; `inside` a list, at most where that ends."""
    for at in range(start + 1, len(lines)):
        line = lines[at].strip()
        if len(line) >= len(fence) and not line.strip(fence[0]):
            return at + 1
        if inside and line and not lines[at].startswith((" ", "\t")):
            return at
    return len(lines)


def _continues(kind: str, lines: list[str], at: int) -> bool:
    if kind == "list":
        if not lines[at].strip():
            following = next((line for line in lines[at + 1 : at + 3] if line.strip()), "")
            return following.startswith((" ", "\t")) or bool(_ITEM.match(following))
        return lines[at].startswith((" ", "\t")) or _kind(lines, at) in ("list", "text")
    return bool(lines[at].strip()) and _kind(lines, at) == kind
