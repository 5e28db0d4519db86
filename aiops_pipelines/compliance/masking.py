"""Personal data masked by the column: texts that cannot hold any are told apart at once, and left alone.

What personal data is, and what takes its place, is `privacy`'s business.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import polars as pl

from aiops_pipelines.compliance.national_ids import DIGITS, NAMED, SHAPES
from aiops_pipelines.compliance.privacy import REGIONS, mask, pseudonymised

Found = dict[int, Counter[str]]
"""What was masked, by row and type."""
_SECRETS = (
    "sk-", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
    "xox", "AIza", "eyJ", "earer ", "PRIVATE KEY", "sk_", "rk_", "hf_", "npm_", "pypi-", "SG.", "hooks.slack",
    "ya29.", "xapp-", "whsec_", "gsk_", "xai-", "pplx-", "nvapi-", "r8_", "lsv2_", "pcsk_", "dapi", "tvly-",
    "jina_", "dop_v1_",
)  # fmt: skip
_ASSIGNED = r"""(?i:passw(?:or)?d|pwd|secret|key|token|authorization)(?:\W|\\[nrt]){0,7}[:=]"""
_SIGNS = rf"[A-Za-z]{{2}}\d{{2}}|\d\.\d|:[0-9A-Fa-f]{{0,4}}:|{SHAPES}"
"""One of these stands in every IBAN, address of a machine, number of a card, and number of a person alone."""
_WORD = r"^[0-9A-Za-z_]*$"
_UUID = r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_NUMBER = r"^[0-9]+(?:x|ext)?[0-9]*$"
_CAPITALS = r"^[0-9A-Z]{9,18}$"


def masked_column(texts: pl.Series, regions: Sequence[str], found: Found) -> pl.Series:
    """Return the texts as `privacy.mask` leaves them; add to `found` what was masked."""
    return _changed(texts, _doubtful(texts), lambda text: mask(text, regions), found)


def pseudonymised_column(
    identifiers: pl.Series, key: bytes, found: Found, regions: Sequence[str] = REGIONS
) -> pl.Series:
    """Return the identifiers as `privacy.pseudonymised` leaves them; add to `found` what was masked."""
    doubtful = _doubtful(identifiers) & ~_plain_identifier(identifiers)
    return _changed(identifiers, doubtful, lambda text: pseudonymised(text, key, regions), found)


def _changed(
    texts: pl.Series, doubtful: pl.Series, change: Callable[[str], tuple[str, Counter[str]]], found: Found
) -> pl.Series:
    rows = doubtful.arg_true()
    if rows.is_empty():
        return texts
    known: dict[str, tuple[str, Counter[str]]] = {}
    places, values = [], []
    for row, text in zip(rows.to_list(), texts.gather(rows).to_list(), strict=True):
        if (done := known.get(text)) is None:
            done = known[text] = change(text)
        if done[1]:
            places.append(row)
            values.append(done[0])
            found.setdefault(row, Counter()).update(done[1])
    return texts.scatter(places, values) if places else texts


def _doubtful(texts: pl.Series) -> pl.Series:
    """Say which texts could hold personal data; of the others `mask` finds nothing in any."""
    signs = texts.str.contains_any(
        ["@", "\uff20", "%40", "at)", "at]", "at}", *_SECRETS]
    ) | texts.str.contains(_SIGNS)
    signs |= texts.str.contains(_ASSIGNED)
    numbered = (texts.str.contains(DIGITS) & ~signs).fill_null(False).arg_true()
    named = texts.gather(numbered).str.contains(NAMED)
    return signs.fill_null(False).scatter(numbered.filter(named), True)


def _plain_identifier(texts: pl.Series) -> pl.Series:
    """Say which are one word, or a UUID, that is no account number, telephone number or key.

    In one word of letters and digits only these can lie: a whole word of digits, or of digits and capitals as
    identity cards have it, one that begins like an IBAN, and keys, which begin with a name of their own.
    """
    word = (
        texts.str.contains(_WORD)
        & ~texts.str.contains(r"^[A-Za-z]{2}[0-9]{2}")
        & ~texts.str.contains(_NUMBER)
        & ~texts.str.contains(_CAPITALS)
    )
    return ((word & ~texts.str.contains_any(list(_SECRETS))) | texts.str.contains(_UUID)).fill_null(False)
