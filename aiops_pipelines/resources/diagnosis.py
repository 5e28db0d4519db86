"""The queries of an incident's runbook, asked when it opens, so that who is called finds them answered.

What they ask is the runbook's. They come from files that a team writes, so they are asked where they reach
nothing but the tables, and not for ever.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from threading import Timer
from typing import Any

import duckdb
import polars as pl

from aiops_pipelines.incidents.runbooks import Query, Runbook
from aiops_pipelines.resources.warehouse import Warehouse

TABLE = "incidents.diagnoses"
ROWS_KEPT = 20
LONGEST_S = 30
Row = Mapping[str, Any]


def diagnose(
    warehouse: Warehouse, incidents: Iterable[Row], runbooks: Mapping[str, Runbook], now: datetime
) -> pl.DataFrame:
    """Return the answers to the diagnosis queries of some incidents: rows of `incidents.diagnoses`.

    A query that fails, or takes longer than half a minute, is a row with the reason.

    Args:
        warehouse: holds the tables; nobody may have it open for writing.
        incidents: rows of `incidents.incidents`.
        runbooks: runbooks by name.
        now: when they are asked, UTC-aware.
    """
    rows = []
    with warehouse.locked() as connection:
        for incident in incidents:
            runbook = runbooks.get(incident["runbook"] or "")
            for position, query in enumerate(runbook.diagnosis if runbook else (), 1):
                key = (incident["system"], incident["incident_id"], now, incident["runbook"], position)
                rows.append((*key, query.question, *_answer(connection, query, incident["system"])))
    return pl.DataFrame(rows, schema=warehouse.tables[TABLE].schema, orient="row")


def _answer(
    connection: duckdb.DuckDBPyConnection, query: Query, system: str
) -> tuple[str | None, bool | None, str | None]:
    """Return the first rows as JSON, whether there are more, and why there is no answer."""
    timer = Timer(LONGEST_S, connection.interrupt)
    timer.start()
    try:
        found = connection.execute(query.sql, {"system": system})
        columns = [column for column, *_ in found.description or ()]
        rows = found.fetchmany(ROWS_KEPT + 1)
        answer = {"columns": columns, "rows": rows[:ROWS_KEPT]}
        return (
            json.dumps(answer, ensure_ascii=False, allow_nan=False, default=str),
            len(rows) > ROWS_KEPT,
            None,
        )
    except duckdb.Error as error:
        return None, None, (str(error).splitlines() or [type(error).__name__])[0]
    except (TypeError, ValueError, ArithmeticError) as error:  # DuckDB holds what Python or JSON does not
        return None, None, f"The answer cannot be kept as JSON: {error}"
    finally:
        timer.cancel()
