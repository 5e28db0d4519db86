import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiops_pipelines.rag.blocks import title
from aiops_pipelines.rag.chunking import CHUNK_CHARACTERS, Chunking, chunk, chunk_id
from aiops_pipelines.rag.letters import letters, union

PARAGRAPH = "Refunds are paid within five days. " * 12
WORDS = st.text(alphabet="abcXYZ .,!?#|`~-=*1\n\t\u3002\u00e9", max_size=400)


def squeezed(text):
    return "".join(text.split())


def test_headings_make_sections_and_paths():
    text = "# Guide\n\nWelcome.\n\n## Setup {#setup}\n\nInstall it.\n\n## Use\n\nRun it.\n\n# Annex\n\nEnd."
    assert [(c.heading, c.text) for c in chunk(text)] == [
        ("Guide", "# Guide\n\nWelcome."),
        ("Guide > Setup", "## Setup {#setup}\n\nInstall it."),
        ("Guide > Use", "## Use\n\nRun it."),
        ("Annex", "# Annex\n\nEnd."),
    ]
    assert [c.position for c in chunk(text)] == [0, 1, 2, 3]


def test_a_heading_without_a_body_opens_the_section_that_follows():
    assert [c.text for c in chunk("# Guide\n\n## Setup\n\nInstall it.")] == [
        "# Guide\n\n## Setup\n\nInstall it."
    ]
    assert [c.text for c in chunk("Text.\n\n# Last")] == ["Text.", "# Last"]


def test_underlined_headings_count():
    assert [c.heading for c in chunk("Guide\n=====\n\nOne.\n\nSetup\n---\n\nTwo.")] == [
        "Guide",
        "Guide > Setup",
    ]


def test_a_comment_in_a_code_block_is_no_heading():
    text = "# Guide\n\n```bash\n# not a heading\n\nrun\n```\n\nAfter."
    (only,) = chunk(text)
    assert only.text == text
    assert title("```\n# no\n```\n\n## Yes ##") == "Yes"
    assert title("no heading") is None


def test_a_longer_fence_holds_a_shorter_one():
    text = "````md\n```\n# inner\n```\n````\n\n# Real\n\nText."
    assert [c.heading for c in chunk(text)] == ["", "Real"]


def test_front_matter_is_no_heading_and_its_title_stands_above_all():
    def headings(text):
        return [piece.heading for piece in chunk(text)]

    assert headings("---\ntitle: x\n---\n\n# Real\n\nText.") == ["x", "x > Real"]
    assert headings("---\ntitle: 'Real'\n---\n\n# Real\n\nText.\n\n## In\n\nMore.") == [
        "Real",
        "Real",
        "Real > In",
    ]
    assert headings("---\n# metadata\nog:title: y\ntags:\n- one\n\ntitle: x\n---\n\nText.") == ["x"]
    for written, told in (
        ("'It''s'", "It's"),
        ('"A \\"b\\""', 'A "b"'),
        ("Foo # note", "Foo"),
        ("  >-", ""),
        ("a: b", "a: b"),
    ):
        assert headings(f"---\ntitle: {written}\n---\n\nText.") == [told]
    assert headings("---\nweight: 3\n---\n\n# Real\n\nText.") == ["", "Real"]
    assert headings("---\n\n# Real\n\nText.\n\n---\n\n## In\n\nMore.") == ["", "Real", "Real > In"]  # a rule


def test_code_tables_and_lists_stay_whole_where_they_fit():
    code = "```python\n" + "x = 1\n\n" * 50 + "```"
    table = "\n".join(f"| {row} | cell |" for row in range(30))
    items = "\n".join(f"- step {row}\n\n  why" for row in range(25))
    pieces = [c.text for c in chunk(f"{PARAGRAPH}\n\n{code}\n\n{table}\n\n{items}")]
    assert pieces == [PARAGRAPH.strip(), code, table, items]


