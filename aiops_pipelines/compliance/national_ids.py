"""Numbers by which states know people: taken by their own form and check digits, or by the name before them.

Forms that nothing else has stand alone. Numbers that look like any other, as nine digits do, are taken only
behind a name such as "BSN" or "passport number", and there without a look at their check digits: a mistyped
number is a person's still.
"""

import re
from collections.abc import Callable, Iterator

from stdnum.be import nn
from stdnum.br import cpf
from stdnum.ch import ssn
from stdnum.cn import ric
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.in_ import pan
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.se import personnummer

Span = tuple[int, int]

_YEAR = "(?:[3-9]|0)[0-9]"
"""Of birth, 1930 to 2009: order numbers that begin with the date of a later day look alike."""
_DAY = "20[0-3][0-9](?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
"""With a letter behind it more often a build or a batch than a person, who has one such number in 7,000."""
_FORMS: tuple[tuple[str, Callable[[str], object]], ...] = (
    # Belgium, Brazil, Switzerland, China
    (r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", nn.is_valid),
    (r"\d{3}\.\d{3}\.\d{3}-\d\d", cpf.is_valid),
    (r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d", ssn.is_valid),
    (r"[1-8]\d{16}[\dXx]", ric.is_valid),
    # Spain, Finland, France
    (rf"(?!{_DAY})\d{{8}}-?[A-Z]", dni.is_valid),
    (r"[XYZ]-?\d{7}-?[A-Z]", nie.is_valid),
    (rf"\d{{4}}{_YEAR}[-+A-FYXWVU]\d{{3}}[0-9A-Y]", hetu.is_valid),
    (r"[12] ?\d\d ?(?:0[1-9]|1[0-2]|20|3\d|4[0-2]|[5-9]\d) ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d", nir.is_valid),
    # India (of persons), Italy, South Korea, Mexico, Sweden
    (r"[A-Z]{3}P[A-Z]\d{4}[A-Z]", pan.is_valid),
    (r"[A-Z]{6}[0-9A-Z]{2}[A-Z][0-9A-Z]{2}[A-Z][0-9A-Z]{3}[A-Z]", codicefiscale.is_valid),
    (rf"{_YEAR}\d{{4}}-\d{{7}}", rrn.is_valid),
    (r"[A-Z]{4}\d{6}[A-Z]{6}[0-9A-Z]\d", curp.is_valid),
    (r"(?:19[3-9]|200|[3-9]|0)\d{5}[-+]\d{4}", personnummer.is_valid),
    # the United Kingdom's National Insurance number has no check digit but a strict form
    (r"(?!BG|GB|K[NZ]|[NT][KNT]|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]", bool),
)
_BEFORE, _AFTER = r"(?<![0-9A-Za-z_])", r"(?![0-9A-Za-z_])"


def _alone(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![0-9A-Za-z_.+@/-])(?:{form})(?![0-9A-Za-z_@/-]|[.,]\d)", re.ASCII)


_ANY = _alone("|".join(form for form, _ in _FORMS))
"""An eighth of the time of all of them, one after the other; and few texts have any."""
_ALONE = [(_alone(form), is_valid) for form, is_valid in _FORMS]
_NO_NUMBER = (
    r"(?!(?:(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:(?:19|20)\d\d|\d\d))(?![\d./-])"
    r"|\d+\.\d+(?![\d.])|\d{1,4}-\d{3,4}(?![\d-]))"
)
"""Dates, decimals and ranges, as of a passport that ends, a sine or a near-infrared band."""
_NAMES = (
    "AHV|AVS|BSN|CNP|CPF|CPR|CURP|DNI|IRD|IdNr|NHS|NIE|NIF|NINO|NIR|OIB|PESEL|PPSN?|RRN|RUT|SIN|SVNR|TFN"
    "|(?i:national insurance|national id|social insurance|tax file|tax id|taxpayer id|identity card|id card"
    "|passport|driv(?:er['\u2019]?s|ing) licen[cs]e|aadhaa?r|steuer-?id|reisepass|(?:personal)?ausweis"
    "|s[ée]curit[ée] sociale|seguridad social|carte d['\u2019]identit[ée]|passeport|pasaporte|codice fiscale"
    "|kimlik|rodn[ée] [čc][íi]slo)"
)
_IDENTIFICATION = "identi(?:fication|ty)"
_BEFORE_NUMBER = (
    "identitets|burgerservice|steueridentifikations?|(?:sozial|renten)versicherungs?|f[øo]dsels|person"
)
"""Words that name a person's number with "number" behind them only."""
_EASTERN = "マイナンバー|個人番号|身份證|身份证|護照|护照"
_SAID = re.compile(
    rf"{_BEFORE}(?:(?:{_NAMES}"
    rf"|(?i:(?:(?<!vat )(?<!vehicle )(?<!device )(?<!employer )(?<!bank ){_IDENTIFICATION}|{_BEFORE_NUMBER})"
    r"(?=[- ]?(?:number|nummer))))"
    r"(?:[- ]?(?i:numbers?|nummer|n[uú]m[eé]ro|card|code|nr\.?|no\.?)){0,2}"
    r"(?: (?:is|ist|lautet|est|es|é|è))?[:#= ]{1,3}"
    rf"|(?:{_EASTERN})(?:号码|號碼)?[:\uff1a#= は是]{{0,3}})"
    rf"{_NO_NUMBER}"
    r"((?:[A-Z]{1,3}[ -]?|[a-z]{1,3})?\d(?:[ ./-]?\d){5,14}(?:[ -]?[A-Za-z](?: ?\d{3})?)?"
    rf"|(?=(?:[A-Z]*\d){{6}})[A-Z\d]{{7,18}}){_AFTER}",
    re.ASCII,
)
"""Names that are words of their own too count before "number" alone."""
DIGITS = r"(?s:\d(?:.{0,3}\d){5})|\d[A-Z]{4,16}\d"
"""One of these stands in every number behind a name."""
NAMED = rf"{_NAMES}|(?i:{_IDENTIFICATION}|{_BEFORE_NUMBER})|{_EASTERN}".replace(" ", ".").replace("-?", ".?")
"""The names, where blanks and hyphens may be of any kind."""
SHAPES = (
    r"(?s:\d(?:.{0,3}\d){6})|[A-Z]\d{4}[A-Z]|[A-Z].?\d\d.?\d\d.?\d\d.?[A-Z]"
    r"|[A-Z]{6}[0-9A-Z]{2}[A-Z][0-9A-Z]{2}[A-Z][0-9A-Z]{3}[A-Z]"
)
"""One of these stands in every number that is taken without a name."""


def national_ids(text: str) -> Iterator[Span]:
    """Yield where national identity numbers stand in a text, in order and without overlap.

    Worked example: 12345678Z is a Spanish DNI, for 12345678 leaves 14 when divided by 23, which is Z;
    12345678A is none.
    """
    spans = {match.span(1) for match in _SAID.finditer(text)}
    for form, is_valid in _ALONE if _ANY.search(text) else ():
        spans |= {match.span() for match in form.finditer(text) if _holds(is_valid, match[0])}
    end = 0
    for start, stop in sorted(spans):
        if start >= end:
            yield start, stop
            end = stop


def _holds(is_valid: Callable[[str], object], number: str) -> bool:
    try:
        return bool(is_valid(number))
    except LookupError:  # stdnum's table of Chinese counties has none for some provinces
        return False
