"""What keeps a document from being found although it is indexed: its language, or text decoded wrongly."""

from collections.abc import Collection, Iterator

import polars as pl

from aiops_pipelines.wording import inert, listed, some

GARBLED_SHARE = 0.002
"""One character in 500: a text in a language with accents has several times as many of them garbled."""
NAMED = 3


def unreadable_to(documents: pl.DataFrame, model: str, known: Collection[str] | None) -> Iterator[str]:
    """Yield a sentence about the documents in languages a model does not know, and one about garbled ones.

    Args:
        documents: columns document, language (ISO 639-1 or null), garbled and characters.
        model: name of the embedding model.
        known: languages it was trained on; None where nobody says, which is no reason to warn.
    """
    if known is not None:
        unknown = foreign(documents, known)
        if unknown.height:
            tongues = listed(sorted(set(unknown["language"])))
            yield (
                f"{some(unknown.height, 'document')} in languages that {model} was not trained on "
                f"({tongues}), so questions will miss them: {_named(unknown)}. "
                "Choose a model for these languages with index.embedding."
            )
    garbled = documents.filter(pl.col("garbled") > pl.col("characters") * GARBLED_SHARE)
    if garbled.height:
        yield (
            f"{some(garbled.height, 'document')} with text that was decoded wrongly before it got here: "
            f"{_named(garbled)}. Save the original anew as UTF-8."
        )


def foreign(documents: pl.DataFrame, known: Collection[str]) -> pl.DataFrame:
    """Return the documents whose language can be told and is none of those known."""
    return documents.filter(pl.col("language").is_not_null() & ~pl.col("language").is_in(list(known)))


def _named(documents: pl.DataFrame) -> str:
    names = documents["document"].sort().to_list()
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return inert(listed(names[:NAMED]) + more)
