"""What the indexes find and miss, week by week: retrieval quality on known queries, and freshness."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg
import polars as pl

from aiops_pipelines.defs.bodies import Work, labels, spec, table
from aiops_pipelines.defs.cadences import WEEKLY, one_run, weeks
from aiops_pipelines.periods import midnight
from aiops_pipelines.project import Project
from aiops_pipelines.rag.freshness import CorpusHistory
from aiops_pipelines.rag.freshness import index_freshness as judge_freshness
from aiops_pipelines.resources.embedder import EmbedderError
from aiops_pipelines.resources.retrieval_bench import Found, RetrievalBench
from aiops_pipelines.resources.warehouse import Warehouse

MEASURING = labels("rag", WEEKLY)


@dg.multi_asset(
    specs=[
        spec(
            "retrieval_scores",
            "How well each index version finds each known query's documents, by ranker.",
            ["index_versions", "known_queries", "judgements"],
            MEASURING,
        ),
        spec(
            "retrieval_quality",
            "Precision, recall, hit rate, MRR and nDCG per index version, with BM25 as the floor.",
            ["retrieval_scores"],
            MEASURING,
        ),
        spec(
            "retrieval_comparisons",
            "Whether embeddings, keywords or both together find more, per index version, with a verdict.",
            ["retrieval_scores"],
            MEASURING,
        ),
        spec(
            "retrieval_changes",
            "Whether each index version finds more or less than the one before it, with a verdict.",
            ["retrieval_scores"],
            MEASURING,
        ),
        spec(
            "retrieval_slices",
            "Retrieval quality by tag of the known queries, and of drafts that nobody signed off, apart.",
            ["retrieval_scores"],
            MEASURING,
        ),
    ],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
)
def retrieval_evaluation(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    retrieval_bench: dg.ResourceParam[RetrievalBench],
) -> Iterator[dg.MaterializeResult]:
    """Ask every index version the known queries in force at its time."""
    work = Work(context, project, warehouse, "retrieval quality")
    measured: list[Found] = []
    for system in work.operated():
        with work.guarding(system.name, EmbedderError):
            if not work.weeks(system):
                continue
            found = retrieval_bench.evaluate(system.name, system.now(work.clock))
            with warehouse.writing() as writer:
                for name, frame in vars(found).items():
                    writer.replace(f"rag.retrieval_{name}", frame, system=system.name)
            measured.append(found)
    work.close()
    for name in ("scores", "quality", "comparisons", "changes", "slices"):
        empty = warehouse.tables[f"rag.retrieval_{name}"].empty()
        shown = pl.concat([empty, *(getattr(found, name) for found in measured)])
        if name == "quality":
            shown = shown.filter(pl.col("metric") == "ndcg_at_10")
        yield dg.MaterializeResult(
            asset_key=f"retrieval_{name}", metadata={"dagster/row_count": shown.height, name: table(shown)}
        )


@dg.multi_asset(
    specs=[
        spec(
            "index_freshness",
            "How far the served index lagged behind the corpus, week by week.",
            ["index_versions", "inferences"],
            MEASURING,
        ),
        spec(
            "stale_answers",
            "Every answer that was given from text no longer in the corpus.",
            ["index_versions", "inferences"],
            MEASURING,
        ),
    ],
    partitions_def=weeks,
    backfill_policy=one_run,
    pool="duckdb",
)
def freshness(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.MaterializeResult]:
    """Compare what was retrieved with what the corpus said at that moment."""
    work = Work(context, project, warehouse, "freshness")
    judged: list[pl.DataFrame] = []
    for system in work.operated():
        with work.guarding(system.name):
            history = CorpusHistory(
                *(
                    warehouse.rows(f"rag.{t}", system=system.name)
                    for t in ("corpus_revisions", "documents", "index_versions", "index_chunks")
                )
            )
            for week in work.weeks(system):
                row, stale = judge_freshness(
                    system.name,
                    week,
                    _end(week),
                    _calls(warehouse, system.name, week),
                    history,
                    system.limits.stale_share,
                )
                with warehouse.writing() as writer:
                    writer.replace("rag.index_freshness", row, system=system.name, week=week)
                    writer.replace("rag.stale_answers", stale, system=system.name, week=week)
                judged.append(row)
    work.close()
    shown = pl.concat(judged) if judged else warehouse.tables["rag.index_freshness"].empty()
    for name in ("index_freshness", "stale_answers"):
        yield dg.MaterializeResult(
            asset_key=name,
            metadata={
                "dagster/row_count": shown.height,
                "weeks": table(
                    shown.select(
                        "system", "week", "verdict", "stale_share", "lag_days", "served_index_version"
                    ),
                    30,
                ),
            },
        )


def _end(week: date) -> datetime:
    """Return the last moment of a week; what takes effect at the next midnight belongs to the next one."""
    return midnight(week + timedelta(days=7)) - timedelta(microseconds=1)


def _calls(warehouse: Warehouse, system: str, week: date) -> pl.DataFrame:
    return warehouse.read(
        "select * from inference_log.inferences where system = ? and occurred_at >= ? and occurred_at <= ?",
        [system, datetime.combine(week, datetime.min.time()), _end(week).replace(tzinfo=None)],
    )
