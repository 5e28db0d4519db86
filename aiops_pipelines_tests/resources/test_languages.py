"""English by its small words, all others by the model, and silence where too little is said."""

import pytest

from aiops_pipelines.resources import languages
from aiops_pipelines.resources.languages import language

ENGLISH = (
    "You can export your data when the plan ends, and this page says how it is done from the settings. " * 3
)
GERMAN = (
    "Sie können Ihre Daten jederzeit ausführen, und diese Seite erklärt, wie das in den Einstellungen geht. "
)
DUTCH = (
    "U kunt uw gegevens altijd uitvoeren en deze pagina legt uit hoe dat in de instellingen wordt gedaan. "
)


@pytest.fixture
def asked(monkeypatch):
    """Return the texts that the model was asked about."""
    found, whole = [], languages._identifier()

    class Watched:
        def classify(self, text):
            found.append(text)
            return whole.classify(text)

    monkeypatch.setattr(languages, "_identifier", Watched)
    return found


def test_english_is_told_without_the_model(asked):
    assert language(ENGLISH) == "en" and not asked


def test_the_model_tells_all_other_languages(asked):
    assert [language(text * 3) for text in (GERMAN, DUTCH)] == ["de", "nl"] and len(asked) == 2


def test_the_model_tells_which_of_two_languages_is_most_of_a_text(asked):
    assert language(f"{GERMAN * 4}\n\n{ENGLISH}") == "de" and len(asked) == 1


def test_code_is_no_english():
    assert language(f"{GERMAN * 2}\n\n```\n{ENGLISH * 5}\n```") == "de"


def test_a_short_text_says_too_little_sooner_with_accents_than_without():
    assert language(GERMAN) == "de"
    assert language(DUTCH) is None and language("Grüße aus Köln.") is None


def test_a_table_or_a_field_hides_no_text_behind_it(asked):
    table = "| Setting | Meaning |\n| --- | --- |\n| export | a file |\n\n"
    assert language(f"# Export\n\n{table}{ENGLISH}") == "en" and not asked
    assert language(f":synopsis: Export\n\n{GERMAN * 3}") == "de"


def test_english_behind_long_code_is_told_without_the_model(asked):
    code = "```\n" + "export_everything(account, format)\n" * 120 + "```\n"
    assert language(code + ENGLISH * 10) == "en" and not asked


def test_names_of_code_are_no_language_and_the_model_is_not_asked(asked):
    names = " ".join(f"sphinx.domains.Domain{number}.resolve_any_xref" for number in range(12))
    assert language(names) is None and not asked
