"""AI Operations for LLM and RAG systems in production, as one Dagster project over DuckDB.

A logged call lands, is validated, is rolled up, is judged, moves a verdict, opens an incident and ends as a
line in the month's report. Each pillar is a package of pure functions; `defs` wires them to Dagster,
`resources` to the outside world, `cli` to the terminal.
"""

PILLARS = ("inference_log", "rag", "monitoring", "drift", "costs", "compliance", "incidents")
