"""Words of a text for keyword search, in scripts with and without spaces between them.

Stems and stop words are the ranker's business.
"""

import re

_SPACELESS = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\uac00-\ud7af\uff66-\uff9f"  # Hangul, kana
    "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_WORD = re.compile(rf"[{_SPACELESS}]+|(?:(?![{_SPACELESS}])\w){{2,}}")
_RUN = re.compile(rf"[{_SPACELESS}]")


def words(text: str) -> list[str]:
    """Return the lower-case words of two letters and more; text without spaces gives pairs of characters.

    `words("iPhone手机壳, a case")` is `["iphone", "手机", "机壳", "case"]`. Overlapping pairs need no
    dictionary and rank Chinese about as well as segmented words (J.-Y. Nie and F. Ren, "Chinese information
    retrieval: using characters or words?", Information Processing & Management 35(4), 1999).
    """
    found: list[str] = []
    for piece in _WORD.findall(text.lower()):
        if len(piece) > 1 and _RUN.match(piece):
            found += [piece[at : at + 2] for at in range(len(piece) - 1)]
        else:
            found.append(piece)
    return found
