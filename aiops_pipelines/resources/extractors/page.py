"""HTML pages: content without what surrounds it."""

import codecs
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiops_pipelines.resources.extractors.plain import fence, indented, plain, table, together
from aiops_pipelines.resources.unreadable import UnreadableFile

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_NOT_CONTENT = ["title", "nav", "script", "style", "noscript", "template", "svg", "iframe"]
_NOT_CONTENT += ["input", "select", "textarea", "option", "datalist"]
_ROLES = {"navigation", "search"}
_SIGNS = {"headerlink", "permalink", "anchor-link", "linenos", "copybtn", "sphinxsidebar", "katex-html"}
"""What generators put beside content: a pilcrow after each heading, line numbers, a formula once more."""
_BACK = ("#footnote-ref-", "#endnote-ref-")
_SHOWING = ("href", "aria-controls", "data-target", "data-bs-target", "for", "onclick")
_CHARSETS = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}
_CHARSETS |= {"shift_jis": "cp932", "euc_kr": "cp949"}
"""What browsers read in place of the encoding a page names: its superset."""
_BLOCKS = {"p", "div", "section", "article", "main", "header", "footer", "aside", "blockquote", "dl", "dd"}
_BLOCKS |= {"form", "center", "dialog", "hgroup", "menu", "search", "hr"}
_BLOCKS |= {"ul", "ol", "figure", "figcaption", "details", "body", "html", "address", "fieldset"}
_TERMS = {"dt", "summary", "legend"}
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_APART = _BLOCKS | _TERMS | _HEADINGS | {"li", "pre", "table", "tr"}
_LANGUAGE = re.compile(r"(?:language|lang|highlight)-(?!default|text|none|source)([\w+#]{1,20})$")


def html(data: bytes) -> str:
    """Return the content of a page, without its navigation, scripts and form fields."""
    return content(_decoded(data))


def content(page: str) -> str:
    """Return the content of a page as Markdown-like text, under its title where it has no main heading.

    A page that scripts fill in a browser says nothing here but its title, which alone is nothing.
    """
    from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning

    with warnings.catch_warnings(category=XMLParsedAsHTMLWarning, action="ignore"):
        soup = BeautifulSoup(page, "lxml")  # ends what a page leaves open; Python's parser does not
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in [*soup(_NOT_CONTENT), *filter(_is_beside, soup.find_all(True))]:
        tag.decompose()
    for tag in [*_unseen(soup), *_aside(soup)]:
        tag.decompose()
    for tag in soup("math"):  # its own source says it once
        if source := tag.find("annotation", encoding="application/x-tex"):
            tag.replace_with(source.get_text())
    places = (soup.find("main"), soup.find(role="main"), soup.body)
    place = next((one for one in places if one and one.get_text(strip=True)), soup)
    text = "\n\n".join(_blocks(place))
    untitled = text and title and not any(map(_flat, place("h1")))
    return f"# {title}\n\n{text}" if untitled else text


def _decoded(data: bytes) -> str:
    """Return a page's text: UTF-8, or what the page says of itself."""
    from bs4.dammit import EncodingDetector

    try:
        return plain(data)
    except UnreadableFile:
        named = EncodingDetector.find_declared_encoding(data, is_html=True)
        if not named or b"\0" in data:
            raise
        try:
            name = codecs.lookup(named).name
            return plain(data.decode(_CHARSETS.get(name, name)).encode())
        except (LookupError, UnicodeError):
            raise UnreadableFile(f"It is not the {named} it says it is; save the file as UTF-8.") from None


def _is_beside(tag: "Tag") -> bool:
    classes = set(tag.get("class") or ())
    copies = tag.name == "button" and (any("copy" in name for name in classes) or tag.find_parent("pre"))
    beside = tag.get("role") in _ROLES or not classes.isdisjoint(_SIGNS)
    return beside or bool(copies) or str(tag.get("href") or "").startswith(_BACK)


