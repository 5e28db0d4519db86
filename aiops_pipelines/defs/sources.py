"""What comes from outside: the left edge of the lineage graph."""

import dagster as dg

from aiops_pipelines.defs.bodies import OWNER


def _source(name: str, group: str, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(name, group_name=group, kinds={"file"}, owners=[OWNER], description=description)


log_files = _source("log_files", "inference_log", "Log files of each system's inference_log folder.")
corpus = _source("corpus", "rag", "Documents of each system's corpus folder.")
known_queries_file = _source(
    "known_queries_file", "rag", "Known queries and relevance judgements, one JSON object a line."
)


@dg.definitions
def sources() -> dg.Definitions:
    """Return the sources as external assets."""
    return dg.Definitions(assets=[log_files, corpus, known_queries_file])
