"""The code location: all of `defs`, with the freshness policy of its cadence and its table's columns."""

import dagster as dg
from dagster.components import definitions, load_defs

import aiops_pipelines.defs
from aiops_pipelines.defs.cadences import FRESHNESS
from aiops_pipelines.project import Project
from aiops_pipelines.resources.tables import Table, declared_tables

COLUMNS = "dagster/column_schema"


def _columns(table: Table) -> dict[str, dg.TableSchema | str]:
    columns = [dg.TableColumn(column.name, column.type, column.description) for column in table.columns]
    return {COLUMNS: dg.TableSchema(columns), "dagster/table_name": table.path}


@definitions
def defs() -> dg.Definitions:
    """Return all definitions of this project."""
    tables = {table.name: table for table in declared_tables(Project.here().dbt).values()}

    def complete(spec: dg.AssetSpec) -> dg.AssetSpec:
        policy = FRESHNESS.get(spec.tags.get("cadence", ""))
        spec = spec.replace_attributes(freshness_policy=policy) if policy else spec
        table = tables.get(spec.key.to_user_string())
        return spec.merge_attributes(metadata=_columns(table)) if table else spec

    loaded = load_defs(aiops_pipelines.defs)
    return loaded.permissive_map_resolved_asset_specs(
        func=complete, selection=dg.AssetSelection.all().materializable()
    )
