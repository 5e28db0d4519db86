"""Personal data and secrets in text: found by form and checksum, and replaced by their type.

What has a form is found: addresses, numbers, keys. Names and street addresses have none and are not found.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import phonenumbers

from aiops_pipelines.compliance.commitment import pseudonym
from aiops_pipelines.compliance.national_ids import DIGITS, SHAPES, national_ids

REGIONS = ("US", "GB", "DE", "FR")
"""Countries whose national phone numbers are recognised; numbers with a +country code always are."""
SHORTEST_NATIONAL = 9
"""Digits; shorter numbers are more often order numbers, postcodes and amounts."""
Span = tuple[int, int]

_SPACES = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
_PLAIN = str.maketrans(dict.fromkeys(_SPACES, " ") | dict.fromkeys(_DASHES, "-"))
_PLAIN |= {0xFF10 + digit: str(digit) for digit in range(10)} | {0xFF20: "@"}
"""Signs that word processors, web pages and keyboards of East Asia put in the place of plain ones."""
_ESCAPED = re.compile(r"\\{1,8}[nrt]|(\\{1,8})[\"']|%40|%2[Bb]| ?[\[({](?:(at)|dot)[\])}] ?")
_ESCAPES = ("\\", "%", "at)", "at]", "at}", "dot)", "dot]", "dot}")
"""JSON in a JSON text, as arguments of tools are, the query of an address, and jane (at) example.com."""
_EMAIL = re.compile(r"[\w.%+'-]{1,64}@(?:[\w-]{1,63}[.\uff0e]){1,8}[^\W\d_]{2,24}")
_SECRET = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?=[\w-]{0,200}\d)[\w-]{16,}|(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|AIza[\w-]{35}"
    r"|eyJ[\w-]{8,4096}+\.eyJ[\w-]{8,}\.[\w-]*"
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{50,}"
    r"|ya29\.[\w-]{20,}|xapp-[\w-]{20,}|whsec_[A-Za-z0-9+/]{20,}={0,2}"
    r"|gsk_[A-Za-z0-9]{20,}|(?:xai|pplx)-[A-Za-z0-9]{20,}|(?:nvapi|tvly)-(?=[\w-]{0,200}\d)[\w-]{20,}"
    r"|r8_[A-Za-z0-9]{20,}|lsv2_(?:pt|sk)_[0-9a-f_]{32,}|pcsk_[A-Za-z0-9_]{40,}|dapi[0-9a-f]{32}"
    r"|jina_[0-9a-f]{32}[\w-]*|dop_v1_[0-9a-f]{32,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|hooks\.slack\.com/services/[\w/]{20,}"
    r"|(?<=[Bb]earer )(?=[\w.~+/-]*\d)[\w.~+/-]{16,}=*"
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]{0,8192}(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?)"
)
"""What may fail far from its start is bounded: a text of many starts would take the square of its length."""
_ASSIGNED = re.compile(
    r"(?i:passw(?:or)?d|pwd|secret|api[_-]?key|access[_-]?key|account[_-]?key|(?:access|auth)[_-]?token)"
    r"[\"']{0,4}[ \t]{0,3}[:=][ \t]{0,3}[\"']{0,4}"
    r"(?=[^\s\"',;]{0,40}\d)(?=[^\s\"',;]{0,40}[A-Za-z])([^\s\"',;\[\]]{8,200})"
)
"""What stands behind a name that says secret, with a digit and a letter in it."""
_AUTHORIZATION = re.compile(
    r"(?i:authorization[\"']{0,4}[ \t]{0,3}[:=][ \t]{0,3}[\"']{0,4}basic) ([A-Za-z0-9+/]{8,}={0,2})"
)
_IN_ADDRESS = re.compile(r"(?<=://)[^\s/?#:@\[\]]{0,64}:([^\s/?#@\[\]]{3,128})@")
"""The password in the address of a database or a server."""
_IBAN = re.compile(
    r"(?<!\w)(?<!pseudonym-)[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?(?!\w)"
)
_CARD = re.compile(r"(?<![\w.+])(?<!\d-)\d(?:[ -]?\d){11,18}(?!\w|-\d|\.\d)")
_CARD_ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3[0689]\d{12,17}|35\d{14,17}"
    r"|(?:1800|2131)\d{11}|5[0678]\d{10,17}|6\d{11,18}"
)
"""First digits and lengths: Visa, Mastercard, American Express, Diners Club, JCB, Maestro, Discover."""
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?!\w|-\w)")
_SSN_SAID = re.compile(
    r"(?i:\bSSN|\bsocial security(?: number| no\.?)?)(?: is)?[:# ]{1,3}"
    r"((?!000|666|9)\d{3}[- ]?\d{2}[- ]?\d{4})(?![\w-])"
)
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\w)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_PHONE = re.compile(
    r"(?<![\w.@#$€£])(?<!\d[-/:,])[+(]?\d(?:[ \u00a0().\-/]{0,3}\d){6,16}"
    r"(?: ?(?:x|ext\.?) ?\d{1,6})?(?![\w@%€£$]|[-:,/.]\d)"
)
_EXTENSION = re.compile(r" ?(?:x|ext\.?) ?\d{1,6}$")
_NORTH_AMERICAN = re.compile(r"\(?\d{3}\)?[-. ]?\d{3}[-. ]\d{4}")
_ANNOUNCED = re.compile(
    r"\b(?:(?:tele)?phone|tel|mobile|cell|fax|whatsapp|(?:call|reach|text|ring|phone)(?: me| us)?(?: back)?)"
    r"(?: (?:no\.?|number))?(?: (?:is|at|on))?[:. ]{0,3}\+?$",
    re.IGNORECASE,
)
_NO_NUMBER = re.compile(
    r"(?=[\da-fA-F$€£])(?:"  # first, for most characters end here
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?<!\d)\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?(?!\d)"
    r"|(?<!\d)\d{1,2}([./-])\d{1,2}\1(?:19|20)\d{2}(?!\d)"
    r"|(?P<in_year>(?<![\d+(/-])(?:19|20)\d{2}[-/]\d{4,7}(?![\d/-]))"
    r"|[$€£] ?\d[\d,.']*"
    r"|(?<![\d+])(?:\d{1,3}(?:[,.' ]\d{3})+|\d+)(?:[.,]\d{1,2})? ?(?:€|(?:EUR|USD|GBP|CHF|dollars?|euros?)\b)"
    r"|(?<![\d.+])\d+\.\d+(?![\d.])"
    r"|(?<!\d)\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d))"
)
"""UUIDs, dates, times, numbers within a year, decimals and money: never taken for a number of a person."""


def mask(text: str, regions: Sequence[str] = REGIONS) -> tuple[str, Counter[str]]:
    """Replace personal data by its type in brackets and count it by type; a masked text stays as it is.

    Types: EMAIL, SECRET, IBAN (checksum mod 97), NATIONAL_ID, CREDIT_CARD (Luhn), US_SSN, IP, PHONE.

    Worked example: "mail jane@example.com" is ("mail [EMAIL]", {"EMAIL": 1}).
    """
    found: Counter[str] = Counter()
    while hits := _pass(text, regions, found):
        text = hits
    return text, found


def pseudonymised(identifier: str, key: bytes, regions: Sequence[str] = REGIONS) -> tuple[str, Counter[str]]:
    """Return an identifier, or in its place a keyed pseudonym where it holds personal data.

    The same identifier always gets the same pseudonym.

    Args:
        identifier: for example a user id, which some applications make from an e-mail address.
        key: secret of 32 bytes or more.
        regions: as for `mask`.
    """
    found = mask(identifier, regions)[1]
    return (f"pseudonym-{pseudonym(key, identifier).hex()[:32]}" if found else identifier), found


def luhn(digits: str) -> bool:
    """Check a card number's last digit (ISO/IEC 7812-1): 4111111111111111 holds, ...1112 does not."""
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def mod97(iban: str) -> bool:
    """Check an IBAN without spaces (ISO 13616): turned by four, in base 36, its remainder by 97 is 1."""
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def _pass(text: str, regions: Sequence[str], found: Counter[str]) -> str | None:
    """Mask once with every detector; None if none of them finds anything."""
    before = found.total()
    if "@" in (plain := _plain(text)):
        text = _replaced(text, "SECRET", (m.span(1) for m in _IN_ADDRESS.finditer(text)), found)
        plain = _plain(text)
        text = _replaced(text, "EMAIL", (m.span() for m in _EMAIL.finditer(plain)), found)
    text = _replaced(text, "SECRET", (m.span() for m in _SECRET.finditer(_unescaped(text))), found)
    if ":" in text or "=" in text:
        for named in (_AUTHORIZATION, _ASSIGNED):
            text = _replaced(text, "SECRET", (m.span(1) for m in named.finditer(_unescaped(text))), found)
    for name, (worth_it, detect) in _DETECTORS.items():
        if worth_it.search(plain := _plain(text)):
            text = _replaced(text, name, detect(plain), found)
    if _SEVEN_DIGITS.search(plain := _plain(text)):
        text = _replaced(text, "PHONE", _phones(plain, regions), found)
    return text if found.total() > before else None


