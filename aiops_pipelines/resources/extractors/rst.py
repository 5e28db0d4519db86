"""reStructuredText with the headings and fences of Markdown; no directive is carried out."""

import re

from aiops_pipelines.resources.extractors.plain import plain

_RULES = frozenset("=-`:.'\"~^_*+#")
_RULE = re.compile(r"([=\-`:.'\"~^_*+#])\1{2,}\s*$")
_DIRECTIVE = re.compile(r"\s*\.\.\s+([\w:-]+)::\s*(.*)")
_CODE = {"code-block", "code", "sourcecode", "highlight", "literalinclude", "parsed-literal"}
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
        over = rules[at] and at + 1 < last and lines[at + 2].rstrip() == line.rstrip()
        title = at + 1 if over else at
        if rules[title + 1] and _is_title(lines, rules, title):
            style = f"{over}{lines[title + 1][0]}"
            levels += [] if style in levels else [style]
            out += ["", f"{'#' * min(levels.index(style) + 1, 6)} {_roles(lines[title].strip())}", ""]
            at = title + 2
        elif "::" in line and _opens_code(line, directive := _DIRECTIVE.match(line)):
            before = "" if directive else line.rstrip().removesuffix("::").rstrip() + ":"
            at, code = _indented(lines, at + 1, len(line) - len(line.lstrip()))
            out += [_roles(before)] if before.strip(" :") else []
            out += ["", f"```{directive[2].strip() if directive else ''}", *code, "```", ""] if code else []
        else:
            out.append(_roles(line) if "`" in line else line)
            at += 1
    text = "\n".join(out)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip()


def _is_title(lines: list[str], rules: list[bool], at: int) -> bool:
    words = lines[at].strip()
    return bool(words) and not rules[at] and len(lines[at + 1].rstrip()) >= len(words)


def _opens_code(line: str, directive: re.Match[str] | None) -> bool:
    return bool(directive and directive[1] in _CODE) or line.rstrip().endswith("::")


def _roles(line: str) -> str:
    return (_ROLE.sub(r"\1", line) if ":`" in line else line).replace("``", "`")


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
