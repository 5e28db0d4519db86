import polars as pl

from aiops_pipelines.rag.garbled import garbled_characters
from aiops_pipelines.rag.legible import unreadable_to

SCHEMA = {"document": pl.String, "language": pl.String, "garbled": pl.Int64, "characters": pl.Int64}


def found(known: set[str] | None, *rows: tuple[str, str | None, int, int]) -> list[str]:
    return list(unreadable_to(pl.DataFrame(rows, SCHEMA, orient="row"), "tiny", known))


def test_documents_in_languages_the_model_does_not_know_are_named() -> None:
    rows = [("a.md", "zh", 0, 900), ("b.md", "en", 0, 900), ("c.md", None, 0, 20), ("d.md", "ja", 0, 900)]
    (said,) = found({"en"}, *rows)
    assert said.startswith("2 documents in languages that tiny was not trained on (ja and zh)")
    assert "a.md and d.md" in said and "b.md" not in said and "c.md" not in said
    assert found({"en", "zh", "ja"}, *rows) == found(None, *rows) == []


def test_garbled_text_is_told_from_text_that_only_speaks_of_it() -> None:
    (said,) = found(None, ("bad.md", "fr", 3, 1_000), ("about.md", "fr", 2, 1_000))
    assert said.startswith("1 document with text that was decoded wrongly") and "about.md" not in said


def test_what_was_decoded_as_windows_1252_is_counted_and_right_text_is_not() -> None:
    for text in ("déjà vu à Orléans, élève, Zürich, Größe, naïve — “quoted”…", "价格是两欧元", "Ça va? ÂGE"):
        assert garbled_characters(text) == 0
    assert garbled_characters("café".encode().decode("cp1252")) == 1
    assert garbled_characters("“quoted” — Größe".encode().decode("cp1252", "replace")) >= 4
