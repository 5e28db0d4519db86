"""Token counts: known encodings, families, and texts that were made to break the tokenizer."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.resources.tokenizer import LONGEST_RUN, count_tokens, encoding_name


def test_known_counts():
    assert count_tokens("hello world", "gpt-4o") == (2, True)
    assert count_tokens("tiktoken is great!", "gpt-4") == (6, True)
    assert count_tokens("hello world", "claude-sonnet-4-5") == (2, False)
    assert count_tokens("", "gpt-4o") == (0, True)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o-mini", ("o200k_base", True)),
        ("openai/gpt-4.1-2025-04-14", ("o200k_base", True)),
        ("gpt-5", ("o200k_base", True)),
        ("o3-mini", ("o200k_base", True)),
        ("ft:gpt-3.5-turbo:acme::1", ("cl100k_base", True)),
        ("gpt-4-0613", ("cl100k_base", True)),
        ("gpt-4-turbo", ("cl100k_base", True)),
        ("text-embedding-3-small", ("cl100k_base", True)),
        ("claude-3-opus", ("o200k_base", False)),
        ("gemini-2.0-flash", ("o200k_base", False)),
        ("", ("o200k_base", False)),
    ],
)
def test_families(model, name):
    assert encoding_name(model) == name


@given(st.text(max_size=200))
def test_any_text_is_counted_and_special_tokens_are_text(text):
    counted, exact = count_tokens(text, "gpt-4o")
    assert exact
    assert 0 <= counted <= len(text.encode(errors="replace"))
    assert count_tokens("<|endoftext|>" + text, "gpt-4o")[0] > 1


def test_a_word_without_end_is_counted_in_pieces():
    """A million letters in a row overflow the regular expression's stack."""
    counted, exact = count_tokens("a" * 1_000_000, "gpt-4o")
    assert not exact
    assert counted == pytest.approx(125_000, rel=0.01)
    assert count_tokens("a" * (LONGEST_RUN - 1), "gpt-4o")[1]
    assert count_tokens("a b " * LONGEST_RUN, "gpt-4o")[1]


def test_counting_needs_neither_llama_index_nor_the_network():
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from aiops_pipelines.resources.tokenizer import count_tokens\n"
        "assert 'tiktoken' not in sys.modules\n"
        "assert count_tokens('hello world', 'gpt-4o') == (2, True)\n"
        "assert 'llama_index.core' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
