"""Re-indexing as a difference of sets: the chunks wanted, those to embed, and the proof of equality.

Reading documents, embedding texts and writing tables are done by others.
"""

from collections.abc import Collection, Iterable, Mapping

import polars as pl

from aiops_pipelines.rag.chunking import BY_STRUCTURE, Chunking, chunk

PLACES = pl.Schema(
    {
        "chunk_id": pl.String,
        "document": pl.String,
        "document_hash": pl.String,
        "position": pl.Int64,
        "heading": pl.String,
        "own_text": pl.String,
        "text": pl.String,
    }
)

MEMBERS = [name for name in PLACES if name != "text"]
"""Columns that say where a chunk stands; its text is kept once, with the chunk, and here where it differs."""

BARE, TEXTLESS = "without an embedding", "without a text"


def wanted_chunks(
    documents: Iterable[tuple[str, str, str]], chunking: Chunking = BY_STRUCTURE
) -> pl.DataFrame:
    """Cut documents, given as (document, document_hash, text), into one row per place a chunk stands in."""
    rows = [
        (piece.chunk_id, document, document_hash, piece.position, piece.heading, None, piece.text)
        for document, document_hash, text in documents
        for piece in chunk(text, chunking)
    ]
    columns = zip(*rows, strict=True) if rows else [[] for _ in PLACES]
    return pl.DataFrame(dict(zip(PLACES, columns, strict=True)), schema=PLACES).sort("document", "position")


def with_own_texts(places: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Return places with their own text where it is not that of their chunk, which may differ in white space.

    A chunk's text is the one that was stored first: an indent that means something in one document is not
    changed by another.

    Args:
        places: rows as PLACES, of documents that were cut.
        stored: (chunk_id, text) of the chunks that are known already.
    """
    met = pl.concat([stored.select("chunk_id", "text"), places.select("chunk_id", "text")])
    first = met.unique("chunk_id", keep="first", maintain_order=True).rename({"text": "first"})
    differs = pl.when(pl.col("text") != pl.col("first")).then("text")
    return (
        places.join(first, on="chunk_id", how="left", maintain_order="left")
        .with_columns(own_text=differs)
        .drop("first")
    )


def chunks(system: str, wanted: pl.DataFrame, chunking: Chunking = BY_STRUCTURE) -> pl.DataFrame:
    """Return the rows of `rag.chunks`: one per distinct chunk of the wanted set."""
    return _distinct(wanted).select(
        pl.lit(system).alias("system"), "chunk_id", pl.lit(chunking.version).alias("chunker_version"), "text"
    )


def index_chunks(system: str, index_version: str, wanted: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `rag.index_chunks`: one per place a chunk stands in this index version."""
    labels = [pl.lit(system).alias("system"), pl.lit(index_version).alias("index_version")]
    return wanted.select(*labels, *MEMBERS)


def known_places(documents: pl.DataFrame, base: pl.DataFrame) -> pl.DataFrame:
    """Return the places of those documents whose content an earlier index was cut from, renamed or not.

    The same bytes under another kind of name (.md, .html) may be another text, so they do not count.

    Args:
        documents: the wanted (document, document_hash) rows.
        base: rows of one index version, cut by the same rules from text read by the same code.
    """
    if base.is_empty():
        return base.select(MEMBERS)
    ending = pl.col("document").str.extract(r"(\.[^./]*)$").str.to_lowercase().fill_null("").alias("ending")
    cut = base.with_columns(ending)
    contents = cut.select("document_hash", "ending", "document").unique()
    first = contents.sort("document").unique(["document_hash", "ending"], keep="first")
    once = cut.join(first, on=["document_hash", "ending", "document"]).drop("document")
    places = documents.select("document", "document_hash").with_columns(ending)
    return places.join(once, on=["document_hash", "ending"]).select(MEMBERS).sort("document", "position")


def plan(wanted: pl.DataFrame, embedded: Collection[str]) -> pl.DataFrame:
    """Return the chunks to embed, (chunk_id, text) sorted by id: wanted, distinct and not `embedded` yet.

    `embedded` holds the chunk ids that already have a vector in the target embedding version.
    """
    return _distinct(wanted).filter(~pl.col("chunk_id").is_in(list(embedded)))


def document_texts(index_chunks: pl.DataFrame, chunks: pl.DataFrame) -> pl.DataFrame:
    """Return (document, document_hash, text) of an index version, put together again from its chunks."""
    return (
        index_chunks.join(chunks.select("chunk_id", "text"), on="chunk_id", how="left")
        .sort("document", "position")
        .group_by("document", "document_hash", maintain_order=True)
        .agg(pl.coalesce("own_text", "text").drop_nulls().str.join("\n\n").alias("text"))
    )


def reconciliation(
    index_chunks: pl.DataFrame,
    documents: pl.DataFrame,
    embedded: Collection[str] | None = None,
    told: Collection[str] | None = None,
) -> list[str]:
    """Return a sentence per way an index differs from its source; none proves that they are the same.

    Args:
        index_chunks: the rows of one index version.
        documents: the (document, document_hash) rows of the revision it was built from.
        embedded: chunk ids with a vector in the index's embedding version; not checked when left out.
        told: chunk ids with a text; not checked when left out.
    """
    source = dict(documents.select("document", "document_hash").iter_rows())
    indexed = set(index_chunks.select("document", "document_hash").iter_rows())
    names = {document for document, _ in indexed}
    wanted = set(index_chunks["chunk_id"])
    positions = index_chunks.group_by("document").agg(
        broken=pl.col("position").sort() != pl.int_range(pl.len(), dtype=pl.Int64)
    )
    findings = [
        ("missing from the index", sorted(source.keys() - names)),
        ("in the index but no longer in the source", sorted(names - source.keys())),
        (
            "indexed in another version than the source's",
            sorted({document for document, found in indexed if source.get(document, found) != found}),
        ),
        (
            "indexed with chunks missing or repeated",
            sorted(positions.filter(pl.col("broken").list.any())["document"]),
        ),
        (BARE, sorted(wanted - set(wanted if embedded is None else embedded))),
        (TEXTLESS, sorted(wanted - set(wanted if told is None else told))),
    ]
    return [_sentence(what, which) for what, which in findings if which]


def survivors(probes: Iterable[tuple[str, Collection[str], Mapping[str, Collection[str]]]]) -> list[str]:
    """Return a sentence per deleted document that an index still gives out.

    Args:
        probes: a deleted document, the chunks that only it held, and the chunks found for a passage of it,
            with the documents they stand in.
    """
    alive = [
        document
        for document, own, found in probes
        if any(chunk in own or document in standing for chunk, standing in found.items())
    ]
    return [_sentence("deleted and still found by a passage of its own", alive)] if alive else []


def _distinct(wanted: pl.DataFrame) -> pl.DataFrame:
    return (
        wanted.select("chunk_id", "text")
        .unique("chunk_id", keep="first", maintain_order=True)
        .sort("chunk_id")
    )


def _sentence(what: str, which: list[str]) -> str:
    kind = "chunk" if what in (BARE, TEXTLESS) else "document"
    shown = ", ".join(which[:3]) + (f" and {len(which) - 3} more" if len(which) > 3 else "")
    return f"{len(which)} {kind}{'s' if len(which) > 1 else ''} {what}: {shown}."
