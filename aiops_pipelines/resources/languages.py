"""Which language a text is written in, by py3langid's n-gram model; nothing is downloaded."""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

LETTERS = 80
"""Fewer letters of prose than this say too little; a character of Chinese or Japanese counts as four."""
SAMPLE_CHARACTERS = 3_000
SURE = 0.9

_NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|\]\([^)\n]*\)|^\s*[|:].*$", re.DOTALL | re.MULTILINE
)
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


def language(text: str) -> str | None:
    """Return the ISO 639-1 code of a Markdown text's language, or None where it cannot be told.

    Code, tables and addresses are left out, for they are English in every language.
    """
    prose = _NOT_PROSE.sub(" ", text[: 4 * SAMPLE_CHARACTERS])[:SAMPLE_CHARACTERS]
    letters = sum(map(str.isalpha, prose)) + 3 * len(_IDEOGRAPH.findall(prose))
    if letters < LETTERS:
        return None
    code, probability = _identifier().classify(prose)
    return str(code) if probability >= SURE else None


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    found.set_languages([code for code in found.nb_classes if len(code) == 2])  # of ISO 639-1
    return found
