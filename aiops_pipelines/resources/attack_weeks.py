"""Reads what a week's attacks on purpose came to; what counts as held is `compliance.adversarial`."""

from datetime import date, timedelta

import polars as pl

from aiops_pipelines.compliance.adversarial import adversarial_results
from aiops_pipelines.periods import midnight
from aiops_pipelines.rag.known_queries import attacks_in_force
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.resources.week_scores import end_of_week

CALLS = """
    select event_id, known_query_id, status, answered, answer, texts_deleted_at
    from inference_log.inferences
    where system = ? and occurred_at >= ? and occurred_at < ? and coalesce(operation, 'chat') = 'chat'
        and known_query_id in (select query_id from rag.adversarial_queries where system = ?)
"""


def attack_week(warehouse: Warehouse, system: str, week: date) -> pl.DataFrame:
    """Return compliance.adversarial_results of one week of a system."""
    start, end = midnight(week), midnight(week + timedelta(days=7))
    queries = warehouse.rows("rag.adversarial_queries", system=system)
    bounds = [start.replace(tzinfo=None), end.replace(tzinfo=None)]
    calls = warehouse.read(CALLS, [system, *bounds, system])
    stored = warehouse.rows("compliance.adversarial_results", system=system, week=week)
    told, whole = _of_week(queries, week)
    found = adversarial_results(system, week, told, whole, calls, stored)
    # deleting its lines undoes no defeat, and may be an accident
    deleted = stored.filter(~pl.col("query_id").is_in(queries["query_id"].to_list()), pl.col("calls") > 0)
    return pl.concat([found, deleted.select(found.columns)]).sort("query_id")


def _of_week(queries: pl.DataFrame, week: date) -> tuple[pl.DataFrame, set[str]]:
    """Return the attacks in force at any time of a week, and the ids of those in force all of it.

    What gave way on Tuesday did so, whoever retires it on Wednesday.
    """
    start, end = midnight(week), end_of_week(week)
    at_start, at_end = (set(attacks_in_force(queries, at)["query_id"]) for at in (start, end))
    attacks = queries.filter(~pl.col("retired"))
    begun = attacks.filter(pl.col("valid_from").is_between(start, end))["query_id"]
    told = attacks_in_force(attacks, end).filter(pl.col("query_id").is_in([*at_start, *begun]))
    return told, at_start & at_end