def test_terms_and_headings_go_with_what_stands_below_them():
    told = "What it does. " * 20
    text = "\n\n".join(f"**--option-{n}**\n\n{told.strip()}" for n in range(3))
    assert [c.text.split("\n")[0] for c in chunk(text, Chunking(400))] == [
        f"**--option-{n}**" for n in range(3)
    ]
    bound = [c.text for c in chunk(f"{told}\n\n## Next\n\n**Term**\n\n{told}", Chunking(600))]
    assert bound == [told.strip(), f"## Next\n\n**Term**\n\n{told.strip()}"]
    whole = "x" * 100  # no room for a term above it, so what is packed stays together
    assert [c.text for c in chunk(f"One.\n\n**Term**\n\n{whole}", Chunking(100))] == [
        "One.\n\n**Term**",
        whole,
    ]


def test_code_in_lists_stays_whole_where_it_fits():
    code = "   ```sh\n   # no heading\n   one\n\n\n\n   two\n   ```"
    step = "1. " + "Install it. " * 12
    pieces = [c.text for c in chunk(f"{step}\n\n{code}\n\n2. Next.\n\n# Chapter\n\nText.", Chunking(160))]
    assert pieces == [step.strip(), f"{code}\n\n2. Next.", "# Chapter\n\nText."]
    never_closed = chunk(f"- one\n  ```\n  a\n- two\n{PARAGRAPH}\n\n# Chapter\n\nText.")
    assert never_closed[-1].heading == "Chapter"
    long = "- ```\n" + "  line\n" * 100 + "  ```"
    assert all(
        len(c.text) <= 160 and set(c.text.split()) <= {"-", "```", "line"} for c in chunk(long, Chunking(160))
    )


def test_grid_tables_are_tables():
    grid = "+---+---+\n| a | b |\n+===+===+\n| 1 | 2 |\n+---+---+"
    assert [c.text for c in chunk(f"Text.\n\n{grid}\n\n+ item")] == [f"Text.\n\n{grid}\n\n+ item"]


def test_long_blocks_are_cut_at_lines_or_sentences():
    sentences = [c.text for c in chunk(PARAGRAPH * 4)]
    assert all(len(text) <= CHUNK_CHARACTERS and text.endswith("days.") for text in sentences)
    rows = [c.text for c in chunk("\n".join(f"| {row} | a cell with words |" for row in range(100)))]
    assert len(rows) > 1
    assert all(line.endswith("|") for text in rows for line in text.split("\n"))


