"""The world that is asked: processes of its own, or those that torchrun has started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fixtures.record.plan import Case
from fixtures.sharded.availability import Lacking
from fixtures.sharded.launch import is_launched
from fixtures.sharded.world import Launched, Processes, World
from fixtures.target.other_processes import Unavailable
from suites.conftest import settings_key
from suites.framework.exact_claims import Inconclusive
from suites.sharded.subjects import RANKS

SECONDS = {"quick": 60.0, "full": 600.0, "soak": 6 * 3600.0}
"""Time limit of a request by tier: a hundred times what it takes on two idle cores."""


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Ranks that can be asked."""
    settings = request.config.stash[settings_key]
    ranks: World = Launched() if is_launched() else Processes(RANKS, SECONDS[settings.tier])
    yield ranks
    ranks.close()


@pytest.fixture
def ask(request: pytest.FixtureRequest, case: Case, world: World) -> Callable[..., Any]:
    """Calls a function on every rank, as rank 0 answers: function, arguments.

    What this torch lacks is no evidence, and a rank that ends, raises or hangs a counterexample.
    """
    fault = request.config.stash[settings_key].fault

    def on_ranks(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return world.ask(case.subject.key, function, *arguments, fault=fault)
        except (Lacking, Unavailable) as reason:
            raise Inconclusive(str(reason)) from None

    return on_ranks
