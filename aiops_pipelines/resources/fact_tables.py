"""The tables that rules read, as the facts of one system.

What is read in them is decided in `incidents.rules`.
"""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from aiops_pipelines.incidents.facts import Facts
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

FACTS = {
    "drift_verdicts": "drift.drift_verdicts",
    "drift_causes": "drift.drift_causes",
    "index_freshness": "rag.index_freshness",
    "retrieval_changes": "rag.retrieval_changes",
    "document_findings": "rag.document_findings",
    "spend_growth_since_baseline": "costs.spend_growth_since_baseline",
    "alert_readings": "monitoring.alert_readings",
    "spend_anomalies": "costs.spend_anomalies",
    "daily_pricing": "costs.daily_pricing",
    "daily_traffic": "monitoring.daily_traffic",
    "guardrail_readings": "compliance.guardrail_readings",
    "guardrail_acts": "compliance.guardrail_acts",
    "adversarial_results": "compliance.adversarial_results",
    "audit_verifications": "compliance.audit_verifications",
    "source_days": "inference_log.source_days",
    "invoice_checks": "costs.invoice_checks",
}


def gathered(warehouse: Warehouse, tables: Mapping[str, str], system: str) -> dict[str, pl.DataFrame]:
    """Return one system's rows of the tables that exist, by the name they are asked for."""
    return {
        name: warehouse.rows(table, system=system) for name, table in tables.items() if warehouse.built(table)
    }


def facts_of(warehouse: Warehouse, system: System, clock: datetime) -> Facts:
    """Return what the rules read of a system."""
    sql = (
        "select occurred_at from inference_log.inferences where system = ? "
        "and coalesce(operation, 'chat') = 'chat'"
    )
    times = warehouse.read(sql, [system.name])
    return Facts(system.name, system.now(clock), call_times=times, **gathered(warehouse, FACTS, system.name))