def test_paragraphs_are_packed_up_to_the_limit():
    half = "x" * (CHUNK_CHARACTERS // 2 - 1)
    assert [len(c.text) for c in chunk(f"{half}\n\n{half}")] == [CHUNK_CHARACTERS]
    assert [len(c.text) for c in chunk(f"{half}\n\n{half}y")] == [len(half), len(half) + 1]


def test_a_word_longer_than_a_chunk_is_cut():
    assert [len(c.text) for c in chunk("x" * (2 * CHUNK_CHARACTERS + 5))] == [CHUNK_CHARACTERS] * 2 + [5]


def test_equal_texts_have_one_id_in_many_places():
    text = "## A\n\nSame.\n\n## B\n\nOther.\n\n## A\n\nSame."
    ids = [c.chunk_id for c in chunk(text)]
    assert ids[0] == ids[2] != ids[1]
    assert len(ids[0]) == 21 and ids[0].startswith("c")


def test_the_id_ignores_white_space_and_unicode_form_only():
    assert chunk_id("caf\u00e9  au\nlait") == chunk_id(" cafe\u0301 au lait")
    assert chunk_id("cafe au lait") != chunk_id("caf\u00e9 au lait")


def test_an_edit_at_the_top_leaves_the_chunks_below():
    below = "".join(f"\n\n## Part {n}\n\n{PARAGRAPH}\n\n{PARAGRAPH} {n}" for n in range(5))
    before, after = chunk("# Top\n\nOld." + below), chunk(f"# Top\n\n{PARAGRAPH * 3}" + below)
    assert [c.chunk_id for c in before][1:] == [c.chunk_id for c in after][-len(before) + 1 :]


def test_an_empty_heading_is_a_heading():
    assert [(c.heading, c.text) for c in chunk("# \n\nOne.\n\n## Two\n\nMore.")] == [
        ("", "#\n\nOne."),
        ("Two", "## Two\n\nMore."),
    ]


def test_windows_line_ends_change_nothing():
    text = "# A\n\n- one\n- two\n\n```\ncode\n```"
    assert [c.text for c in chunk(text.replace("\n", "\r\n"))] == [c.text for c in chunk(text)]


@given(WORDS)
def test_no_character_is_lost_and_no_chunk_is_too_long(text):
    chunks = chunk(text)
    assert squeezed("".join(c.text for c in chunks)) == squeezed(text)
    assert all(0 < len(c.text) <= CHUNK_CHARACTERS and c.text.strip() for c in chunks)


@given(st.lists(st.text(alphabet="abc .\n", max_size=200), min_size=2, max_size=6), st.data())
def test_an_edit_moves_only_its_own_section(bodies, data):
    edited = data.draw(st.integers(0, len(bodies) - 1))

    def ids(parts):
        text = "\n\n".join(f"# h{n}\n\nbody {part}" for n, part in enumerate(parts))
        return [[c.chunk_id for c in chunk(text) if c.heading == f"h{n}"] for n in range(len(parts))]

    changed = [*bodies]
    changed[edited] = data.draw(st.text(alphabet="abc .\n", max_size=300))
    before, after = ids(bodies), ids(changed)
    assert all(before[n] == after[n] for n in range(len(bodies)) if n != edited)


def test_a_size_has_its_own_version_ids_and_limit():
    assert (Chunking().version, Chunking(300).version) == ("structure-2", "structure-2-300")
    assert max(len(c.text) for c in chunk(PARAGRAPH, Chunking(300))) <= 300
    assert chunk_id("same") == chunk_id("same", Chunking()) != chunk_id("same", Chunking(300))


def test_a_version_names_its_rules():
    for chunking in (Chunking(), Chunking(300), Chunking(900, "sentences"), Chunking(600, "overlapping")):
        assert Chunking.named(chunking.version) == chunking
    older = Chunking.named("structure-1-900")
    assert (older.version, older.renewed, older.described) == (
        "structure-1-900",
        Chunking(900),
        "chunks of 900 characters",
    )
    for unknown in ("structure-0", "sentences", "structure-2-", "pages-1-600"):
        with pytest.raises(ValueError, match="No chunking is called"):
            Chunking.named(unknown)


def test_sentences_fill_chunks_across_headings():
    text = "# Guide\n\nOne is one. Two is two.\n\n## More\n\nThree is three. Four is four."
    assert [(c.heading, c.text) for c in chunk(text, Chunking(45, "sentences"))] == [
        ("Guide", "# Guide\n\nOne is one. Two is two."),
        ("Guide > More", "## More\n\nThree is three. Four is four."),
    ]
    assert [c.text for c in chunk("One. Two. Three. Four.", Chunking(11, "sentences"))] == [
        "One. Two.",
        "Three.",
        "Four.",
    ]


def test_overlapping_chunks_begin_with_the_end_of_the_one_before():
    text = "A one. B two. C three. D four. E five. F six. G seven."
    pieces = [c.text for c in chunk(text, Chunking(40, "overlapping"))]
    assert pieces == ["A one. B two. C three. D four. E five.", "E five. F six. G seven."]


@given(WORDS, st.integers(5, 60))
def test_filled_chunks_lose_nothing_either(text, size):
    chunks = chunk(text, Chunking(size, "sentences"))
    assert squeezed("".join(c.text for c in chunks)) == squeezed(text)
    assert all(0 < len(c.text) <= size for c in chunks)


@given(WORDS, st.integers(5, 60))
@example("111111", 5)
def test_overlapping_chunks_cover_the_document_and_stay_short(text, size):
    chunks = chunk(text, Chunking(size, "overlapping"))
    assert all(0 < len(c.text) <= size for c in chunks)
    assert union(c.span for c in chunks) == ([(0, len(letters(text)))] if letters(text) else [])


@given(WORDS, st.integers(20, 60), st.sampled_from(["structure", "sentences", "overlapping"]))
@example("# A\n\nsame. same.\n\n# B\n\nsame. same.", 20, "overlapping")
def test_a_chunk_says_which_letters_of_the_document_it_holds(text, size, strategy):
    whole = letters(text)
    assert all(whole[slice(*c.span)] == letters(c.text) for c in chunk(text, Chunking(size, strategy)))
