"""What a judge needs to know about a call: the texts it was given, and the truth that held at that moment.

Which calls are judged is decided in `sampling`; the scores come from the judge resource.
"""

import polars as pl


def judge_samples(
    calls: pl.DataFrame, chunks: pl.DataFrame, known_queries: pl.DataFrame, judgements: pl.DataFrame
) -> pl.DataFrame:
    """Return what the judge reads, one row per call.

    Columns: event_id, query, answer, contexts, contexts_missing, retrieved_documents, reference_answer,
    relevant_documents and status. Reference answer and judgements are those of the latest valid_from not
    after the call. A call without logged retrieval has null contexts and documents; a chunk whose text is
    unknown is left out of the contexts and counted in contexts_missing.

    Args:
        calls: inference_log.inferences to be judged.
        chunks: rag.chunks, any chunker version.
        known_queries: rag.known_queries.
        judgements: rag.judgements; grades above 0 are relevant.
    """
    texts = chunks.unique("chunk_id").select("chunk_id", "text")
    given = (
        calls.select("event_id", "retrieved").explode("retrieved", empty_as_null=False).unnest("retrieved")
    )
    contexts = (
        given.join(texts, on="chunk_id", how="left", maintain_order="left")
        .group_by("event_id", maintain_order=True)
        .agg(
            pl.col("text").drop_nulls().alias("contexts"),
            pl.col("text").null_count().cast(pl.Int64).alias("contexts_missing"),
        )
    )
    relevant = (
        judgements.filter(pl.col("grade") > 0)
        .group_by("query_id", "valid_from")
        .agg(pl.col("document").unique().sort().alias("relevant_documents"))
    )
    truth = known_queries.join(relevant, on=["query_id", "valid_from"], how="left").sort("valid_from")
    return (
        calls.sort("occurred_at")
        .join_asof(
            truth.select("query_id", "valid_from", "reference_answer", "relevant_documents"),
            left_on="occurred_at",
            right_on="valid_from",
            by_left="known_query_id",
            by_right="query_id",
            check_sortedness=False,
        )
        .join(contexts, on="event_id", how="left")
        .select(
            "event_id",
            "query",
            "answer",
            pl.when(pl.col("retrieved").is_not_null()).then(pl.col("contexts").fill_null([])),
            pl.col("contexts_missing").fill_null(0),
            pl.col("retrieved").list.eval(pl.element().struct.field("document")).alias("retrieved_documents"),
            "reference_answer",
            "relevant_documents",
            "status",
        )
        .sort("event_id")
    )


def named_documents(calls: pl.DataFrame, index_chunks: pl.DataFrame) -> pl.DataFrame:
    """Return the calls with the document of every retrieved chunk whose log left it out, in rank order.

    Args:
        calls: inference_log.inferences.
        index_chunks: rag.index_chunks; a chunk that stands in several documents takes the first by name.
    """
    homes = index_chunks.sort("document").unique("chunk_id", keep="first").select("chunk_id", home="document")
    given = (
        calls.select("event_id", "retrieved")
        .explode("retrieved", empty_as_null=False)
        .unnest("retrieved")
        .join(homes, on="chunk_id", how="left", maintain_order="left")
        .with_columns(document=pl.coalesce("document", "home"))
        .group_by("event_id", maintain_order=True)
        .agg(pl.struct("chunk_id", "document", "score").alias("named"))
    )
    filled = (
        pl.when(pl.col("retrieved").list.len() > 0).then("named").otherwise("retrieved").alias("retrieved")
    )
    return (
        calls.join(given, on="event_id", how="left", maintain_order="left").with_columns(filled).drop("named")
    )
