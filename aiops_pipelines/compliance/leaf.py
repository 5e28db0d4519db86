"""The bytes of an audit-log entry: canonical JSON with one reading only.

A subset of I-JSON (RFC 7493): keys sorted by code point, no white space, UTF-8 as it stands, integers below
2**53, no floats. Text is evidence and is not normalised: "e" + combining accent stays two code points. The
one repair is a lone surrogate, which no UTF-8 can carry: it becomes U+FFFD and the entry says so with
`"_replaced": true`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

MAX_BYTES = 65_535  # an entry bundle of a tiled log gives a leaf's length 16 bits
MAX_INTEGER = 2**53
REPLACED = "_replaced"
_SURROGATE = re.compile("[\ud800-\udfff]")


class LeafInvalid(ValueError):
    """An entry that has no canonical bytes, or bytes that are not one entry; the message says why."""


def well_formed(text: str) -> str:
    """The text with every lone surrogate replaced by U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def encode(entry: Mapping[str, Any]) -> bytes:
    """The canonical bytes of an entry, at most 65,535.

    Values are text, integers, booleans, None, and lists or mappings of these; raises LeafInvalid otherwise.
    Example: `encode({"b": 1, "a": "x"}) == b'{"a":"x","b":1}'`.
    """
    if entry.get(REPLACED, True) is not True:
        raise LeafInvalid(f'"{REPLACED}" is set by the log itself: rename that key of the entry.')
    try:
        text = canonical(_plain(entry, "entry"))
        if _SURROGATE.search(text):
            text = well_formed(canonical(_replaced(entry) | {REPLACED: True}))
    except RecursionError:
        raise LeafInvalid("The entry is nested too deeply: flatten it.") from None
    data = text.encode()
    if len(data) > MAX_BYTES:
        raise LeafInvalid(
            f"The entry has {len(data):,} bytes and a leaf at most {MAX_BYTES:,}: store the long value "
            "elsewhere and log its hash."
        )
    return data


def decode(data: bytes) -> dict[str, Any]:
    """The entry in these bytes; raises LeafInvalid wherever two JSON parsers could read different things."""
    if len(data) > MAX_BYTES:
        raise LeafInvalid(f"The leaf has {len(data):,} bytes and may have at most {MAX_BYTES:,}.")
    try:
        text = data.decode()
        entry, end = _DECODER.raw_decode(text)
        if b"\\u" in data:
            canonical(entry).encode()
    except UnicodeError:
        raise LeafInvalid("The leaf is not valid UTF-8 text or holds a lone surrogate.") from None
    except RecursionError:
        raise LeafInvalid("The leaf is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise LeafInvalid(f"The leaf is not JSON: {error}.") from None
    if end < len(text):
        raise LeafInvalid(f"The leaf is not JSON alone: something follows at character {end}.")
    if not isinstance(entry, dict):
        raise LeafInvalid("The leaf is JSON but not an object.")
    return entry


def canonical(value: Any) -> str:
    """The canonical text of a value that is known to be clean, such as one out of a decoded leaf."""
    return _ENCODER.encode(value)


def _plain(value: Any, where: str) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int():
            if abs(value) >= MAX_INTEGER:
                raise LeafInvalid(
                    f"{where} is {value}: integers stay below 2**53, write larger ones as text."
                )
            return value
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise LeafInvalid(f"{where} has a key that is not text.")
            return {key: _plain(each, f"{where}.{key}") for key, each in value.items()}
        case list() | tuple():
            return [_plain(each, f"{where}[{position}]") for position, each in enumerate(value)]
        case _:
            raise LeafInvalid(
                f"{where} is a {type(value).__name__}: a leaf holds text, integers, booleans and None; write "
                "a number in integer micro-units and a time as text."
            )


def _replaced(value: Any) -> Any:
    match value:
        case str():
            return well_formed(value)
        case Mapping():
            clean = {well_formed(key): _replaced(each) for key, each in value.items()}
            if len(clean) < len(value):
                raise LeafInvalid("Two keys become the same once their lone surrogates are replaced.")
            return clean
        case list() | tuple():
            return [_replaced(each) for each in value]
        case _:
            return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        raise LeafInvalid("The leaf has a key twice: which value counts would depend on the parser.")
    return entry


def _integer(digits: str) -> int:
    if len(digits) < 16:
        return int(digits)
    value = int(digits) if len(digits) <= 17 else MAX_INTEGER
    if abs(value) >= MAX_INTEGER:
        raise LeafInvalid(
            f"The leaf holds the integer {digits[:40]}: not every parser keeps 2**53 and above."
        )
    return value


def _no_number(digits: str) -> NoReturn:
    raise LeafInvalid(f"The leaf holds the number {digits[:40]}: only integers have one reading.")


_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_no_number, parse_constant=_no_number
)
