"""Answers of ranks to a test of suites/sharded, with a fault planted on them, in one world for many faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from fixtures.record.claim import Claim
from fixtures.record.subject import Subject
from fixtures.sharded.world import World
from fixtures.target.target import TORCH, Target, load_target
from suites.machinery.making.answers import answers


def answers_of_ranks(
    test: Callable[..., None],
    world: World,
    fault: str | None,
    wanted: Callable[[Subject], bool],
    target: Target | None = None,
) -> Iterator[Claim]:
    """Claims that a test finds about a target.

    Args:
        test: marked with `asks`.
        world: that is asked.
        fault: that is planted on each rank.
        wanted: subjects that are asked about.
        target: torch's own where none is given.
    """

    def ask(function: Callable[..., Any], *arguments: Any) -> Any:
        return world.ask("a test", function, *arguments, fault=fault)

    yield from answers(test, target or load_target(TORCH), wanted, ask=ask)


def sum_of_ranks(values: list[int]) -> int:
    """Add up one value of each rank, as a collective does."""
    value = torch.tensor(values[torch.distributed.get_rank()])
    torch.distributed.all_reduce(value)
    return int(value)
