"""Files land: each call is stored once with personal data masked, the rest is set aside."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from aiops_pipelines import inference_log
from aiops_pipelines.defs.bodies import Work, labels, spec, table
from aiops_pipelines.defs.cadences import CONTINUOUS, one_run, systems
from aiops_pipelines.inference_log.ingestion import Landing, Tally, for_expectations
from aiops_pipelines.inference_log.record import TOKEN_COLUMNS
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.audit_signing import SigningKeyMissing
from aiops_pipelines.resources.expectations import ExpectationResult, load_suite, validate
from aiops_pipelines.resources.log_book import LogBook
from aiops_pipelines.resources.log_folder import LogFolder, LogFolderError
from aiops_pipelines.resources.log_import import shortfalls
from aiops_pipelines.resources.people import erased_marks
from aiops_pipelines.resources.source_days import source_days as days_of_sources
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines.wording import moment

LANDING = labels("inference_log", CONTINUOUS, "great-expectations")
SUITE = load_suite(Path(inference_log.__file__).with_name("expectations.yaml"))


def columns_of(entry: dict[str, Any]) -> list[str]:
    """Return the columns that an expectation is about."""
    columns = [str(entry[key]) for key in ("column", "column_A", "column_B") if key in entry]
    return columns + list(entry.get("column_list", []))


def check_name(entry: dict[str, Any]) -> str:
    """Return an expectation's name as an asset check: expect_column_values_to_be_unique of event_id."""
    return "_".join([entry["expectation"].removeprefix("expect_"), *columns_of(entry)])


LOOKED_AT = {*TOKEN_COLUMNS, "tokens_total", "source_file", *chain.from_iterable(map(columns_of, SUITE))}
"""Columns that are kept of the calls until the checks: a first run may store millions, with long texts."""


