"""Real data for tests, outside the repository; a test that needs it is skipped where it is absent."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("AIOPS_DATASETS", Path(__file__).parents[2] / "shared" / "datasets"))


def shared(name: str) -> Path:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{path} is not there; set AIOPS_DATASETS to the folder of the data sets")
    return path
