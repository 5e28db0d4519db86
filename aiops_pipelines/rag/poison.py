"""Documents made against an index or a model: what betrays their text, and when that is enough to hold one.

What betrays them in the rankings is `crowding`. A document that says false things about its own topic cannot
be told from a true one and is not looked for.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

HELD, NOTED, RELEASED, GONE = "held", "noted", "released", "gone"
"""What becomes of a finding: gone is one whose document was changed again or deleted while it was held."""
HIDDEN_CHARACTERS = 16
STUFFED_WORDS = 60
STUFFED_SHARE = 0.03
SHOWN = 80

_TAGS = re.compile("[\U000e0020-\U000e007e]{2,}")
"""Letters of the Unicode block Tags are read by models alone."""
_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a]{3,6}\U000e007f")
"""A black flag, the letters of a region and the sign that ends them: the one good use of tags."""
_ZERO_WIDTH = re.compile(
    "[\u200b\u200c\u200d\u2060-\u2064\ufeff]{8,}|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}"
)
_OVERRIDE = re.compile("[\u202d\u202e]")
_UNSEEN = re.compile(
    "[\u200b-\u200d\u202d\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff\U000e0020-\U000e007e\U000e0100-\U000e01ef]"
)
"""A letter of any of them: looking for one takes a twentieth of the time."""
_ADDRESSED = r"(?:ai|llm|language model|assistant|chatbot|chat bot|model)s?"
_INSTRUCTIONS = (
    (
        (
            ("ignore", "disregard", "forget", "override"),
            ("instruction", "prompt", "rules", "guidelines", "document", "context", "sources"),
        ),
        r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,30}\b(?:previous|prior|above|earlier|other|all|your)\b"
        r"[^.\n]{0,30}\b(?:instructions?|prompts?|rules|guidelines|documents?|context|sources)\b",
    ),
    (
        (
            ("ai:", "llm", "language model", "assistant", "chatbot", "chat bot", "model:", "models:"),
            ("note", "instruction", "message", "attention"),
        ),
        r"\b(?:note|instructions?|message|attention)\b[^.\n]{0,12}\b(?:to|for)\b[^.\n]{0,12}"
        rf"\b{_ADDRESSED}\b\s*:",
    ),
    (
        (("the user",), ("tell", "reveal", "mention", "inform", "show"), ("do not", "don't", "never")),
        r"\b(?:do not|don't|never)\b[^.\n]{0,20}\b(?:tell|reveal|mention|inform|show)\b[^.\n]{0,30}"
        r"\bthe user\b",
    ),
    (
        (
            ("regardless", "whatever", "no matter", "instead of", "question", "user"),
            ("always", "must"),
            ("answer", "respond", "reply", "recommend"),
        ),
        r"\b(?:always|must)\b[^.\n]{0,30}\b(?:answer|respond|reply|recommend)\b[^.\n]{0,40}"
        r"\b(?:regardless|whatever|no matter|instead of|to (?:any|every|all) (?:questions?|users?))\b",
    ),
    (
        (("you are now", "you are no longer"),),
        r"\byou are (?:now|no longer)\b[^.\n]{0,40}\b(?:assistant|model|ai|bound|restricted|bot)\b",
    ),
    ((("<|", "|>", "im_start", "[inst]", "[/inst]"),), r"<\|?(?:im_start|system|endoftext)\|?>|\[/?inst\]"),
    ((("system prompt", "system message"),), r"^#{0,3} ?system (?:prompt|message) ?:"),
)
_Speaking = tuple[tuple[tuple[str, ...], ...], re.Pattern[str]]
_SPEAKING: tuple[_Speaking, ...] = tuple(
    (groups, re.compile(pattern, re.MULTILINE)) for groups, pattern in _INSTRUCTIONS
)
"""Each with groups of words, of each of which one must be there: finding them is ten times as fast."""
_SMALL_WORDS = (
    "a an the and or of to in on for with at by from is are was be it this that you your if not can will "
    "der die das und oder zu mit von ist nicht ein eine den im auf sie wenn le la les des de du et un une "
    "est que qui dans pour pas el los las y en es con por una no se il di che e per non"
)
_NO_PROSE = re.compile(r"^\s*([-*+|>#]|\d+\.|```)|[{}()=<>;`_/]", re.MULTILINE)
_COMMON_IN_CODE = "`(_/="
_FUNCTION_WORDS = frozenset(_SMALL_WORDS.split())
_FREQUENT = (" the ", " to ", " a ", " of ", " and ", " is ", " in ")


@dataclass(frozen=True)
class Sign:
    """Something that betrays a document: a strong one is enough to hold it, a weak one takes a second."""

    kind: str
    strong: bool
    evidence: str


def text_signs(texts: Iterable[str]) -> list[Sign]:
    """Return what betrays the new pieces of a document, each kind once.

    Hidden letters are strong, since no author types them. Words addressed to a model and word lists are weak:
    a page about prompt injection, or a glossary, has them too.
    """
    found: dict[str, Sign] = {}
    pieces = list(texts)
    possible = _possible(_folded("\n".join(pieces)))  # a piece has no word that the whole has not
    for text in pieces:
        for sign in (*_hidden(text), *_instructions(text, possible), *_stuffed(text)):
            found.setdefault(sign.kind, sign)
    return list(found.values())


def judged(signs: Sequence[Sign]) -> str | None:
    """Return held, noted or nothing: one strong sign or two weak ones hold a document."""
    if any(sign.strong for sign in signs) or len(signs) > 1:
        return HELD
    return NOTED if signs else None


def _hidden(text: str) -> Iterator[Sign]:
    if text.isascii() or not _UNSEEN.search(text):
        return
    letters = "".join(_TAGS.findall(_FLAG.sub("", text)))
    bare = len("".join(_ZERO_WIDTH.findall(text)))
    if letters:
        plain = "".join(chr(ord(letter) - 0xE0000) for letter in letters)
        yield Sign("hidden text", True, f"It hides {len(letters)} letters in Unicode tags: {_quoted(plain)}")
    elif bare >= HIDDEN_CHARACTERS:
        yield Sign("hidden text", True, f"It holds {bare} characters without width in long runs.")
    elif _OVERRIDE.search(text):
        yield Sign("reversed text", False, "It turns the direction of text, so that people read other words.")


def _folded(text: str) -> str:
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).lower()


def _possible(folded: str) -> list[_Speaking]:
    """Return the patterns whose words are all there, each with the words that are."""
    found = []
    for groups, pattern in _SPEAKING:
        present: list[tuple[str, ...]] = []
        for words in groups:
            present.append(tuple(word for word in words if word in folded))
            if not present[-1]:
                break
        else:
            found.append((tuple(present), pattern))
    return found


def _instructions(text: str, among: Sequence[_Speaking]) -> Iterator[Sign]:
    folded = _folded(text) if among else ""
    for groups, pattern in among:
        if not all(any(map(folded.__contains__, words)) for words in groups):
            continue
        if seen := pattern.search(folded):
            yield Sign("instructions", False, f"It speaks to a model: {_quoted(seen[0])}")
            return


def _stuffed(text: str) -> Iterator[Sign]:
    """Look for prose without any of the small words that prose is made with; code and tables are no prose."""
    for paragraph in text.split("\n\n"):
        if len(paragraph) < STUFFED_WORDS * 2 or any(map(paragraph.__contains__, _COMMON_IN_CODE)):
            continue
        if not paragraph.isascii():
            continue
        # Of n characters at most half are words, so this many small ones are enough, without looking further.
        if sum(map(paragraph.count, _FREQUENT)) >= STUFFED_SHARE * (len(paragraph) + 1) / 2:
            continue
        words = re.findall(r"[a-z]+", paragraph.lower())
        small = sum(word in _FUNCTION_WORDS for word in words)
        if len(words) < STUFFED_WORDS or small >= STUFFED_SHARE * len(words) or _NO_PROSE.search(paragraph):
            continue
        said = f"{len(words)} words in a row make no sentence: {_quoted(paragraph)}"
        yield Sign("word list", False, said)
        return


def _quoted(text: str) -> str:
    flat = " ".join(text.split())
    return f'"{flat}".' if len(flat) <= SHOWN else f'"{flat[:SHOWN]} ...".'
