"""Roles, links and literals inside reStructuredText paragraphs."""

import re
from collections.abc import Mapping

_LITERAL = re.compile(r"(``.+?``)", re.DOTALL)
_ROLE = re.compile(r"(?<![\w`]):([\w:+.-]{1,60}):`([^`]{1,400})`")
_LINK = re.compile(r"`([^`<]{1,400}?)\s*<([^`<>]{1,400})>`__?")
_REFERENCE = re.compile(r"`([^`<>]{1,400})`__?(?!\w)")
_INTERPRETED = re.compile(r"(?<![\w`:])`([^`\n]{1,200})`(?![\w`_])")
_SUBSTITUTION = re.compile(r"\|([^|\s][^|\n]{0,80}?)\|_{0,2}")


def inline(text: str, replaced: Mapping[str, str]) -> str:
    """Return a paragraph with roles and references as their words, and literals as Markdown's code."""
    parts = _LITERAL.split(text)
    return "".join(
        f"`{' '.join(part[2:-2].split())}`" if n % 2 else _words(part, replaced)
        for n, part in enumerate(parts)
    )


def _words(text: str, replaced: Mapping[str, str]) -> str:
    text = _SUBSTITUTION.sub(lambda found: replaced.get(found[1], found[0]), text)
    text = _ROLE.sub(lambda found: _target(found[1], found[2]), text)
    text = _LINK.sub(lambda found: f"[{found[1]}]({found[2]})", text)
    text = _REFERENCE.sub(r"\1", text)
    text = _INTERPRETED.sub(r"`\1`", text)
    return re.sub(r"\\[ \n]?", "", text)


def _target(role: str, content: str) -> str:
    """Return what a role shows: the title of `title <target>`, else its target without marks."""
    titled = re.fullmatch(r"(.+?)\s*<[^<>]*>", content, re.DOTALL)
    if titled:
        return titled[1]
    return f"{role.upper()} {content}" if role in ("pep", "rfc") else content.lstrip("~.!")
