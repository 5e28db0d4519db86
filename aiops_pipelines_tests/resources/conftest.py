"""What tests of resources share."""

from collections.abc import Iterator

import pytest

from aiops_pipelines_tests.resources import dying


@pytest.fixture(scope="module")
def in_a_child() -> Iterator[dying.Run]:
    """Run a function in a process of its own, which may be killed, and return its exit code."""
    with dying.children() as run:
        yield run
