"""dbt's models as assets, one run of dbt a cadence, and the copy that analysts read."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.core.dbt_event_iterator import DbtEventIterator

from aiops_pipelines.defs.bodies import OWNER, labels
from aiops_pipelines.defs.cadences import CADENCES, CONTINUOUS, MONTHLY, WEEKLY
from aiops_pipelines.defs.resources import Dbt, dbt_project, project
from aiops_pipelines.defs.traced_columns import TracedColumns
from aiops_pipelines.project import Project
from aiops_pipelines.resources.warehouse import Warehouse

MANIFEST = json.loads(dbt_project.manifest_path.read_text(encoding="utf-8"))
NODES = [node for node in MANIFEST["nodes"].values() if node["resource_type"] == "model"]
MODELS = sorted(node["name"] for node in NODES)
RELATIONS = {node["name"]: f"{node['schema']}.{node['name']}" for node in NODES}
VERSION = hashlib.sha256(
    "".join(sorted(node["checksum"]["checksum"] for node in NODES)).encode()
).hexdigest()[:16]
COLUMNS = TracedColumns(dbt_project.manifest_path.with_name("traced_columns.json"), VERSION)


class Translator(DagsterDbtTranslator):
    """dbt's folder is Dagster's group, and a model's asset key is its name alone."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return the table's name, which is unique over all pillars."""
        return dg.AssetKey(dbt_resource_props["name"])

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the cadence, which dbt knows as a tag."""
        found = [tag for tag in dbt_resource_props.get("tags", []) if tag in CADENCES]
        return {"cadence": found[0]} if found else {}

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """Return the team that keeps the models."""
        return [OWNER]


translator = Translator(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))


def _stream(context: dg.AssetExecutionContext, dbt: Dbt, warehouse: Warehouse) -> Iterator[Any]:
    """Build the models; rows are counted here, columns are traced by dagster-dbt when the SQL is new."""
    build = dbt.cli(
        ["build", "--exclude", "resource_type:unit_test"],  # those run in the suite
        context=context,
        # a folder a run, dagster-dbt's own way, is 3 MB every quarter of an hour, and parses everything anew;
        # the pool lets one cadence at a time write into it
        target_path=project.dagster_home / "dbt",
    )
    selected, traced = {key.to_user_string() for key in context.selected_asset_keys}, COLUMNS.read()
    known = traced if selected <= set(traced) else {}
    try:
        # all of them first: the tracing polls for the next one, which takes a core for as long as dbt builds
        built = DbtEventIterator(iter(list(build.stream())), build)
        if not known:
            dbt.trace_with_adapter(build)
        events = list(built if known else built.fetch_column_metadata())
    finally:
        if build.adapter:
            _let_go(build.adapter)
    outputs = {
        context.asset_key_for_output(event.output_name).to_user_string(): event.metadata or {}
        for event in events
        if isinstance(event, dg.Output)
    }
    if not known:
        COLUMNS.keep(outputs)
    for event in events:
        if isinstance(event, dg.Output):
            model = context.asset_key_for_output(event.output_name).to_user_string()
            metadata = {**outputs[model], **known.get(model, {})}
            if warehouse.built(path := RELATIONS[model]):
                metadata["dagster/row_count"] = warehouse.read(f"select count(*) as n from {path}")["n"][0]
            yield event.with_metadata(metadata)
        else:
            yield event


def _let_go(adapter: Any) -> None:
    """Close the connections dagster-dbt traced columns through; they stay open and would lock the file."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    manager: Any = DuckDBConnectionManager
    adapter.connections.cleanup_all()
    if manager._ENV is not None:
        manager._ENV.close()
    manager.close_all_connections()


@dbt_assets(
    manifest=dbt_project.manifest_path,
    select=f"tag:{CONTINUOUS}",
    dagster_dbt_translator=translator,
    pool="duckdb",
)
def continuous_models(
    context: dg.AssetExecutionContext, dbt: Dbt, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[Any]:
    """Roll-ups of every hour and day."""
    yield from _stream(context, dbt, warehouse)


@dbt_assets(
    manifest=dbt_project.manifest_path,
    select=f"tag:{WEEKLY}",
    dagster_dbt_translator=translator,
    pool="duckdb",
)
def weekly_models(
    context: dg.AssetExecutionContext, dbt: Dbt, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[Any]:
    """Roll-ups of every week."""
    yield from _stream(context, dbt, warehouse)


@dbt_assets(
    manifest=dbt_project.manifest_path,
    select=f"tag:{MONTHLY}",
    dagster_dbt_translator=translator,
    pool="duckdb",
)
def monthly_models(
    context: dg.AssetExecutionContext, dbt: Dbt, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[Any]:
    """Roll-ups of every month."""
    yield from _stream(context, dbt, warehouse)


def descriptions() -> dict[str, tuple[str, dict[str, str]]]:
    """Return the data dictionary: what each table and column means, by the table's qualified name."""
    relations = [*MANIFEST["nodes"].values(), *MANIFEST["sources"].values()]
    return {
        f"{node['schema']}.{node['name']}": (
            node["description"],
            {name: column["description"] for name, column in node["columns"].items()},
        )
        for node in relations
        if node["resource_type"] in ("model", "source")
    }


@dg.asset(
    deps=[
        "audit_log",
        "text_deletions",
        "weekly_reviews",
        "compliance_reports",
        "report_amendments",
        "retrieval_quality",
        "user_signals",
        "call_rates",
        "latency_percentiles",
        "alerts",
        *MODELS,
    ],
    pool="duckdb",
    **labels("warehouse", CONTINUOUS),
)
def analyst_copy(
    context: dg.AssetExecutionContext,
    project: dg.ResourceParam[Project],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """A DuckDB file for readers with every table described, swapped in as a whole."""
    counts = warehouse.publish(project.published, descriptions())
    rows = "\n".join(f"| {name} | {n:,} |" for name, n in counts.items())
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(counts.values()),
            "file": dg.MetadataValue.path(str(project.published)),
            "size_mb": round(project.published.stat().st_size / 1e6, 1),
            "tables": dg.MetadataValue.md(f"| table | rows |\n| --- | ---: |\n{rows}"),
        }
    )
