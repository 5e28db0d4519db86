"""The bytes of an entry have one reading: whatever two parsers could read differently is refused (A20)."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.leaf import LeafInvalid

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = TEXT.filter(lambda key: key != leaf.REPLACED)
INTEGERS = st.integers(1 - 2**53, 2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def test_canonical_bytes_by_hand():
    entry = {"b": [1, True, None], "a": "é\n", "A": {"z": -5, "y": ""}}
    assert leaf.encode(entry) == '{"A":{"y":"","z":-5},"a":"é\\n","b":[1,true,null]}'.encode()


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_every_entry_reads_back_and_a_second_parser_agrees(entry):
    data = leaf.encode(entry)
    assert leaf.decode(data) == entry == json.loads(data)
    assert leaf.encode(leaf.decode(data)) == data
    assert leaf.encode(dict(reversed(entry.items()))) == data


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.5, "entry.cost is a float: .* integer micro-units"),
        (float("nan"), "float"),
        (Decimal("0.1"), "Decimal"),
        (2**53, "stay below 2\\*\\*53"),
        (-(2**53), "stay below 2\\*\\*53"),
        ({"deep": [1, {"x": 1.0}]}, r"entry\.cost\.deep\[1\]\.x is a float"),
        ({1: "a"}, "a key that is not text"),
        (b"bytes", "bytes"),
    ],
)
def test_values_with_two_readings_are_not_written(value, reason):
    with pytest.raises(LeafInvalid, match=reason):
        leaf.encode({"cost": value})
    assert leaf.decode(leaf.encode({"cost": 2**53 - 1})) == {"cost": 2**53 - 1}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a":1,"a":2}', "a key twice"),
        (b'{"a":{"b":1,"b":1}}', "a key twice"),
        (b'{"a":1,"\\u0061":2}', "a key twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":1.5}', "only integers"),
        (b'{"a":1e3}', "only integers"),
        (b'{"a":1152921504606846976}', "2\\*\\*53"),
        (b'{"a":-9007199254740992}', "2\\*\\*53"),
        (b'{"a":' + b"9" * 5000 + b"}", "2\\*\\*53"),
        (b'{"a":"\\ud800"}', "lone surrogate"),
        (b'{"\\udc00":1}', "lone surrogate"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b'{"a":1', "not JSON"),
        (b'{"a":1}{}', "something follows at character 7"),
        (b'{"a":1} ', "something follows"),
        (b' {"a":1}', "not JSON"),
        (b"", "not JSON"),
        (b"[1]", "not an object"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"a":"' + b"x" * 65_535 + b'"}', "at most 65,535"),
    ],
)
def test_bytes_with_two_readings_are_not_read(data, reason):
    with pytest.raises(LeafInvalid, match=reason):
        leaf.decode(data)
    assert leaf.decode(b'{"a":1,"b":9007199254740991,"c":"\\ud83d\\ude00"}') == {
        "a": 1,
        "b": 2**53 - 1,
        "c": "\U0001f600",
    }


def test_a_lone_surrogate_is_replaced_and_flagged():
    data = leaf.encode({"text": "a\ud800b", "list": ["\udfff"], "k\ud900": 1})
    assert leaf.decode(data) == {"text": "a\ufffdb", "list": ["\ufffd"], "k\ufffd": 1, "_replaced": True}
    assert leaf.encode(leaf.decode(data)) == data
    assert "_replaced" not in leaf.decode(leaf.encode({"text": "a\ufffdb"}))
    with pytest.raises(LeafInvalid, match="become the same"):
        leaf.encode({"\ud800": 1} | {chr(0xD801): 2})


def test_the_flag_cannot_be_set_to_something_else():
    with pytest.raises(LeafInvalid, match="rename that key"):
        leaf.encode({"_replaced": "no"})


def test_composed_and_decomposed_text_stay_what_they_were():
    composed, decomposed = {"name": "\u00e9"}, {"name": "e\u0301"}
    assert leaf.encode(composed) != leaf.encode(decomposed)
    assert leaf.decode(leaf.encode(decomposed)) == decomposed


def test_a_leaf_of_65535_bytes_is_the_longest():
    room = 65_535 - len('{"a":""}')
    assert len(leaf.encode({"a": "x" * room})) == 65_535
    with pytest.raises(LeafInvalid, match="65,536 bytes"):
        leaf.encode({"a": "x" * (room + 1)})


def test_an_endless_entry_is_refused():
    entry: dict[str, object] = {}
    entry["self"] = entry
    with pytest.raises(LeafInvalid, match="nested too deeply"):
        leaf.encode(entry)
