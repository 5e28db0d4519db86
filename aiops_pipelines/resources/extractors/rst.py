"""reStructuredText with the headings and fences of Markdown; no directive is carried out."""

import re

from aiops_pipelines.resources.extractors.plain import fence, plain

_RULES = frozenset("=-`:.'\"~^_*+#")
_RULE = re.compile(r"([=\-`:.'\"~^_*+#])\1{2,}\s*$")
_DIRECTIVE = re.compile(r"\s*\.\.\s+([\w:.+-]+)::(?:\s+|$)(.*)")
_CODE = {"code-block", "code", "sourcecode", "highlight", "literalinclude", "parsed-literal"}
_CODE |= {"math", "raw", "doctest", "testcode", "testoutput", "prompt", "graphviz", "digraph", "mermaid"}
_NOTES = {"note", "warning", "tip", "hint", "important", "attention", "caution", "danger", "error", "seealso"}
_UNSEEN = {"toctree", "contents", "index", "meta"}
_MARKER = re.compile(r"\.\.\s+(\w+)::")
_COMMENT = re.compile(r"\s*\.\.\s+(?![\s\[_|]|[\w:.+-]+::(?:\s|$))")
_TARGET = re.compile(r"\s*\.\.(?:\s+_[^:]+(?::[^:]+)*:)?\s*$")
"""A name for a place, or a comment that is empty or begins on the next line."""
_ROLE = re.compile(r":[\w:+-]{1,40}:`~?([^`<]{1,300}?)(?: ?<[^`>]{0,300}>)?`")


def rst(data: bytes) -> str:
    """Return reStructuredText with Markdown headings and fences; directives are never executed."""
    lines = plain(data).expandtabs(4).split("\n")
    rules = [line[:1] in _RULES and bool(_RULE.match(line)) for line in lines]
    rules += [False, False]
    levels: list[str] = []
    out: list[str] = []
    at, last = 0, len(lines) - 1
    while at <= last:
        line = lines[at]
        directive = _DIRECTIVE.match(line) if "::" in line else None
        over = rules[at] and at + 1 < last and lines[at + 2].rstrip() == line.rstrip()
        title = at + 1 if over else at
        if rules[title + 1] and _is_title(lines, rules, title):
            style = f"{over}{lines[title + 1][0]}"
            levels += [] if style in levels else [style]
            out += ["", f"{'#' * min(levels.index(style) + 1, 6)} {_roles(lines[title].strip())}", ""]
            at = title + 2
        elif ".." in line and _TARGET.match(line):
            below = lines[at + 1 : at + 2] if line.strip() == ".." else []
            comment = any(below) and _margin(below[0]) > _margin(line)
            at = _indented(lines, at + 1, _margin(line))[0] if comment else at + 1
        elif ".." in line and (_COMMENT.match(line) or (directive and directive[1] in _UNSEEN)):
            at, _ = _indented(lines, at + 1, _margin(line))
        elif "::" in line and _opens_code(line, directive):
            before = "" if directive else line.rstrip().removesuffix("::").rstrip() + ":"
            said = directive[2].strip() if directive else ""
            at, code = _indented(lines, at + 1, _margin(line))
            if directive and directive[1] == "math":
                said, code = "", [said, *code]
            out += [_roles(before)] if before.strip(" :") else []
            out += ["", fence("\n".join(code), said), ""] if any(code) else []
        elif directive and not directive[2] and directive[1] not in _NOTES:  # its body says what it holds
            at += 1
        elif "`" in line or directive:
            whole, at = _whole(lines, rules, at)
            if directive and directive[1] in _NOTES:
                whole = _MARKER.sub(lambda name: f"**{name[1].capitalize()}:**", whole, count=1)
            out.append(_roles(whole))
        else:
            out.append(line)
            at += 1
    text = "\n".join(out)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip()


def _is_title(lines: list[str], rules: list[bool], at: int) -> bool:
    words = lines[at].strip()
    return bool(words) and not rules[at] and len(lines[at + 1].rstrip()) >= len(words)


def _opens_code(line: str, directive: re.Match[str] | None) -> bool:
    return directive[1] in _CODE if directive else line.rstrip().endswith("::")


def _roles(line: str) -> str:
    return (_ROLE.sub(r"\1", line) if ":`" in line else line).replace("``", "`")


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def _whole(lines: list[str], rules: list[bool], at: int) -> tuple[str, int]:
    """Return a line and where the next one begins, two where a role begins on one and ends on the other."""
    line, below = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
    split = line.count("`") % 2 and "`" in below and not rules[at + 1] and not below.rstrip().endswith("::")
    return (f"{line}\n{below}", at + 2) if split else (line, at + 1)


def _indented(lines: list[str], start: int, margin: int) -> tuple[int, list[str]]:
    """Return where the block indented deeper than `margin` ends, and its lines without the indent."""
    end, indent = start, 0
    while end < len(lines):
        if words := lines[end].lstrip():
            inside = len(lines[end]) - len(words)
            if inside <= margin:
                break
            indent = min(indent or inside, inside)
        end += 1
    block = lines[start:end]
    if not any(block):
        return end, []
    return end, "\n".join(line[indent:].rstrip() for line in block).strip("\n").split("\n")
