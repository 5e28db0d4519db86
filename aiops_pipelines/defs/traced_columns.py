"""Schema and lineage of the models' columns as last traced, kept beside dbt's manifest until the SQL changes.

Tracing takes seven seconds of parsing a run, for an answer that is the same in each run and each data folder.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster import deserialize_value, serialize_value

TRACED = ("dagster/column_schema", "dagster/column_lineage")


class TracedColumns:
    """One file of metadata by model, for one version of the SQL."""

    def __init__(self, file: Path, version: str):
        self._file, self._version = file, version

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the metadata of every model that was traced in this version."""
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            columns = kept["columns"].items() if kept["version"] == self._version else ()
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}  # nothing was kept, or not by this version
        return {
            model: {name: deserialize_value(value) for name, value in metadata.items()}
            for model, metadata in columns
        }

    def keep(self, built: Mapping[str, Mapping[str, Any]]) -> None:
        """Add what was traced, out of all metadata of the models that were built."""
        found = self.read() | {
            model: {name: metadata[name] for name in TRACED if name in metadata}
            for model, metadata in built.items()
        }
        columns = {
            model: {name: serialize_value(value) for name, value in metadata.items()}
            for model, metadata in found.items()
        }
        written = self._file.with_suffix(f".{os.getpid()}")
        written.write_text(json.dumps({"version": self._version, "columns": columns}), encoding="utf-8")
        written.replace(self._file)
