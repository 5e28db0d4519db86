import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.chunking import BY_STRUCTURE, chunk_id
from aiops_pipelines.rag.reindex import (
    chunks,
    document_texts,
    index_chunks,
    known_places,
    plan,
    reconciliation,
    survivors,
    wanted_chunks,
    with_own_texts,
)

DOCUMENTS = [("b.md", "h2", "# B\n\nBye.\n\n# Same\n\nText."), ("a.md", "h1", "# Same\n\nText.")]
WANTED = wanted_chunks(DOCUMENTS)
INDEX = index_chunks("s", "ix-1", WANTED)
SOURCE = pl.DataFrame([row[:2] for row in DOCUMENTS], schema=["document", "document_hash"], orient="row")
NO_TEXTS = pl.DataFrame(schema={"chunk_id": pl.String, "text": pl.String})
SAME, BYE = chunk_id("# Same\n\nText."), chunk_id("# B\n\nBye.")


def test_wanted_chunks_stand_in_their_places():
    assert WANTED.select("document", "document_hash", "position", "heading", "chunk_id").rows() == [
        ("a.md", "h1", 0, "Same", SAME),
        ("b.md", "h2", 0, "B", BYE),
        ("b.md", "h2", 1, "Same", SAME),
    ]
    assert wanted_chunks([]).columns == WANTED.columns


def test_rows_of_the_two_tables():
    assert INDEX.columns == [
        "system", "index_version", "chunk_id", "document", "document_hash", "position", "heading", "own_text",
    ]  # fmt: skip
    assert INDEX.height == 3
    stored = chunks("s", WANTED)
    assert sorted(stored["chunk_id"]) == sorted([SAME, BYE])
    assert stored["chunker_version"].unique().to_list() == [BY_STRUCTURE.version]


def test_a_place_keeps_its_text_where_white_space_differs_from_that_of_its_chunk():
    one, two = "```\nif x:\n    a()\n```", "```\nif x:\na()\n```"
    cut = wanted_chunks([("a.md", "h1", one), ("b.md", "h2", two), ("c.md", "h3", one)])
    assert cut["chunk_id"].n_unique() == 1
    assert with_own_texts(cut, NO_TEXTS)["own_text"].to_list() == [None, two, None]
    stored = pl.DataFrame({"chunk_id": cut["chunk_id"][:1], "text": [two]})
    placed = with_own_texts(cut, stored)
    assert placed["own_text"].to_list() == [one, None, one]
    told = document_texts(index_chunks("s", "ix-1", placed), stored)
    assert dict(told.select("document", "text").iter_rows()) == {"a.md": one, "b.md": two, "c.md": one}


def test_only_new_texts_are_embedded_and_each_once():
    assert plan(WANTED, []).rows() == sorted([(SAME, "# Same\n\nText."), (BYE, "# B\n\nBye.")])
    assert plan(WANTED, {SAME})["chunk_id"].to_list() == [BYE]
    assert plan(WANTED, {SAME, BYE, "cother"}).is_empty()


def test_a_rename_embeds_nothing():
    renamed = wanted_chunks([("new/" + name, *rest) for name, *rest in DOCUMENTS])
    assert plan(renamed, set(WANTED["chunk_id"])).is_empty()


def test_places_are_known_by_content_and_kind_of_file_whatever_the_name():
    base = INDEX.drop("system", "index_version")
    documents = pl.DataFrame(
        [("a.md", "h1"), ("copy.MD", "h1"), ("b.md", "other"), ("b.html", "h2"), ("c.md", "h2")],
        schema=["document", "document_hash"],
        orient="row",
    )
    known = known_places(documents, base)
    assert known.select("document", "position", "chunk_id").rows() == [
        ("a.md", 0, SAME), ("c.md", 0, BYE), ("c.md", 1, SAME), ("copy.MD", 0, SAME),
    ]  # fmt: skip
    assert known_places(documents, base.clear()).is_empty()


def test_a_deleted_document_survives_by_its_name_or_by_what_only_it_held():
    def found(own, standing):
        return survivors([("gone.md", own, standing)])

    assert found(["c1"], {"c2": ["a.md"]}) == []
    sentence = ["1 document deleted and still found by a passage of its own: gone.md."]
    assert found(["c1"], {"c1": ["a.md"]}) == sentence
    assert found(["c1"], {"c2": ["gone.md"]}) == sentence


def test_document_texts_come_back_from_chunks():
    texts = document_texts(INDEX, chunks("s", WANTED))
    assert texts.rows() == [("a.md", "h1", DOCUMENTS[1][2]), ("b.md", "h2", DOCUMENTS[0][2])]


def test_an_equal_index_has_no_findings():
    assert reconciliation(INDEX, SOURCE, [SAME, BYE]) == []


def test_every_difference_is_a_sentence():
    assert reconciliation(INDEX.filter(document="a.md"), SOURCE) == [
        "1 document missing from the index: b.md."
    ]
    assert reconciliation(INDEX, SOURCE.filter(document="a.md")) == [
        "1 document in the index but no longer in the source: b.md."
    ]
    changed = SOURCE.with_columns(document_hash=pl.lit("h1"))
    assert reconciliation(INDEX, changed) == [
        "1 document indexed in another version than the source's: b.md."
    ]
    torn = INDEX.filter(~((pl.col("document") == "b.md") & (pl.col("position") == 0)))
    assert reconciliation(torn, SOURCE) == ["1 document indexed with chunks missing or repeated: b.md."]
    assert reconciliation(INDEX, SOURCE, [BYE]) == [f"1 chunk without an embedding: {SAME}."]


def test_an_empty_index_misses_everything():
    many = pl.DataFrame({"document": [f"{n}.md" for n in range(5)], "document_hash": ["h"] * 5})
    assert reconciliation(INDEX.clear(), many) == [
        "5 documents missing from the index: 0.md, 1.md, 2.md and 2 more."
    ]


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.text(alphabet="ab #\n", max_size=60).filter(str.strip), max_size=4
    )
)
def test_an_index_built_from_a_source_equals_it(texts):
    documents = [(name, f"hash {name}", text) for name, text in texts.items()]
    wanted = wanted_chunks(documents)
    source = pl.DataFrame(
        [row[:2] for row in documents],
        schema={"document": pl.String, "document_hash": pl.String},
        orient="row",
    )
    first = plan(wanted, [])
    assert reconciliation(index_chunks("s", "ix", wanted), source, set(first["chunk_id"])) == []
    assert plan(wanted, set(first["chunk_id"])).is_empty()