def _plain(text: str) -> str:
    """Return the text with plain spaces, hyphens and digits, every character in its place."""
    text = _unescaped(text)
    return text if text.isascii() else text.translate(_PLAIN)


def _unescaped(text: str) -> str:
    """Return the text with what escapes stand for, every other character in its place."""
    return _ESCAPED.sub(_sign, text) if any(sign in text for sign in _ESCAPES) else text


def _sign(match: re.Match[str]) -> str:
    """Return as many characters as an escape has, which read as what it stands for."""
    escape = match[0]
    if match[1]:
        return escape[-1] * len(escape)
    if escape[0] == "\\":
        return " " * len(escape)
    if escape in ("%2B", "%2b"):
        return "  +"
    return ("@" if match[2] or escape == "%40" else ".").rjust(len(escape), "_")


def _replaced(text: str, name: str, spans: Iterator[Span], found: Counter[str]) -> str:
    parts, end = [], 0
    for start, stop in spans:
        parts += [text[end:start], f"[{name}]"]
        found[name] += 1
        end = stop
    return "".join([*parts, text[end:]]) if parts else text


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        # Words may follow in the same rhythm: the longest start that holds is the number.
        groups = match[0].split(" ")
        for size in range(len(groups), 0, -1):
            candidate = " ".join(groups[:size])
            plain = candidate.replace(" ", "")
            if 15 <= len(plain) <= 34 and plain.isascii() and mod97(plain):
                yield match.start(), match.start() + len(candidate)
                break


