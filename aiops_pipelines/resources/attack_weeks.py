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
    at_start, at_end = (
        attacks_in_force(queries, at)["query_id"].to_list() for at in (start, end_of_week(week))
    )
    attacks = queries.filter(~pl.col("retired"))
    begun = attacks.filter(pl.col("valid_from").is_between(start, end, closed="left"))["query_id"].to_list()
    # also one retired since: what gave way on Tuesday did so, whoever retires it on Wednesday
    told = attacks_in_force(attacks, end_of_week(week))
    told = told.filter(pl.col("query_id").is_in([*at_start, *begun]))
    return adversarial_results(system, week, told, set(at_start) & set(at_end), calls, stored)
