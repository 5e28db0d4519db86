"""Where things are: one data folder holds what is read and everything that is produced.

Nothing here opens a file. Set `AIOPS_DATA` to operate another data folder than the project's own.
"""

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Project:
    """The paths of one installation, all below its data folder except the dbt project."""

    data: Path
    dbt: Path = ROOT / "dbt_project"

    @classmethod
    def here(cls) -> "Project":
        """Return the project of `AIOPS_DATA`, or the `data` folder beside the package."""
        return cls(Path(os.environ.get("AIOPS_DATA") or ROOT / "data").resolve())

    @property
    def systems(self) -> Path:
        """One YAML file per AI system."""
        return self.data / "systems"

    @property
    def runbooks(self) -> Path:
        """One YAML file per runbook; the project's own where the data folder has none."""
        own = self.data / "runbooks"
        return own if own.is_dir() else ROOT / "data" / "runbooks"

    @property
    def warehouse(self) -> Path:
        """The working DuckDB file; pipelines write here, one process at a time."""
        return self.data / "warehouse" / "aiops.duckdb"

    @property
    def published(self) -> Path:
        """The read-only copy analysts open; replaced as a whole, never written in place."""
        return self.data / "aiops.duckdb"

    @property
    def reports(self) -> Path:
        """Weekly reviews and monthly reports."""
        return self.data / "reports"

    @property
    def audit(self) -> Path:
        """Checkpoints and tiles of the audit logs."""
        return self.data / "audit"

    @property
    def keys(self) -> Path:
        """Signing and subject keys; never published, never in the warehouse."""
        return self.data / "keys"

    @property
    def notifications(self) -> Path:
        """Where the offline notifier writes."""
        return self.data / "notifications"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own storage."""
        return self.data / "dagster"
