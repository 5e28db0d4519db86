"""reStructuredText with the headings, fences, lists and tables of Markdown; no directive is carried out.

Sphinx's directives are known by what they mean for a reader: code, a remark, a described object, or nothing.
"""

import re
from collections.abc import Callable, Iterator

from aiops_pipelines.resources.extractors import rst_tables
from aiops_pipelines.resources.extractors.plain import fence, indented, plain, table, together
from aiops_pipelines.resources.extractors.rst_inline import inline

_RULE = re.compile(r"([=\-`:.'\"~^_*+#])\1{2,}\s*$")
_DIRECTIVE = re.compile(r"\.\.\s+(?:\|([^|]+)\|\s+)?([\w:+.-]+)::(?:\s+(.*))?$")
_EXPLICIT = re.compile(r"\.\.(?:\s|$)")
_FOOTNOTE = re.compile(r"\.\.\s+(\[[^\]]+\])\s+(.*)")
_ITEM = re.compile(r"([-*+\u2022]|#\.|\(?(?:\d{1,4}|[a-zA-Z])[.)])( +)(?=\S)")
_FIELD = re.compile(r":(?![:\s])([^:\n]*(?:\\:[^:\n]*)*):(?: +(.*)|$)")
_CODE = {"code-block", "code", "sourcecode", "parsed-literal", "math", "doctest", "testcode", "prompt"}
_UNSEEN = {"toctree", "index", "highlight", "currentmodule", "include", "literalinclude", "contents", "raw"}
_UNSEEN |= {"meta", "role", "default-role", "sectnum", "tabularcolumns", "inheritance-diagram", "graphviz"}
_UNSEEN |= {"image", "testsetup", "testcleanup", "rst-class", "cssclass", "unicode", "date", "sectionauthor"}
_REMARKS = {"seealso": "See also", "versionadded": "Added in", "versionchanged": "Changed in"}
_REMARKS |= {"deprecated": "Deprecated since", "versionremoved": "Removed in"}
_REMARKS |= {name: name.capitalize() for name in ("note", "tip", "hint", "warning", "caution", "important")}
_REMARKS |= {name: name.capitalize() for name in ("danger", "attention", "error", "todo")}
_TABLES: dict[str, Callable[[list[str]], list[list[str]]]] = {
    "list-table": rst_tables.listed,
    "csv-table": rst_tables.separated,
}


def rst(data: bytes) -> str:
    """Return reStructuredText as Markdown-like text; words of directives that are not known are kept."""
    reader = _Reader(plain(data).expandtabs(8).split("\n"))
    return together(reader.blocks(reader.lines, top=True))


