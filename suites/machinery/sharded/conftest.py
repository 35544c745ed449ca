"""One world of four ranks for all tests of a module: its start takes five seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.sharded.world import Processes
from suites.machinery.making.children import WAIT


@pytest.fixture(scope="session")
def world() -> Iterator[Processes]:
    """Four ranks, with time for a busy machine."""
    world = Processes(4, WAIT)
    yield world
    world.close()
