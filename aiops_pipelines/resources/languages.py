"""Which language a text is written in; nothing is downloaded.

English shows by its own small words. py3langid's n-gram model, which takes half a second and 110 MB to load,
is asked only where they do not decide: in a corpus of English documents it never is.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

LETTERS = 80
"""Fewer letters of prose than this say too little; a character of Chinese or Japanese counts as four."""
BARE_LETTERS, BARE_WORDS = 200, 30
"""As many are needed where none has an accent: names and code words make up much of a text that short."""
SAMPLE_CHARACTERS = 3_000
SURE = 0.9

_OWN_WORDS = """and been but could does from have how into more must only should than that the their then
there these they this what when where which with would you your"""
_SHARED_WORDS = "an are as at be by can for has if in is it not of on or to was will"
_OWN, _SHARED = frozenset(_OWN_WORDS.split()), frozenset(_SHARED_WORDS.split())
"""Small words of English: those that are hardly one in any other language, and those that are."""
WORDS = 15
OWN_SHARE, SMALL_SHARE, ACCENTED_SHARE = 0.04, 0.12, 0.003
"""Of 1,546 documents that the model calls English these words decide 1,526; 19 are too short to tell. Of
9,624 pieces of texts in 90 other languages, 200 to 3,000 characters long, none has as many of them.

A text with more accented letters may be of two languages: the model has to say which one is most of it. Of
200 texts that are half German, one had as few.
"""

_NOT_PROSE = re.compile(
    r"```(?s:.*?)(?:```|\Z)|`[^`\n]*`|https?://\S+|\]\([^)\n]*\)|^[ \t]*[|:].*$", re.MULTILINE
)
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_ACCENTED = re.compile(r"[^\W\d_a-zA-Z]")


def language(text: str) -> str | None:
    """Return the ISO 639-1 code of a Markdown text's language, or None where it cannot be told.

    Code, tables and addresses are left out, for they are English in every language.
    """
    if _is_english(_NOT_PROSE.sub(" ", text[:SAMPLE_CHARACTERS])):
        return "en"
    prose = _NOT_PROSE.sub(" ", text[: 4 * SAMPLE_CHARACTERS])[:SAMPLE_CHARACTERS]
    if _is_english(prose):  # behind a long piece of code
        return "en"
    if not _says_enough(prose):
        return None
    code, probability = _identifier().classify(prose)
    return str(code) if probability >= SURE else None


def _says_enough(prose: str) -> bool:
    letters = sum(map(str.isalpha, prose)) + 3 * len(_IDEOGRAPH.findall(prose))
    if _ACCENTED.search(prose):
        return letters >= LETTERS
    return letters >= BARE_LETTERS and len(_words(prose)) >= BARE_WORDS


def _words(prose: str) -> list[str]:
    return [word for word in prose.lower().split() if word.isalpha()]


def _is_english(prose: str) -> bool:
    words = _words(prose)
    own = sum(map(_OWN.__contains__, words))
    if len(words) < WORDS or own < OWN_SHARE * len(words):
        return False
    small = own + sum(map(_SHARED.__contains__, words))
    accented = 0 if prose.isascii() else len(_ACCENTED.findall(prose))
    return small >= SMALL_SHARE * len(words) and accented <= ACCENTED_SHARE * len(prose)


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    found.set_languages([code for code in found.nb_classes if len(code) == 2])  # of ISO 639-1
    return found
