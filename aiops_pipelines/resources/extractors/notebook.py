"""Jupyter notebooks: their words and their code, never run, with no output beyond short text."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiops_pipelines.resources.extractors.plain import fence, plain, without_unseen
from aiops_pipelines.resources.unreadable import UnreadableFile

OUTPUT_CHARACTERS = 300
"""A longer output is data or a log; a picture says nothing here."""
_PICTURE = {"image/png", "image/jpeg", "image/svg+xml", "image/gif", "application/pdf"}
_COLOUR = re.compile(r"\x1b\[[\d;]*[A-Za-z]")
"""What a terminal would colour by."""
_OBJECT = re.compile(r"<[^<>]+ at 0x[0-9a-f]+>")
"""An object shown by its address, which is another one whenever the notebook is run."""


def notebook(data: bytes) -> str:
    """Return a notebook's Markdown as it is, its code in fences and its short text outputs below."""
    try:
        content = json.loads(plain(data))
    except json.JSONDecodeError as error:
        raise UnreadableFile(f"It is not a notebook: line {error.lineno} is not JSON.") from error
    content = content if isinstance(content, dict) else {}
    sheets = content.get("worksheets") or [content]  # before format 4
    lists = [sheet.get("cells") for sheet in sheets]
    if not all(isinstance(one, list) for one in lists):
        raise UnreadableFile("It is not a notebook: it has no list of cells.")
    about = content.get("metadata") or {}
    named = (about.get("language_info") or {}).get("name") or (about.get("kernelspec") or {}).get("language")
    language = named or ""
    return "\n\n".join(
        block for cells in lists for cell in cells for block in _blocks(cell, language) if block.strip()
    )


def _blocks(cell: Mapping[str, Any], language: str) -> Iterator[str]:
    text = _joined(cell.get("source", cell.get("input", "")))
    kind = cell.get("cell_type")
    if kind == "code":
        yield fence(text, language)
        yield from (fence(shown) for output in cell.get("outputs") or [] if (shown := _shown(output)))
    elif kind == "heading":
        yield f"{'#' * int(cell.get('level', 1))} {text}"
    else:
        yield without_unseen(text)


def _shown(output: Mapping[str, Any]) -> str:
    """Return an output's text where it is short; errors, pictures and the names of objects are left out."""
    data = output.get("data") or {}
    text = "" if _PICTURE & data.keys() else _joined(output.get("text", data.get("text/plain")))
    text = _COLOUR.sub("", text).strip()
    return text if len(text) <= OUTPUT_CHARACTERS and not _OBJECT.search(text) else ""


def _joined(lines: str | list[str] | None) -> str:
    return lines if isinstance(lines, str) else "".join(lines or [])
