"""Calls that come again under an id that is stored: as they are stored, or saying something else.

What is stored stays. What either of the two leaves open is not compared: an export may lack texts, or they
were deleted since, or with the person, whose key is another since then. Of a call that stands in a trace only
what its own span says is compared: which of the other spans were there depends on how much was written when
the file was read.
"""

import polars as pl

from aiops_pipelines.compliance.erasure import ERASED
from aiops_pipelines.inference_log.record import CALLS, PART_COLUMNS

COUNTED_HERE = {*PART_COLUMNS, "part_method", "usage_raw", "source_line", "event_id"}
COUNTED_HERE |= {"source_id", "source_seq"}  # who sent it, and may have sent it again under a new number
COMPARED = [name for name in CALLS if name not in COUNTED_HERE]
"""What a log says of a call; how tokens are told apart by part is worked out here and may get better."""
OF_TRACES = ("otlp_json", "openinference", "langfuse", "langsmith", "mlflow")
"""Formats in which a call takes what it leaves open from the spans around it."""
TAKEN_ON = {
    *("endpoint", "prompt_version", "index_version", "user_id", "session_id", "user_group", "known_query_id"),
    *("rating", "provider", "model_requested", "query", "retrieved", "guardrail_events"),
}
"""What other spans may say of a call: its ancestors, its retrieval, a framework that logged it as well."""
IDENTIFIERS = ("user_id", "session_id")
NAMED = 3
"""Fields that a reason names: what differs in a million lines is a few reasons."""


def contradictions(again: pl.DataFrame, stored: pl.DataFrame, source_format: str) -> pl.Series:
    """Return for each call the fields in which it contradicts what is stored under its id, at most NAMED.

    Args:
        again: calls, masked as they are when they are stored.
        stored: rows of inference_log.inferences with their ids.
        source_format: in which they come again; what is stored has its own.
    """
    open_now = pl.col(IDENTIFIERS).str.starts_with(ERASED)
    known = stored.with_columns(pl.when(~open_now).then(pl.col(IDENTIFIERS)))
    in_trace = pl.lit(source_format in OF_TRACES) | pl.col("source_format").is_in(OF_TRACES)
    open_too = [pl.when(~in_trace).then(pl.col(name)).alias(name) for name in COMPARED if name in TAKEN_ON]
    known = known.with_columns(open_too)
    kept = known.select("event_id", pl.col(COMPARED).name.suffix(" stored"))
    both = again.select("event_id", *COMPARED).join(kept, on="event_id", how="left", maintain_order="left")
    others = [
        pl.when(pl.col(name).ne(pl.col(f"{name} stored"))).then(pl.lit(name)).alias(name) for name in COMPARED
    ]
    return both.select(differs=pl.concat_list(others).list.drop_nulls().list.head(NAMED)).to_series()
