"""Where a system's index is published, as its file says: the store, its arguments and the names of secrets.

What can be made of it is known by `resources.stores`.
"""

import re
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from aiops_pipelines.part import Part

DUCKDB, LANCEDB, QDRANT = STORES = ("duckdb", "lancedb", "qdrant")
COLLECTION = "{collection}"
"""Stands in the arguments of a class for the name of the collection to open."""
_PATHS = {DUCKDB: "file", LANCEDB: "uri", QDRANT: "path"}
_SECRET = re.compile("secret|password|token|key|credential", re.IGNORECASE)


class Publish(Part):
    """A vector store by name, or any LlamaIndex vector store class by its dotted name."""

    store: str = DUCKDB
    arguments: dict[str, Any] = Field(default_factory=dict)
    secrets: dict[str, str] = Field(default_factory=dict)
    """Argument to the environment variable that holds it."""
    probe_overlap: float = Field(default=1.0, gt=0, le=1)
    """Share of the nearest nodes that a probe must find; below 1 for a store that searches approximately."""
    folder: Path = Path("vectors")
    """Where stores on this machine are kept, and what they cannot keep themselves."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.store not in STORES and not re.fullmatch(r"\w+(\.\w+)+", self.store):
            raise ValueError(
                f"{self.store} is no store; give {', '.join(STORES)} or the dotted name of a LlamaIndex class"
            )
        if self.store not in STORES and COLLECTION not in map(str, self.arguments.values()):
            raise ValueError(
                f"give '{COLLECTION}' as the argument that names the collection, or two spaces would mix"
            )
        return self

    @model_validator(mode="after")
    def _no_secrets(self) -> Self:
        if named := sorted(key for key in self.arguments if _SECRET.search(key)):
            raise ValueError(
                f"arguments holds {', '.join(named)}; name the environment variable that holds it instead, "
                f"secrets: {{{named[0]}: NAME}}"
            )
        if any(re.search(r"://[^/@]*:[^/@]*@", str(value)) for value in self.arguments.values()):
            raise ValueError("an address holds a password; leave it to the environment")
        if wrong := sorted(
            key for key, name in self.secrets.items() if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name)
        ):
            raise ValueError(f"secrets names the environment variable of {', '.join(wrong)}, in capitals")
        return self

    def rooted(self, root: Path, system: str) -> Self:
        """Return the settings with relative paths taken from `root`; a store without a place gets one."""
        folder, arguments, name = root / self.folder, dict(self.arguments), _PATHS.get(self.store)
        if name and not arguments.keys() & {name, "url", "host"}:
            arguments[name] = str(folder / f"{system}.{self.store}")
        elif name in arguments and "://" not in str(arguments[name]):
            arguments[name] = str(root / str(arguments[name]))
        return self.model_copy(update={"folder": folder, "arguments": arguments})
