"""The corpus becomes chunks, embeddings and index versions; what they find and miss is `rag_weekly`."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from aiops_pipelines.defs.bodies import Work, labels, spec, table
from aiops_pipelines.defs.cadences import CONTINUOUS, one_run, systems
from aiops_pipelines.project import Project
from aiops_pipelines.resources import documents as corpora
from aiops_pipelines.resources import query_file
from aiops_pipelines.resources.embedder import EmbedderError
from aiops_pipelines.resources.index_book import IndexBook, Reindexed
from aiops_pipelines.resources.index_proof import prove
from aiops_pipelines.resources.publishing import Publisher
from aiops_pipelines.resources.vector_store import StoreError
from aiops_pipelines.resources.warehouse import Warehouse

INDEX_TABLES = (
    "source_files",
    "documents",
    "corpus_changes",
    "chunks",
    "embeddings",
    "index_versions",
    "index_chunks",
    "document_findings",
)
INDEXING = labels("rag", CONTINUOUS, "llamaindex")


@dg.multi_asset(
    specs=[
        spec(
            "documents",
            "Every document of every corpus revision, with the files that were set aside.",
            ["corpus"],
            INDEXING,
        ),
        spec(
            "corpus_changes",
            "What was added, edited, renamed and deleted from one revision to the next.",
            ["documents"],
            INDEXING,
        ),
        spec(
            "source_files",
            "Size, time and content hash of every file of the corpus, so that only what moved is read.",
            ["corpus"],
            INDEXING,
        ),
        spec(
            "chunks",
            "Distinct pieces of text, cut along the documents' structure, named by their content.",
            ["documents"],
            INDEXING,
        ),
        spec(
            "embeddings",
            "One vector per new chunk text and embedding version; nothing is embedded twice.",
            ["chunks"],
            INDEXING,
        ),
        spec(
            "index_versions",
            "Which chunks make an index, for every revision of the corpus.",
            ["embeddings"],
            INDEXING,
        ),
        spec(
            "index_chunks",
            "Where every chunk of an index version stands: document, position and heading.",
            ["chunks"],
            INDEXING,
        ),
        spec(
            "document_findings",
            "Documents that look made against retrieval or a model, held for review or noted.",
            ["embeddings"],
            INDEXING,
        ),
    ],
    partitions_def=systems,
    backfill_policy=one_run,
    pool="duckdb",
)
def search_index(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    index_book: dg.ResourceParam[IndexBook],
) -> Iterator[dg.MaterializeResult]:
    """Bring the index up to date with the corpus: only what changed is read, only what is new is embedded."""
    work = Work(context, project, warehouse, "rag")
    built: dict[str, Reindexed] = {}
    for system in work.operated():
        with work.guarding(system.name, corpora.CorpusError, EmbedderError):
            tell = partial(_tell, context, system.name)
            built[system.name] = done = index_book.reindex(system, work.clock, tell, context.run_id)
            for sentence in done.problems():
                work.problem(system.name, sentence)
            for sentence in done.report.sentences():
                tell(sentence)
    work.close()
    summary = pl.concat([warehouse.tables["rag.index_versions"].empty(), *(d.index for d in built.values())])
    reports = {name: dg.MetadataValue.json(done.report.as_data()) for name, done in built.items()}
    for name in INDEX_TABLES:
        rows = warehouse.read(f"select count(*) as n from rag.{name}")["n"][0]
        yield dg.MaterializeResult(
            asset_key=name,
            metadata={
                "dagster/row_count": rows,
                "index versions built now": summary.height,
                "texts embedded now": sum(done.report.chunks["embedded"] for done in built.values()),
                **({"built": table(summary)} if summary.height else {}),
                **(reports if name == "index_versions" else {}),
            },
        )


def _tell(context: dg.AssetExecutionContext, system: str, sentence: str) -> None:
    context.log.info(f"{system}: {sentence}")


@dg.asset_check(asset="index_versions", blocking=True, partitions_def=systems)
def index_equals_source(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """The indexes built last hold their documents and nothing else; deleted ones are not found."""
    names = warehouse.read("select distinct system from rag.index_versions order by system")["system"]
    proofs = [prove(warehouse, name) for name in names]
    findings = [sentence for proof in proofs for sentence in proof.findings]
    return dg.AssetCheckResult(
        passed=not findings,
        description="aiops reindex NAME --anew reads, cuts and embeds again what is missing."
        if findings
        else None,
        metadata={
            "index versions": sum(proof.index_versions for proof in proofs),
            "probes for deleted documents": sum(proof.probes for proof in proofs),
            "findings": dg.MetadataValue.json(findings),
        },
    )


@dg.asset(
    deps=["index_versions"],
    partitions_def=systems,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("rag", CONTINUOUS, "llamaindex"),
)
def publications(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    publisher: dg.ResourceParam[Publisher],
) -> dg.MaterializeResult:
    """The index in force, in the system's vector store: a difference is written, verified, switched to."""
    work = Work(context, project, warehouse, "publishing")
    done: dict[str, dict[str, Any]] = {}
    for system in work.operated():
        if system.publish is None:
            context.log.info(f"{system.name} is not published: its file has no publish.")
            continue
        if warehouse.rows("rag.index_versions", system=system.name).is_empty():
            continue  # what stands in the way of the index is said where it is built
        with work.guarding(system.name, StoreError):
            tell = partial(_tell, context, system.name)
            found = publisher.publish(system, work.clock, context.run_id, thorough=False, tell=tell)
            done[system.name] = found.as_data()
            for sentence in found.refusal():
                work.problem(system.name, sentence)
    work.close()
    counted = {name: sum(one[name] for one in done.values()) for name in ("upserts", "deletes", "written")}
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": warehouse.read("select count(*) as n from rag.publications")["n"][0],
            "systems published": len(done),
            **counted,
            **{name: dg.MetadataValue.json(one) for name, one in done.items()},
        }
    )


@dg.multi_asset(
    specs=[
        spec(
            "known_queries",
            "Questions with a known right answer, each row in force from a date on.",
            ["known_queries_file"],
            labels("rag", CONTINUOUS),
        ),
        spec(
            "judgements",
            "Which documents answer a known query, graded.",
            ["known_queries_file"],
            labels("rag", CONTINUOUS),
        ),
        spec(
            "adversarial_queries",
            "Known queries that attack on purpose, and what must not come of it.",
            ["known_queries_file"],
            labels("rag", CONTINUOUS),
        ),
    ],
    partitions_def=systems,
    backfill_policy=one_run,
    pool="duckdb",
)
def query_sets(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.MaterializeResult]:
    """Read the known queries of each system."""
    work = Work(context, project, warehouse, "known queries")
    for system in work.operated():
        for sentence in query_file.load(warehouse, system):
            work.problem(system.name, sentence)
    work.close()
    for name in ("known_queries", "judgements", "adversarial_queries"):
        yield dg.MaterializeResult(
            asset_key=name,
            metadata={"dagster/row_count": warehouse.read(f"select count(*) as n from rag.{name}")["n"][0]},
        )
