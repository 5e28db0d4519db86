"""reStructuredText with the headings and fences of Markdown; no directive is carried out."""

import re

from aiops_pipelines.resources.extractors.plain import plain

_RULE = re.compile(r"([=\-`:.'\"~^_*+#])\1{2,}\s*$")
_DIRECTIVE = re.compile(r"\s*\.\.\s+([\w:-]+)::\s*(.*)")
_CODE = {"code-block", "code", "sourcecode", "highlight", "literalinclude", "parsed-literal"}
_ROLE = re.compile(r":[\w:+-]{1,40}:`~?([^`<]{1,300}?)(?: ?<[^`>]{0,300}>)?`")


def rst(data: bytes) -> str:
    """Return reStructuredText with Markdown headings and fences; directives are never executed."""
    lines = plain(data).expandtabs(4).split("\n")
    levels: list[str] = []
    out: list[str] = []
    at = 0
    while at < len(lines):
        over = _RULE.match(lines[at]) and at + 2 < len(lines) and lines[at + 2].rstrip() == lines[at].rstrip()
        title = at + 1 if over else at
        if _is_title(lines, title):
            style = f"{bool(over)}{lines[title + 1][0]}"
            levels += [] if style in levels else [style]
            out += ["", f"{'#' * min(levels.index(style) + 1, 6)} {_roles(lines[title].strip())}", ""]
            at = title + 2
        elif ((match := _DIRECTIVE.match(lines[at])) and match[1] in _CODE) or lines[at].rstrip().endswith(
            "::"
        ):
            before = "" if match else lines[at].rstrip().removesuffix("::").rstrip() + ":"
            at, code = _indented(lines, at + 1, len(lines[at]) - len(lines[at].lstrip()))
            out += [_roles(before)] if before.strip(" :") else []
            out += ["", f"```{match[2].strip() if match else ''}", *code, "```", ""] if code else []
        else:
            out.append(_roles(lines[at]))
            at += 1
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()


def _is_title(lines: list[str], at: int) -> bool:
    if at + 1 >= len(lines) or not lines[at].strip() or _RULE.match(lines[at]):
        return False
    return bool(_RULE.match(lines[at + 1])) and len(lines[at + 1].rstrip()) >= len(lines[at].strip())


def _roles(line: str) -> str:
    return _ROLE.sub(r"\1", line).replace("``", "`")


def _indented(lines: list[str], start: int, margin: int) -> tuple[int, list[str]]:
    """Return where the block indented deeper than `margin` ends, and its lines without the indent."""
    end = start
    while end < len(lines) and (
        not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > margin
    ):
        end += 1
    block = lines[start:end]
    indent = min((len(line) - len(line.lstrip()) for line in block if line.strip()), default=0)
    return end, "\n".join(line[indent:].rstrip() for line in block).strip("\n").split("\n") if any(
        block
    ) else []