class _Reader:
    """One document: the order its heading styles appear in, and its substitutions."""

    def __init__(self, lines: list[str]):
        self.lines = lines
        self._levels: list[str] = []
        self._replaced: dict[str, str] = {}
        for line in lines:
            if (found := _DIRECTIVE.match(line.strip())) and found[1] and found[2] == "replace":
                self._replaced[found[1]] = found[3] or ""

    def blocks(self, lines: list[str], top: bool = False) -> Iterator[str]:
        """Yield the blocks of lines whose first column is their margin."""
        at = 0
        while at < len(lines):
            line = lines[at]
            if not line.strip():
                at += 1
            elif top and (length := self._title_length(lines, at)):
                yield self._heading(lines[at : at + length])
                at += length
            elif _EXPLICIT.match(line):
                end, body = _below(lines, at + 1)
                yield from self._explicit(line, body)
                at = end
            elif line.startswith(" "):
                end, body = _below([" ", *lines[at:]], 1)
                yield from self.blocks(body)
                at += max(end - 1, 1)
            else:
                end = self._end(lines, at)
                yield from self._block(lines[at:end])
                at = end

    def _title_length(self, lines: list[str], at: int) -> int:
        """Return how many lines a title here takes: 3 with a line above it, 2 without, else 0."""
        over = _RULE.match(lines[at]) and at + 2 < len(lines) and lines[at + 2].rstrip() == lines[at].rstrip()
        words = at + 1 if over else at
        if words + 1 >= len(lines) or not lines[words].strip() or _RULE.match(lines[words]):
            return 0
        under = lines[words + 1].rstrip()
        shown = len(lines[words].strip())
        if (
            not _RULE.match(under)
            or (len(under) < shown and len(under) < 4)
            or (lines[words][0] == " " and not over)
        ):
            return 0
        return 3 if over else 2

    def _heading(self, lines: list[str]) -> str:
        style = f"{len(lines)}{lines[-1][0]}"
        self._levels += [] if style in self._levels else [style]
        words = inline(lines[-2].strip(), self._replaced)
        return f"{'#' * min(self._levels.index(style) + 1, 6)} {' '.join(words.split())}"

    def _end(self, lines: list[str], at: int) -> int:
        """Return where the block that starts at a line without indent ends."""
        if rst_tables.SIMPLE.match(lines[at]):
            rules = [n for n in range(at + 1, len(lines)) if rst_tables.SIMPLE.match(lines[n])]
            closing = [n for n in rules if n + 1 == len(lines) or not lines[n + 1].strip()]
            return closing[0] + 1 if closing else at + 1
        if _ITEM.match(lines[at]) or _FIELD.match(lines[at]):
            return _below(lines, at + 1)[0]
        end = at + 1
        while end < len(lines) and lines[end].strip() and not _EXPLICIT.match(lines[end]):
            if lines[end].startswith(" "):  # a definition, or a quote that lacks its blank line
                return _below(lines, end)[0]
            end += 1
        if lines[end - 1].rstrip().endswith("::"):
            return _below(lines, end)[0]
        return end

    def _block(self, lines: list[str]) -> Iterator[str]:
        first = lines[0]
        if rst_tables.GRID.match(first):
            yield self._table(rst_tables.grid(lines))
        elif rst_tables.SIMPLE.match(first):
            yield self._table(rst_tables.simple(lines))
        elif first.startswith(">>> "):
            yield fence("\n".join(lines), "python")
        elif first.startswith("| "):
            yield self._said(line.removeprefix("|").strip() for line in lines)
        elif found := _ITEM.match(first):
            yield self._item(found, lines)
        elif found := _FIELD.match(first):
            yield from self._field(found, lines[1:])
        else:
            yield from self._paragraph(lines)

    def _item(self, found: re.Match[str], lines: list[str]) -> str:
        marker = "-" if found[1] in "-*+\u2022" else "1." if found[1] == "#." else found[1]
        width = found.end()
        rest = [line[min(width, len(line) - len(line.lstrip())) :] for line in lines[1:]]
        text = together(self.blocks([lines[0][width:], *rest]))
        return indented(marker, text)

    def _field(self, found: re.Match[str], body: list[str]) -> Iterator[str]:
        _, rest = _below(["", *body], 1)
        text = together(self.blocks([found[2] or "", *rest]))
        if text:
            yield f"{found[1]}: {text}"

    def _paragraph(self, lines: list[str]) -> Iterator[str]:
        words = [line for line in lines]
        body: list[str] = []
        for n, line in enumerate(lines):
            if n and (not line.strip() or line.startswith(" ")):
                words, body = lines[:n], _below(lines, n)[1]
                break
        literal = words[-1].rstrip().endswith("::")
        if literal:
            words = [*words[:-1], words[-1].rstrip().removesuffix("::").rstrip()]
            words[-1] += ":" if words[-1] else ""
            yield from filter(None, [self._said(words), fence("\n".join(body).strip("\n"))])
        elif body and len(words) == 1:  # a definition list's term
            yield "\n\n".join([f"**{self._said(words).strip('*')}**", *self.blocks(body)])
        else:
            yield self._said(words)
            yield from self.blocks(body)

    def _explicit(self, line: str, body: list[str]) -> Iterator[str]:
        """Yield what a reader sees of a directive, footnote, target or comment."""
        if found := _DIRECTIVE.match(line):
            if not found[1]:
                yield from filter(None, self._directive(found[2], (found[3] or "").strip(), body))
        elif found := _FOOTNOTE.match(line):
            yield "\n\n".join([f"{found[1]} {self._said([found[2]])}", *self.blocks(body)])

    def _directive(self, name: str, argument: str, body: list[str]) -> Iterator[str]:
        options, body, more = _options(body)
        if name in _CODE:
            yield from [self._said([options["caption"]])] if "caption" in options else []
            code = "\n".join([argument, *more, *body] if name == "math" else [*more, *body]).strip("\n")
            yield fence(code, "" if name == "math" else argument)
        elif name in _UNSEEN:
            yield self._said([options.get("alt", "")])
        elif name in _TABLES:
            yield f"**{self._said([argument])}**" if argument else ""
            yield self._table(_TABLES[name](body))
        elif name in _REMARKS:
            yield from self._remark(_REMARKS[name], argument, [*more, *body])
        elif name in ("figure", "only", "container", "tab-set", "class", "table") and body:
            yield self._said([options.get("alt", "")])
            yield from self.blocks(body)
        elif name in ("admonition", "topic", "sidebar", "rubric", "centered", "dropdown", "tab-item"):
            yield f"**{self._said([argument])}**"
            yield from self.blocks(body)
        else:  # a described object
            told = [f"{key}: {value}" for key, value in options.items() if value]
            yield f"`{' '.join([argument, *(part.strip() for part in more)]).strip()}`" if argument else ""
            yield self._said(told)
            yield from self.blocks(body)

    def _remark(self, label: str, argument: str, body: list[str]) -> Iterator[str]:
        dated = label.endswith((" in", " since"))
        version, _, rest = argument.partition(" ") if dated else ("", "", argument)
        head = f"**{label} {version}:**" if dated else f"**{label}:**"
        blocks = list(self.blocks([rest, *body] if rest else body))
        yield "\n\n".join([f"{head} {blocks[0]}" if blocks else head.replace(":**", "**"), *blocks[1:]])

    def _table(self, rows: list[list[str]]) -> str:
        return table([[inline(cell, self._replaced) for cell in row] for row in rows])

    def _said(self, lines: "list[str] | Iterator[str]") -> str:
        return inline("\n".join(line.strip() for line in lines), self._replaced).strip()


def _below(lines: list[str], start: int) -> tuple[int, list[str]]:
    """Return where the indented block that starts here ends, and its lines without their indent."""
    end = start
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" ")):
        end += 1
    block = lines[start:end]
    indent = min((len(line) - len(line.lstrip()) for line in block if line.strip()), default=0)
    return end, [line[indent:].rstrip() for line in block]


def _options(body: list[str]) -> tuple[dict[str, str], list[str], list[str]]:
    """Return a directive's options, its body, and lines that belong to its argument."""
    options: dict[str, str] = {}
    more: list[str] = []
    for at, line in enumerate(body):
        if not line.strip():
            return options, body[at:], more
        if (found := _FIELD.match(line)) and not more:
            options[found[1]] = (found[2] or "").strip()
        elif options and line.startswith(" "):
            last = next(reversed(options))
            options[last] = f"{options[last]} {line.strip()}".strip()
        elif options:
            return options, body[at:], more
        else:
            more.append(line)
    return (options, [], more) if options or not more else (options, more, [])
