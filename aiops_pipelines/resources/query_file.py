"""The file of a system's known queries: read into the warehouse, and added to line by line.

What a line means is `rag.known_queries`.
"""

import polars as pl

from aiops_pipelines.rag.known_queries import JUDGEMENTS, KNOWN_QUERIES, parse_known_queries
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System


def read(system: System) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    """Return known queries, judgements and a sentence for each problem; without a usable file no rows.

    Raises:
        OSError: the file cannot be read.
    """
    file = system.known_queries
    none = pl.DataFrame(schema=KNOWN_QUERIES), pl.DataFrame(schema=JUDGEMENTS)
    if file is None:
        said = (
            "No known queries are configured, so nothing can be compared with the truth; write "
            "known_queries in its file."
        )
        return *none, [said]
    if not file.exists():
        return *none, [f"{file.name} does not exist; restore it or change known_queries."]
    lines = file.read_text(encoding="utf-8").splitlines()
    known, judged, problems = parse_known_queries(system.name, lines)
    return known, judged, [f"{file.name}: {sentence}" for sentence in problems]


def load(warehouse: Warehouse, system: System) -> list[str]:
    """Bring the tables level with the file and return the problems; without a file they stay as they are.

    Raises:
        OSError: the file cannot be read.
    """
    known, judged, problems = read(system)
    if system.known_queries is not None and system.known_queries.exists():
        with warehouse.writing() as writer:
            writer.replace("rag.known_queries", known, system=system.name)
            writer.replace("rag.judgements", judged, system=system.name)
    return problems