def _unseen(soup: "BeautifulSoup") -> "list[Tag]":
    """Return what is hidden and stays so: not a tab, nor what something else on the page can show."""
    if not (hidden := [tag for tag in soup.find_all(True) if tag.attrs and _is_hidden(tag)]):
        return []
    told = " ".join(str(tag.get(key) or "") for tag in soup.find_all(True) for key in _SHOWING)
    shown = set(re.findall(r"[\w-]+", told))
    return [tag for tag in hidden if tag.get("role") != "tabpanel" and tag.get("id") not in shown]


def _is_hidden(tag: "Tag") -> bool:
    hidden = tag.get("hidden") is not None and tag.get("hidden") != "until-found"
    return hidden or "display:none" in str(tag.get("style") or "").replace(" ", "").lower()


def _aside(soup: "BeautifulSoup") -> "list[Tag]":
    """Return the forms that are a small part of the page: some systems put the whole page into one."""
    if not (forms := soup("form")):
        return []
    half = len(soup.get_text()) / 2
    return [form for form in forms if len(form.get_text()) < half]


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
            words.append(_words(child))
    yield from _paragraph(words)


def _block(tag: "Tag") -> str:
    """Return the Markdown of a heading, code block, list item, term or table; nothing for any other tag."""
    if re.fullmatch("h[1-6]", tag.name):
        return f"{'#' * int(tag.name[1])} {_flat(tag)}" if _flat(tag) else ""
    if tag.name == "pre":
        return fence(_text(tag).strip("\n"), _language(tag))
    if tag.name == "li":
        text = together(_blocks(tag))
        return indented("-", text) if text else ""
    if tag.name in _TERMS:
        return f"**{_flat(tag)}**" if _flat(tag) else ""
    if tag.name == "table":
        return _table(tag)
    if tag.name == "img" and len(told := str(tag.get("alt") or "").split()) > 2:
        return " ".join(told)
    return together(_blocks(tag)) if _holds_blocks(tag) else ""


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
        parts = (part for part in tag(["caption", "th", "td"]) if part.find_parent("table") is tag)
        return together(block for part in parts for block in _blocks(part))
    caption = tag.find("caption")
    rows = [[" ".join(" ".join(_blocks(cell)).split()) for cell in row(["th", "td"])] for row in tag("tr")]
    return together(filter(None, [_flat(caption) if caption else "", table(rows)]))


def _inline(tag: "Tag") -> str:
    if tag.name == "code" and _flat(tag):
        return f"`{_flat(tag)}`"
    return "".join(map(_words, tag.children))


def _words(child: object) -> str:
    from bs4 import Tag
    from bs4.element import PreformattedString

    if isinstance(child, Tag):
        return "\n" if child.name == "br" else _inline(child)
    return "" if isinstance(child, PreformattedString) else str(child)


def _flat(tag: "Tag") -> str:
    return " ".join(_text(tag).split())


def _text(tag: "Tag") -> str:
    """Return all text of a tag as it stands, its line breaks too; blocks inside are lines."""
    from bs4 import Tag

    if not _holds_blocks(tag):
        return "".join(map(_broken, tag.descendants))
    text = ""
    for child in tag.children:
        inside = _text(child) if isinstance(child, Tag) else ""
        apart = isinstance(child, Tag) and child.name in _APART
        text += "\n" if apart and text[-1:] not in ("", "\n") else ""
        text += inside or _broken(child)
        text += "\n" if apart and text[-1:] not in ("", "\n") else ""
    return text


def _holds_blocks(tag: "Tag") -> bool:
    return any(getattr(part, "name", None) in _APART for part in tag.descendants)


def _broken(part: object) -> str:
    from bs4 import Tag
    from bs4.element import PreformattedString

    if isinstance(part, Tag):
        return "\n" if part.name == "br" else ""
    return "" if isinstance(part, PreformattedString) else str(part)


def _paragraph(words: list[str]) -> Iterator[str]:
    if text := " ".join("".join(words).split()):
        yield text
