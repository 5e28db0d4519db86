"""The vector stores by name; each is one file of `stores`."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

from aiops_pipelines.rag.store_settings import DUCKDB, LANCEDB, QDRANT, Publish
from aiops_pipelines.resources.dotted import DottedNameError, named
from aiops_pipelines.resources.stores.base import Store, StoreError
from aiops_pipelines.resources.stores.duckdb_file import DuckDBFile
from aiops_pipelines.resources.stores.lance import LanceDB
from aiops_pipelines.resources.stores.llama import LlamaStore
from aiops_pipelines.resources.stores.qdrant import Qdrant

__all__ = ["Store", "StoreError", "look_over", "vector_store"]

STORES: Mapping[str, Callable[..., Store]] = {DUCKDB: DuckDBFile, LANCEDB: LanceDB, QDRANT: Qdrant}
_PACKAGES = {LANCEDB: "llama_index.vector_stores.lancedb", QDRANT: "llama_index.vector_stores.qdrant"}
"""What the extra of the same name installs."""


def vector_store(system: str, publish: Publish, known: Sequence[str] = ()) -> Store:
    """Return the store of a system; its alias is the system's name. Nothing is opened before it is asked.

    Args:
        system: the system's name.
        publish: its settings, with paths taken from the data folder.
        known: ids that a collection may hold, for classes that cannot list theirs.

    Raises:
        StoreError: a package or an environment variable is missing, or the arguments do not fit.
    """
    look_over(publish)
    arguments = publish.arguments | {key: os.environ[name] for key, name in publish.secrets.items()}
    if publish.store not in STORES:
        return LlamaStore(system, publish.store, arguments, publish.folder / f"{system}.json", known)
    try:
        return STORES[publish.store](system, **arguments)
    except TypeError as error:
        raise StoreError(f"publish.arguments do not fit {publish.store}: {error}.") from error


def look_over(publish: Publish) -> None:
    """Say what is missing before anything is opened.

    Raises:
        StoreError: a package or an environment variable is missing.
    """
    package = _PACKAGES.get(publish.store)
    if package and not _installed(package):
        raise StoreError(
            f"Publishing to {publish.store} needs a package that is not installed: "
            f"pip install aiops-pipelines[{publish.store}]"
        )
    if publish.store not in STORES:
        try:
            named(publish.store)
        except DottedNameError as error:
            raise StoreError(str(error)) from error
    if unset := sorted(name for name in publish.secrets.values() if name not in os.environ):
        raise StoreError(f"The environment variable {unset[0]} is not set; publish.secrets names it.")


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
