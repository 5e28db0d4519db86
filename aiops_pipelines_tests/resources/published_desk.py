"""A small index, and stores to publish it to: DuckDB, LanceDB and Qdrant for real, and a class by its name."""

from pathlib import Path
from typing import Any

import polars as pl

from aiops_pipelines.project import Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.publishing import Publisher
from aiops_pipelines.resources.recipes import Recipes
from aiops_pipelines.resources.vector_store import Store, vector_store
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines_tests.resources.desk import desk, write_corpus

CLASS = "aiops_pipelines.resources.stores.duckdb_vectors.DuckDBVectorStore"
STORES = ("duckdb", "lancedb", "qdrant", CLASS)


def published_desk(project: Project, store: str, name: str = "desk", **publish: Any) -> System:
    settings: dict[str, Any] = {"store": store} | publish
    if store not in STORES[:3]:
        file = str(project.data / "vectors" / "class.duckdb")
        settings = {"arguments": {"file": file, "table": "{collection}"}} | settings
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    return desk(project, name=name, publish=settings).rooted(project.data)


def publisher(project: Project, warehouse: Warehouse) -> Publisher:
    return Publisher(warehouse, Recipes(warehouse), AuditBook(project, warehouse, Keys(project.keys)))


def opened(system: System, warehouse: Warehouse) -> Store:
    assert system.publish
    chunks = warehouse.rows("rag.index_chunks", system=system.name)
    from aiops_pipelines.rag.publication import node_id

    pairs = chunks.select("document", "chunk_id").unique().iter_rows()
    return vector_store(system.name, system.publish, [node_id(*pair) for pair in pairs])


def contents(system: System, warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """What readers are given: every node with its metadata (but the run's), text and rounded vector."""
    store = opened(system, warehouse)
    try:
        held = store.held()
        if held.is_empty():
            return []
        nodes = store.view().nodes(held["node_id"].to_list())
        return sorted(
            (
                node.node_id,
                sorted((k, v) for k, v in node.metadata.items() if k not in ("run", "index_version")),
                node.get_content(),
                [round(float(x), 5) for x in node.embedding or ()],
            )
            for node in nodes
        )
    finally:
        store.close()


def documents(system: System, warehouse: Warehouse) -> set[str]:
    return {dict(metadata)["document"] for _, metadata, _, _ in contents(system, warehouse)}


def publications(warehouse: Warehouse, system: str = "desk") -> pl.DataFrame:
    return warehouse.rows("rag.publications", system=system).sort("number")


__all__ = ["write_corpus"]
