"""HTML pages: content without what surrounds it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiops_pipelines.resources.extractors.plain import fence, indented, plain, table, together

if TYPE_CHECKING:
    from bs4 import Tag

_NOT_CONTENT = ["title", "nav", "script", "style", "noscript", "template", "svg", "form", "button", "iframe"]
_SIGNS = ".headerlink, .permalink, .anchor-link, .linenos, .copybtn"
"""What documentation generators put beside content: a pilcrow after each heading, line numbers."""
_BLOCKS = {"p", "div", "section", "article", "main", "header", "footer", "aside", "blockquote", "dl", "dd"}
_BLOCKS |= {"ul", "ol", "figure", "figcaption", "details", "body", "html", "address", "fieldset"}
_TERMS = {"dt", "summary", "legend"}
_LANGUAGE = re.compile(r"(?:language|lang|highlight)-(?!default|text|none|source)([\w+#]{1,20})$")


def html(data: bytes) -> str:
    """Return the content of a page, without its navigation, scripts and forms."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(plain(data), "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in [*soup(_NOT_CONTENT), *soup.select(_SIGNS)]:
        tag.decompose()
    text = "\n\n".join(_blocks(soup.find("main") or soup.body or soup))
    return text if not title or re.search(r"^# ", text, re.MULTILINE) else f"# {title}\n\n{text}"


def _blocks(node: "Tag") -> Iterator[str]:
    from bs4 import Tag
    from bs4.element import PreformattedString

    words: list[str] = []
    for child in node.children:
        if not isinstance(child, Tag):
            words += [] if isinstance(child, PreformattedString) else [str(child)]
        elif child.name in _BLOCKS or (block := _block(child)):
            yield from _paragraph(words)
            words = []
            yield from _blocks(child) if child.name in _BLOCKS else [block]
        else:
            words.append(" " if child.name == "br" else _inline(child))
    yield from _paragraph(words)


def _block(tag: "Tag") -> str:
    """Return the Markdown of a heading, code block, list item, term or table; nothing for any other tag."""
    if re.fullmatch("h[1-6]", tag.name):
        return f"{'#' * int(tag.name[1])} {_flat(tag)}" if _flat(tag) else ""
    if tag.name == "pre":
        return fence(tag.get_text().strip("\n"), _language(tag))
    if tag.name == "li":
        text = together(_blocks(tag))
        return indented("-", text) if text else ""
    if tag.name in _TERMS:
        return f"**{_flat(tag)}**" if _flat(tag) else ""
    if tag.name == "table":
        return _table(tag)
    if tag.name == "img" and len(told := str(tag.get("alt") or "").split()) > 2:
        return " ".join(told)
    return together(_blocks(tag)) if tag.find(["p", "pre", "table", "ul", "ol"]) else ""


def _language(tag: "Tag") -> str:
    """Return the language a code block says it is in: on itself, its code, or a wrapper around it."""
    for one in (tag, tag.find("code"), tag.parent, tag.parent and tag.parent.parent):
        for name in (one.get("class") or []) if one else []:
            if found := _LANGUAGE.match(str(name)):
                return found[1]
    return ""


def _table(tag: "Tag") -> str:
    """Return a table row by row; one that only lays out a page, or holds tables or code, block by block."""
    if tag.find(["table", "pre"]):
        return together(
            block for cell in tag(["th", "td"], recursive=False) or tag(["td"]) for block in _blocks(cell)
        )
    caption = tag.find("caption")
    rows = [[_flat(cell) for cell in row(["th", "td"])] for row in tag("tr")]
    return together(filter(None, [_flat(caption) if caption else "", table(rows)]))


def _inline(tag: "Tag") -> str:
    if tag.name == "code" and _flat(tag):
        return f"`{_flat(tag)}`"
    return "".join(map(_words, tag.children))


def _words(child: object) -> str:
    from bs4 import Tag
    from bs4.element import PreformattedString

    if isinstance(child, Tag):
        return _inline(child)
    return "" if isinstance(child, PreformattedString) else str(child)


def _flat(tag: "Tag") -> str:
    return " ".join(tag.get_text(" " if tag.name in ("td", "th") else "").split())


def _paragraph(words: list[str]) -> Iterator[str]:
    if text := " ".join("".join(words).split()):
        yield text