def _cards(text: str) -> Iterator[Span]:
    for match in _CARD.finditer(_without_other_numbers(text)):
        digits = re.sub("[ -]", "", match[0])
        if _CARD_ISSUERS.fullmatch(digits) and len(set(digits)) > 1 and luhn(digits):
            yield match.span()


def _ssns(text: str) -> Iterator[Span]:
    spans = {match.span() for match in _SSN.finditer(text)}
    yield from sorted(spans | {match.span(1) for match in _SSN_SAID.finditer(text)})


def _addresses(text: str) -> Iterator[Span]:
    candidates = [m.span() for pattern in (_IPV4, _IPV6) for m in pattern.finditer(text)]
    for start, stop in sorted(candidates):
        candidate = text[start:stop]
        try:
            address = ipaddress.ip_address(candidate)
        except ValueError:
            continue
        longest = max(map(len, candidate.split(":")))
        if not (address.is_loopback or address.is_unspecified) and ("." in candidate or longest >= 3):
            yield start, stop


def _phones(text: str, regions: Sequence[str]) -> Iterator[Span]:
    for match in _PHONE.finditer(_without_other_numbers(text)):
        if _announced(text, match.start()) or _is_phone(_EXTENSION.sub("", match[0]), regions):
            yield match.span()


def _announced(text: str, start: int) -> bool:
    return bool(_ANNOUNCED.search(text, max(start - 40, 0), start))


def _is_phone(candidate: str, regions: Sequence[str]) -> bool:
    if candidate.startswith("+"):
        return _holds(phonenumbers.is_possible_number, candidate, None)
    if "US" in regions and _NORTH_AMERICAN.fullmatch(candidate):
        return True
    digits = re.sub(r"\D", "", candidate)
    return len(digits) >= SHORTEST_NATIONAL and any(
        # Without the 0 that is dialled before it, any ten digits are a number somewhere in Germany.
        (digits[0] == "0" or phonenumbers.ndd_prefix_for_region(region, True) != "0")
        and _holds(phonenumbers.is_valid_number, candidate, region)
        for region in regions
    )


def _holds(check: Callable[[phonenumbers.PhoneNumber], bool], candidate: str, region: str | None) -> bool:
    try:
        return check(phonenumbers.parse(candidate, region))
    except phonenumbers.NumberParseException:
        return False


def _without_other_numbers(text: str) -> str:
    """Blank out what only looks like a number of a person, keeping every position."""

    def blank(match: re.Match[str]) -> str:
        # "tel 2026-7654321" is a number of a person, "invoice 2026-000123" is not.
        announced = match["in_year"] and _announced(text, match.start())
        return match[0] if announced else "x" * len(match[0])

    return _NO_NUMBER.sub(blank, text)


_SEVEN_DIGITS = re.compile(r"\d(?:\W{0,3}\d){6}")
_DETECTORS: dict[str, tuple[re.Pattern[str], Callable[[str], Iterator[Span]]]] = {
    "IBAN": (re.compile(r"[A-Za-z]{2}\d{2}"), _ibans),
    "NATIONAL_ID": (re.compile(f"{DIGITS}|{SHAPES}"), national_ids),
    "CREDIT_CARD": (re.compile(r"\d(?:[ -]?\d){11}"), _cards),
    "US_SSN": (re.compile(r"\d{3}[- ]?\d\d[- ]?\d{4}"), _ssns),
    "IP": (re.compile(r"\d\.\d|:[0-9A-Fa-f]{0,4}:"), _addresses),
}
"""By type: what a text must hold to be worth the search, and the search; in this order."""
TYPES = ("EMAIL", "SECRET", *_DETECTORS, "PHONE")
"""Of what is masked, in the order in which it is looked for."""
