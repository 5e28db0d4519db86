"""Lines out of bytes, and values out of lines that were written to break the reader."""

import json
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.inference_log.lines import (
    CACHED_BYTES,
    DEPTH_LIMIT,
    Block,
    Lines,
    depth,
    is_document,
    parse,
)
from aiops_pipelines.inference_log.record import RecordError


def numbered(lines):
    return [line for block in lines.blocks() for line in block.numbered()]


@given(
    st.lists(st.binary(max_size=20)),
    st.binary(max_size=20) | st.sampled_from([b"{}", b"\n {}", b"{} ", b"{"]),
)
def test_lines_do_not_depend_on_how_the_bytes_are_cut(pieces, end):
    whole = b"".join(pieces) + end
    *complete, torn = whole.split(b"\n")
    if torn.strip() == b"{}":  # a whole object is a line without an end, too
        complete, torn = [*complete, torn], b""
    lines = Lines([*pieces, end])
    assert numbered(lines) == [(i, line) for i, line in enumerate(complete, 1) if line.strip()]
    assert (lines.torn, lines.waiting_bytes) == (torn, len(torn))
    assert lines.bytes_read + lines.waiting_bytes == len(whole)
    assert lines.number == len(complete)


@given(st.lists(st.sampled_from([b"a", b"\n", b"a\nb", b"\na\n\nb\n"])), st.integers(1, 4))
def test_blocks_end_behind_each_so_many_lines(pieces, every):
    lines = Lines([b"ab\n", *pieces], first=3, every=every)
    read = [(block.first, block.lines, block.content, lines.bytes_read) for block in lines.blocks()]
    whole = b"".join(content for _, _, content, _ in read)
    assert whole == b"".join([b"ab\n", *pieces])[: len(whole)]
    sizes = [len(content) for _, _, content, _ in read]
    assert [size for *_, size in read] == list(accumulate(sizes))
    assert [first for first, *_ in read] == [3 + sum(n for _, n, _, _ in read[:i]) for i in range(len(read))]
    ends = {first + count - 3 for first, count, _, _ in read}
    assert ends >= {*range(every, lines.number - 1, every)}


def test_lines_are_found_in_more_than_the_cache_holds():
    content = b"".join(b"x" * (i % 900) + b"\n" for i in range(1_500))
    assert len(content) > 2 * CACHED_BYTES
    starts = [0, *Block(content).ends.tolist()]
    assert [content[a:b] for a, b in pairwise(starts)] == content.splitlines(keepends=True)


def test_a_long_line_is_cut_and_the_next_one_is_whole():
    lines = Lines([b"ab", b"cdefgh", b"i\nxy\nlast"], first=5, limit=3)
    assert numbered(lines) == [(5, b"abcd"), (6, b"xy")]
    assert (lines.torn, lines.waiting_bytes, lines.bytes_read) == (b"last", 4, 13)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a": 1', "not JSON"),
        (b'{"a": "\x00"}', "not JSON"),
        (b'{"a": "\xff"}', r"not UTF-8 \(byte 8\)"),
        (b'{"a": NaN}', "holds NaN"),
        (b'{"a": -Infinity}', "holds -Infinity"),
        (b'{"a": 1, "a": 2}', "same key twice"),
        (b'{"a": 1, "\\u0061": 2}', "same key twice"),
        (b'{"a" : 1, "a" : "\\u003a"}', "same key twice"),
        (b'{"a":1,"a":"\\u003A"}', "same key twice"),
        (b"[" * 20_000 + b"]" * 20_000, "nested deeper than 64"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "thousands of digits"),
        (b'"' + b"x" * 10_000_000 + b'"', "longer than 10 MB"),
    ],
)
def test_hostile_lines_are_refused_with_a_reason(raw, said):
    """C06: size, depth, NUL and invalid UTF-8."""
    with pytest.raises(RecordError, match=said):
        parse(raw)


numbers = st.integers(-(10**25), 10**25) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")]))
def test_a_value_is_read_as_it_was_written(value, escaped, separators):
    raw = json.dumps(value, ensure_ascii=escaped, separators=separators).encode()
    assert repr(parse(raw)) == repr(value)


@pytest.mark.parametrize("number", [2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**30])
def test_large_integers_stay_whole(number):
    assert repr(parse(b"%d" % number)) == repr(number)
    assert repr(parse(b'{"a":%d,"b":[0,%d]}' % (number, number))) == repr({"a": number, "b": [0, number]})


def test_control_lines_are_read():
    assert parse(b'\xef\xbb\xbf{"a": [1, "[[["]}') == {"a": [1, "[[["]}
    assert depth(parse(b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT)) == DEPTH_LIMIT
    assert parse(b'"' + b"x" * 1_000_000 + b'"')


def test_a_json_file_is_a_document_or_lines():
    assert is_document(b'{"a": 1}')
    assert is_document(b'{"a": 1}\n')
    assert is_document(b'{\n  "a": 1\n}\n')
    assert is_document(b"")
    assert not is_document(b'{"a": 1}\n{"b":')
