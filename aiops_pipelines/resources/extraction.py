"""Text out of a file's bytes, by its ending; formats that take a parser are parsed in a limited process.

Each format is one file of `extractors`; which files are read, and what is refused, is `documents`. No format
here can hold code that is run: pickles, model files and the like have no extractor and are never opened.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aiops_pipelines.resources.extractors.notebook import notebook
from aiops_pipelines.resources.extractors.page import html
from aiops_pipelines.resources.extractors.pdf import pdf
from aiops_pipelines.resources.extractors.plain import markdown, mdx, plain
from aiops_pipelines.resources.extractors.rst import rst
from aiops_pipelines.resources.extractors.word import docx
from aiops_pipelines.resources.sources.base import MAX_BYTES
from aiops_pipelines.resources.unreadable import UnreadableFile

HARMLESS_RST = 1_000_000
"""As many bytes take at most 2.3 CPU s and 80 MB: the worst of 26 kinds made to take long, all linear."""

_POINTER, _POINTER_BYTES = b"version https://git-lfs.github.com/spec/", 1024
"""What stands in a repository in place of a large file, and what it is always smaller than."""


@dataclass(frozen=True)
class Format:
    """A format of documents; up to `harmless_bytes` of it cannot keep a parser busy or fill its memory."""

    name: str
    extract: Callable[[bytes], str]
    harmless_bytes: int = 0


FORMATS = {
    ".md": Format("markdown", markdown, MAX_BYTES),
    ".markdown": Format("markdown", markdown, MAX_BYTES),
    ".mdx": Format("markdown", mdx, MAX_BYTES),
    ".txt": Format("text", plain, MAX_BYTES),
    ".html": Format("html", html),
    ".htm": Format("html", html),
    ".rst": Format("rst", rst, HARMLESS_RST),
    ".pdf": Format("pdf", pdf),
    ".docx": Format("docx", docx),
    ".ipynb": Format("notebook", notebook),
}
"""The formats by file name ending, lower case."""


def extract(ending: str, data: bytes) -> str:
    """Return the text that a file's bytes hold.

    Raises:
        UnreadableFile: they are not of this format, or cannot be read within the limits.
    """
    from aiops_pipelines.resources.limited_process import reader

    if data.startswith(_POINTER) and len(data) < _POINTER_BYTES:
        raise UnreadableFile(
            "It is a Git LFS pointer and not the document; read it where git lfs pull was run."
        )
    if len(data) > FORMATS[ending].harmless_bytes:
        return reader().extract(ending, data)
    return extracted(ending, data)


def extracted(ending: str, data: bytes) -> str:
    """Return the text that a file's bytes hold, parsed in this process without any limit.

    Raises:
        UnreadableFile: they are not of this format.
    """
    try:
        text = FORMATS[ending].extract(data)
        return text.replace("\0", "\ufffd")  # NUL is no letter, and not every store takes it
    except (UnreadableFile, ImportError, MemoryError):
        raise
    except Exception as error:  # a parser may raise anything on hostile bytes
        kind = ending.lstrip(".").upper()
        raise UnreadableFile(f"It is damaged or not {kind} ({type(error).__name__}).") from error
