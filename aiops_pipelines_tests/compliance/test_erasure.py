"""What a person is known and looked for by, and that the log cannot be guessed at."""

import hashlib
import hmac
import json

from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.audit_entry import FACTS, inference_entry
from aiops_pipelines.compliance.commitment import commit
from aiops_pipelines.compliance.erasure import GONE, mark, redacted, sought, stands_alone, starts
from aiops_pipelines.compliance.merkle import leaf_hash
from aiops_pipelines_tests.resources.audited_shop import NOW

PEPPER = bytes(range(32))


def test_a_mark_hangs_on_key_and_name() -> None:
    assert mark(PEPPER, "ada-17") == mark(PEPPER, "ada-17")
    assert len({mark(PEPPER, "ada-17"), mark(PEPPER, "ada-18"), mark(bytes(32), "ada-17")}) == 3


def test_what_is_looked_for_is_long_enough_and_spelled_as_files_do() -> None:
    text = 'Where is "Zoë & Co"? Nobody told me, and I have waited for weeks.'
    found = sought(["ada-17", "u1"], [text, "Yes."])
    assert {one for one, identifier in found.items() if identifier} == {b"ada-17"}
    assert {one.decode() for one, identifier in found.items() if not identifier} == {
        'Where is "Zoë & Co"? Nobody told me, and I have ',
        'Where is \\"Zoë & Co\\"? Nobody told me, and I have ',
        'Where is \\"Zo\\u00eb & Co\\"? Nobody told me, and I have ',
        "Where is &quot;Zoë &amp; Co&quot;? Nobody told me, and I have ",
    }


def test_an_identifier_is_a_word_of_its_own() -> None:
    content = b'{"user": "ada-17", "other": "ada-177"}'
    first, second = content.index(b"ada-17"), content.rindex(b"ada-17")
    assert stands_alone(content, first, first + 6) and not stands_alone(content, second, second + 6)


def test_an_answer_to_a_runbook_query_loses_person_and_words() -> None:
    query = "Where is my parcel, it was due on Monday?"
    answer = json.dumps(
        {"columns": ["user", "said", "calls"], "rows": [["ada-17", query[:30], 3], ["bob", "Hi", 1]]}
    )
    new = json.loads(redacted(answer, {"ada-17": "erased-1"}, lambda cell: starts(query, cell)))
    assert new == {"columns": ["user", "said", "calls"], "rows": [["erased-1", GONE, 3], ["bob", "Hi", 1]]}
    assert redacted(answer, {}, lambda cell: False) == answer


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_short_cell_is_a_text_only_if_it_is_all_of_it(text: str, cell: str) -> None:
    assert starts(text, cell) == (text == cell or (len(cell) >= 24 and text.startswith(cell)))


def guesses(words: list[str], entry_id: str, field: str) -> set[str]:
    """What somebody who has the log and no key can try: hashes of a text, alone and with what stands beside it."""
    found = set[str]()
    for word in words:
        plain = word.encode()
        tried = [
            plain,
            entry_id.encode() + plain,
            field.encode() + plain,
            f"{entry_id}{field}{word}".encode(),
        ]
        found |= {hashlib.sha256(one).hexdigest() for one in tried}
        found |= {hmac.digest(key, plain, "sha256").hex() for key in (b"", bytes(32), entry_id.encode())}
        found.add(leaf_hash(plain).hex())
    return found


def test_a_dictionary_guesses_no_text_and_no_person_of_an_entry() -> None:
    """Fault E04: the word and the user are in the dictionary, and even the holder of the log cannot tell."""
    record = {
        **dict.fromkeys(
            (
                *("model_requested", "endpoint", "tokens_total", "latency_ms", "cost_usd", "price_status"),
                *FACTS,
            )
        ),
        **{
            "system": "shop",
            "event_id": "e1",
            "occurred_at": NOW,
            "model_served": "m",
            "prompt_version": None,
        },
        **{
            "index_version": None,
            "status": "ok",
            "query": "yes",
            "answer": "no",
            "user_id": "u1",
            "pii_counts": {},
        },
    }
    entry = inference_entry(record, b"\x17" * 32)
    words = ["yes", "no", "u1", *(f"word{n}" for n in range(20_000)), *(f"u{n}" for n in range(2_000))]
    stands = {entry["input_commitment"], entry["output_commitment"], entry["actor"].removeprefix("user:")}
    for field in ("query", "answer", "actor"):
        assert not stands & guesses(words, entry["entry_id"], field)
    data = leaf.encode(entry)
    assert not [word for word in (b'"yes"', b'"no"', b'"u1"') if word in data]
    # with the key, one try is enough
    assert commit(b"\x17" * 32, entry["entry_id"], "query", b"yes").hex() == entry["input_commitment"]
