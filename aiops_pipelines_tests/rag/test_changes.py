import gzip
import json
import os
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.changes import corpus_changes, similarity

DATASETS = Path(os.environ.get("AIOPS_DATASETS", Path(__file__).parents[2] / "../shared/datasets"))
REVISIONS = DATASETS / "docs_revisions/fastapi"
LONG = "\n".join(f"Line {n} of the guide says something." for n in range(10))


def revision(**texts):
    rows = [(name, str(hash(text)), text) for name, text in texts.items()]
    return pl.DataFrame(rows, schema=["document", "document_hash", "text"], orient="row")


def changes(previous, current):
    return corpus_changes(previous, current).rows()


def test_each_kind_of_change():
    previous = revision(stays="s", edited="old", moved="m", moves_edited=LONG, gone="g")
    current = revision(stays="s", edited="new", renamed="m", renamed_edited=LONG + "\nOne more.", fresh="f")
    assert changes(previous, current) == [
        ("edited", "edited", None),
        ("fresh", "added", None),
        ("gone", "deleted", None),
        ("renamed", "renamed", "moved"),
        ("renamed_edited", "renamed_edited", "moves_edited"),
    ]


def test_no_change_has_no_rows_and_the_same_columns():
    found = corpus_changes(revision(a="x"), revision(a="x"))
    assert found.is_empty() and found.columns == ["document", "change", "previous_document"]


def test_a_first_revision_is_all_added():
    assert changes(revision(a="x").clear(), revision(a="x")) == [("a", "added", None)]


def test_copies_are_paired_once():
    assert changes(revision(a="x"), revision(b="x", c="x")) == [("b", "renamed", "a"), ("c", "added", None)]


def test_the_most_similar_document_wins():
    near, far = LONG + "\nOne more.", LONG + "\nOne more." * 8
    found = changes(revision(a=LONG), revision(far=far, near=near))
    assert found == [("far", "added", None), ("near", "renamed_edited", "a")]


def test_without_text_an_edited_move_is_deleted_and_added():
    blank = pl.col("text").map_elements(lambda _: None, return_dtype=pl.String)
    previous = revision(a=LONG).with_columns(blank)
    assert changes(previous, revision(b=LONG + "!")) == [("a", "deleted", None), ("b", "added", None)]


def test_similarity_by_hand():
    assert similarity("ab\ncd", "ab\nef") == 0.5
    assert similarity("", "") == 0
    assert similarity("ab\nab", "ab") == pytest.approx(4 / 6)


@given(st.text(), st.text())
def test_similarity_is_symmetric_and_bounded(one, other):
    assert similarity(one, other) == similarity(other, one)
    assert 0 <= similarity(one, other) <= 1


@given(*[st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["1", "2", LONG]), max_size=6)] * 2)
def test_changes_account_for_every_document(old, new):
    found = corpus_changes(revision(**old), revision(**new))
    kinds = dict(found.select("document", "change").iter_rows())
    sources = found["previous_document"].drop_nulls().to_list()
    deleted = {name for name, kind in kinds.items() if kind == "deleted"}
    assert deleted | set(sources) == old.keys() - new.keys()
    assert len(sources) == len(set(sources))
    assert {
        name for name, kind in kinds.items() if kind not in ("deleted", "edited")
    } == new.keys() - old.keys()


@pytest.mark.skipif(not REVISIONS.exists(), reason="documentation revisions are not on this machine")
def test_real_documentation_revisions():
    def load(version):
        lines = (
            gzip.decompress((REVISIONS / f"docs_{version}.jsonl.gz").read_bytes())
            .decode()
            .strip()
            .split("\n")
        )
        rows = [(row["path"], row["sha256"], row["text"]) for row in map(json.loads, lines)]
        return pl.DataFrame(rows, schema=["document", "document_hash", "text"], orient="row")

    expected = json.loads((REVISIONS / "changes_summary.json").read_text(encoding="utf-8"))
    found = Counter(corpus_changes(load("0.95.0"), load("0.110.0"))["change"])
    names = {
        "added": "added",
        "edited": "changed",
        "renamed": "renamed",
        "renamed_edited": "renamed+edited",
        "deleted": "deleted",
    }
    assert found == {ours: expected[0][theirs] for ours, theirs in names.items()}
    found = Counter(corpus_changes(load("0.110.0"), load("0.115.0"))["change"])
    assert found == {
        "added": expected[1]["added"],
        "edited": expected[1]["changed"],
        "deleted": expected[1]["deleted"],
    }
