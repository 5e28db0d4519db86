"""Token counts of text, offline: tiktoken with the tables that LlamaIndex ships.

Exact for OpenAI's models. For others the count of the nearest table stands in, and says that it is not exact.
"""

import importlib.metadata
import os
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from aiops_pipelines.mendable import Mendable

if TYPE_CHECKING:
    import tiktoken

LONGEST_RUN = 100_000
"""Characters without a break that tiktoken is given; a million overflow its stack."""
LONGEST_KEPT = 20_000
"""Characters of a text whose count is remembered; 512 of them are 10 MB at most, if they are ASCII."""
_O200K = re.compile(r"(chatgpt-)?gpt-(4o|4\.1|4\.5|[5-9]|oss)|o[1-9]($|-)|codex")
_ENDLESS = re.compile(rf"\S{{{LONGEST_RUN}}}|\s{{{LONGEST_RUN}}}")
_CL100K = re.compile(r"gpt-(4|3\.5|35)|text-embedding-(3|ada-002)")


class TokenizerMissing(Mendable, RuntimeError):
    """The tables of the tokenizer are not installed; the message says which package has them."""


@lru_cache(maxsize=1_024)
def encoding_name(model: str) -> tuple[str, bool]:
    """Return the encoding of a model's family, and whether that is the model's own: `gpt-4o` is o200k_base.

    A prefix such as `openai/` or `ft:` is left out.
    """
    name = model.lower().rsplit("/", 1)[-1].removeprefix("ft:")
    if _O200K.match(name):
        return "o200k_base", True
    return ("cl100k_base", True) if _CL100K.match(name) else ("o200k_base", False)


def count_tokens(text: str, model: str) -> tuple[int, bool]:
    """Return the number of tokens of a text for a model, and whether it is exact.

    Worked example: ("hello world", "gpt-4o") is (2, True).

    Raises:
        TokenizerMissing: llama-index-core is not installed, or came without its tables.
    """
    name, exact = encoding_name(model)
    if len(text) <= LONGEST_KEPT:
        return _counted(text, name), exact
    encoding = _encoding(name)
    if len(text) <= LONGEST_RUN or not _ENDLESS.search(text):
        return len(encoding.encode_ordinary(text)), exact
    cuts = range(0, len(text), LONGEST_RUN)
    return sum(len(encoding.encode_ordinary(text[cut : cut + LONGEST_RUN])) for cut in cuts), False


@lru_cache(maxsize=512)
def _counted(text: str, name: str) -> int:
    """Count a text once: system prompts and what is said at every step of a conversation come again."""
    return len(_encoding(name).encode_ordinary(text))


@cache
def _encoding(name: str) -> "tiktoken.Encoding":
    import tiktoken

    variable = "TIKTOKEN_CACHE_DIR"
    before = os.environ.get(variable)
    os.environ[variable] = str(_tables())
    try:
        return tiktoken.get_encoding(name)
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def _tables() -> Path:
    """Find the tables without importing LlamaIndex, which takes seconds."""
    try:
        files = importlib.metadata.files("llama-index-core") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.parent.name == "tiktoken_cache":
            return Path(str(file.locate())).parent
    raise TokenizerMissing(
        "Tokens cannot be counted: install llama-index-core, which ships tiktoken's tables."
    )
