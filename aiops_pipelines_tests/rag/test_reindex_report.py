from collections import Counter

import polars as pl

from aiops_pipelines.rag.reindex_report import Report, document_counts


def test_each_document_counts_once():
    kinds = ["added", "edited", "renamed", "renamed_edited", "deleted"]
    counts, both = document_counts(pl.DataFrame({"change": kinds}), documents=6)
    assert counts == {"added": 1, "edited": 1, "renamed": 2, "deleted": 1, "unchanged": 2}
    assert both == 1
    assert document_counts(pl.DataFrame({"change": []}, schema={"change": pl.String}), 3)[0]["unchanged"] == 3


def test_states_add_up_and_what_stands_is_the_last():
    first = Report(
        Counter(added=3), 0, Counter(wanted=9, new_texts=9, embedded=9), {"reading": 1.0}, ("ix-1",)
    )
    second = Report(
        Counter(edited=1, unchanged=2), 0, Counter(wanted=10, new_texts=2, embedded=1, dropped=1), {"reading": 0.5}, ("ix-2",)
    )  # fmt: skip
    assert second.after(first).as_data() == {
        "documents": {"added": 3, "edited": 1, "renamed": 0, "deleted": 0, "unchanged": 2},
        "chunks": {"wanted": 10, "new_texts": 11, "embedded": 10, "dropped": 1},
        "cpu_s": {"reading": 1.5, "chunking": 0.0, "embedding": 0.0, "writing": 0.0},
        "renamed_edited": 0,
        "index_versions": ["ix-1", "ix-2"],
    }
    assert second.sentences()[1] == "Chunks: 10 wanted, 2 new texts, 1 embedded, 1 dropped."


def test_beside_an_index_another_one_adds_what_it_took_and_no_document():
    served = Report(
        Counter(edited=1), 0, Counter(wanted=9, new_texts=1, embedded=1), {"writing": 1.0}, ("a",)
    )
    shadow = Report(
        Counter(unchanged=1), 0, Counter(wanted=20, new_texts=2, embedded=2), {"writing": 1.0}, ("b",)
    )
    both = served.beside(shadow)
    assert both.documents == {"edited": 1} and both.chunks == {"wanted": 9, "new_texts": 3, "embedded": 3}
    assert both.cpu_s["writing"] == 2.0 and both.built == ("a", "b")
