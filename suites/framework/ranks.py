"""Runs that torchrun has started: the same questions on every rank, and one record, which rank 0 writes."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

from torch import distributed

from fixtures.sharded.launch import launched_rank, launched_ranks
from fixtures.sharded.rank import join
from suites.framework.settings import Settings

SECONDS = 600.0
"""Time that a collective waits for the other ranks; one that has ended is seen at once."""


def agreed(settings: Settings) -> Settings:
    """Join the ranks, and take over rank 0's seeds, or each would ask other questions.

    Every rank but the first keeps its record in a folder that nobody reads.
    """
    ranks = launched_ranks()
    assert ranks is not None
    join(launched_rank(), ranks, None, SECONDS)
    shared: list[Any] = [settings.seed, settings.salt]
    distributed.broadcast_object_list(shared, 0)
    folder = settings.run_dir if launched_rank() == 0 else Path(tempfile.mkdtemp(prefix="rank-"))
    return dataclasses.replace(settings, seed=shared[0], salt=shared[1], run_dir=folder)


def leave() -> None:
    """Leave the ranks, once all have come to their end: torchrun ends those that outlive one that failed."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
