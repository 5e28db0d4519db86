"""The code location: everything in `defs`, with the freshness policy of its cadence."""

import dagster as dg
from dagster.components import definitions, load_defs

import aiops_pipelines.defs
from aiops_pipelines.defs.cadences import FRESHNESS


def _with_freshness(spec: dg.AssetSpec) -> dg.AssetSpec:
    policy = FRESHNESS.get(spec.tags.get("cadence", ""))
    return spec.replace_attributes(freshness_policy=policy) if policy else spec


@definitions
def defs() -> dg.Definitions:
    """Return all definitions of this project."""
    loaded = load_defs(aiops_pipelines.defs)
    return loaded.permissive_map_resolved_asset_specs(
        func=_with_freshness, selection=dg.AssetSelection.all().materializable()
    )
