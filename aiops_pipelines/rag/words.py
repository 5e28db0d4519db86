"""Words of a text for keyword search, in scripts with and without spaces between them.

Stems and stop words are the ranker's business.
"""

import re
import unicodedata

_SPACELESS = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\uac00-\ud7af\uff66-\uff9f"  # Hangul, kana
    "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_VOWELS = "\u0900-\u0963\u0966-\u096f\u0971-\u0df3"
"""Scripts of India and Sri Lanka: Python takes the signs for their vowels for no letters."""
_POINTS = re.compile(
    "[\u00ad\u200d\u2060\u0300-\u036f"  # soft hyphen, joiners, accents that no letter holds
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed]"  # Arabic
)
"""What one writer sets inside a word and another leaves out."""
_WORD = re.compile(rf"[{_SPACELESS}]+|(?:(?![{_SPACELESS}])[\w{_VOWELS}]){{2,}}")
_RUN = re.compile(rf"[{_SPACELESS}]")


def words(text: str) -> list[str]:
    """Return the lower-case words of two letters and more; text without spaces gives pairs of characters.

    `words("iPhone手机壳, a case")` is `["iphone", "手机", "机壳", "case"]`. Overlapping pairs need no
    dictionary and rank Chinese about as well as segmented words (J.-Y. Nie and F. Ren, "Chinese information
    retrieval: using characters or words?", Information Processing & Management 35(4), 1999). Letters are in
    Unicode's form NFKC, so that a word is one however it was typed or printed.
    """
    found: list[str] = []
    for piece in _WORD.findall(_plain(text)):
        if len(piece) > 1 and _RUN.match(piece):
            found += [piece[at : at + 2] for at in range(len(piece) - 1)]
        else:
            found.append(piece)
    return found


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    return _POINTS.sub("", unicodedata.normalize("NFKC", text).lower())