@dg.multi_asset(
    specs=[
        spec(
            "inferences",
            "Every logged call as one canonical record, once, with personal data masked.",
            ["log_files"],
            LANDING,
        ),
        spec(
            "quarantine",
            "Every log line that could not be understood, with its file, line and reason.",
            ["log_files"],
            LANDING,
        ),
        spec(
            "feedback",
            "Ratings and scores that were logged apart from their calls, whenever they come.",
            ["log_files"],
            LANDING,
        ),
        spec(
            "traces",
            "Sessions, users and endpoints that were logged apart from the calls of their traces.",
            ["log_files"],
            LANDING,
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            check_name(entry),
            asset="inferences",
            blocking="mostly" not in entry,
            description=entry["meaning"],
        )
        for entry in SUITE
    ],
    partitions_def=systems,
    backfill_policy=one_run,
    pool="duckdb",
)
def ingestion(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
    audit_book: dg.ResourceParam[AuditBook],
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Read what is new in every log file; a file that grew is read on, a torn last line waits for its end."""
    work = Work(context, project, warehouse, "inference log")
    landed: list[Landing] = []
    for system in work.operated():
        with work.guarding(system.name, LogFolderError, SigningKeyMissing):
            source = Source(
                system.name,
                system.inference_log.format,
                work.clock,
                audit_book.whole_keys(system.name).pepper(system.name),
                mapping=system.inference_log.mapping,
                erased=erased_marks(warehouse, system.name),
                story_ends=system.as_of,
            )
            landed += _ingest(work, system, source)
    work.close()
    new = (
        pl.concat([one.inferences for one in landed])
        if landed
        else warehouse.tables["inference_log.inferences"].empty()
    )
    aside = (
        pl.concat([one.quarantine for one in landed])
        if landed
        else warehouse.tables["inference_log.quarantine"].empty()
    )
    yield dg.MaterializeResult(
        asset_key="inferences", metadata=_metadata(warehouse, "inferences", new, landed)
    )
    reasons = aside.group_by("system", "source_file", "reason").len("lines").sort("lines", descending=True)
    rows = warehouse.read("select count(*) as n from inference_log.quarantine")["n"][0]
    yield dg.MaterializeResult(
        asset_key="quarantine",
        metadata={"dagster/row_count": rows, "set aside now": aside.height, "reasons": table(reasons)},
    )
    for name in ("feedback", "traces"):
        stored = warehouse.read(f"select count(*) as n from inference_log.{name}")["n"][0]
        yield dg.MaterializeResult(asset_key=name, metadata={"dagster/row_count": stored})
    yield from _checks(new)


@dg.asset(
    deps=["inferences"],
    partitions_def=systems,
    backfill_policy=one_run,
    pool="duckdb",
    **labels("inference_log", CONTINUOUS),
)
def source_days(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """Calls that are missing or came twice, by the numbers that their sources gave them."""
    work = Work(context, project, warehouse, "numbers of sources")
    for system in work.operated():
        with work.guarding(system.name):
            found = days_of_sources(warehouse, system.name)
            warehouse.replace("inference_log.source_days", found, system=system.name)
    work.close()
    shown = warehouse.rows("inference_log.source_days").sort("day", descending=True)
    lost = shown.filter((pl.col("missing") > 0) | (pl.col("repeats") > 0))
    return dg.MaterializeResult(metadata={"dagster/row_count": shown.height, "not whole": table(lost)})


def _ingest(work: Work, system: System, source: Source) -> Iterator[Landing]:
    book = LogBook(work.warehouse, LogFolder(system.inference_log.folder), source)
    files, problems = book.listed()
    for problem in problems:
        work.problem(system.name, problem)
    for file in files:
        tally, latest = Tally(), source.present
        with work.guarding(system.name, OSError):
            for landing in book.read(file):
                tally.add(landing)
                latest = max([latest, *landing.inferences["occurred_at"].sort().tail(1)])
                for problem in shortfalls(book.place(file), landing.promised):
                    work.problem(system.name, problem)
                kept = [name for name in landing.inferences.columns if name in LOOKED_AT]
                yield replace(landing, inferences=landing.inferences.select(kept))
        if latest > source.present:
            work.problem(
                system.name,
                f"{file.name} holds calls dated up to {moment(latest)}; set the clock of the source right.",
            )
        work.context.log.info(f"{system.name}/{file.name}: {tally}")


def _metadata(warehouse: Warehouse, name: str, new: pl.DataFrame, landed: list[Landing]) -> dict[str, Any]:
    rows = warehouse.read(f"select count(*) as n from inference_log.{name}")["n"][0]
    ignored: Counter[str] = sum((one.ignored for one in landed), Counter())
    by_file = new.group_by("system", "source_file").agg(
        pl.len().alias("stored"),
        pl.col("occurred_at").min().alias("first"),
        pl.col("occurred_at").max().alias("last"),
    )
    return {
        "dagster/row_count": rows,
        "stored now": new.height,
        "of erased people, without texts": sum(one.forgotten for one in landed),
        "files": table(by_file.sort("system", "source_file"), 30),
        **(
            {"fields not understood": dg.MetadataValue.json(dict(ignored.most_common(20)))} if ignored else {}
        ),
    }


def _checks(new: pl.DataFrame) -> Iterator[dg.AssetCheckResult]:
    """Hold the rows stored now against the suite; without new rows there is nothing to doubt."""
    if new.is_empty():
        for entry in SUITE:
            yield dg.AssetCheckResult(
                passed=True,
                asset_key="inferences",
                check_name=check_name(entry),
                metadata={"note": "no new rows"},
            )
        return
    for entry, result in zip(SUITE, validate(for_expectations(new), SUITE), strict=True):
        yield _check(entry, result)


def _check(entry: dict[str, Any], result: ExpectationResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=result.success,
        asset_key="inferences",
        check_name=check_name(entry),
        severity=dg.AssetCheckSeverity.WARN if "mostly" in entry else dg.AssetCheckSeverity.ERROR,
        metadata={
            "observed": result.observed,
            **({"unexpected": result.unexpected_count} if result.unexpected_count is not None else {}),
            **({"could not be evaluated": result.exception} if result.exception else {}),
        },
    )
