"""Limits of the machine, measured where and when the workloads are: bytes copied, products multiplied.

A fraction of these is comparable between machines, and says how much faster a workload could become at all. What
disturbs a measurement of a limit only ever lowers it, so the best of many short ones counts: between two time slices of
other processes there is room for a few milliseconds, not for fifty.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable
from functools import partial

import torch

from fixtures.clock.workloads import DTYPES, Call, Work
from fixtures.target.device import CACHE_BYTES, Device, timed

SECONDS = 0.5
"""That a limit is looked for."""

LEAST_SIZE = 512
"""Rows and columns of the first product: 3 ms of a core of 100 GFLOP/s, which does no more with 768 (0.99 of it)."""

PRODUCT_SECONDS = 1e-3
"""That a product takes at least: launching one, 10 us and less, is 1 % of it. Sizes are doubled up to there, so that a
device which is slow at a dtype, as one that emulates it, is not asked for minutes."""

COPIED_BYTES = {"cpu": 1 << 24}
"""At once: a millisecond. An accelerator copies all at once: its launches would count otherwise."""


class Limits:
    """Limits of the machine; each is measured once, when it is first asked for.

    Attributes:
        found: bytes or floating-point operations a second by device, kind ("copy" or "matmul") and dtype.
    """

    def __init__(self) -> None:
        self.found: dict[tuple[str, str, str], float] = {}

    def of(self, kind: str, dtype: str, device: Device) -> float:
        """The limit of this kind."""
        key = device.name, kind, dtype
        if key not in self.found:
            self.found[key] = {"copy": copied_bytes, "matmul": matmul_flops}[kind](dtype, device)
        return self.found[key]


def kind_of_limit(work: Work) -> str | None:
    """Kind of limit of such work: products where there are any, else memory; None for what is not torch's."""
    if work.flops:
        return "matmul"
    return "copy" if work.bytes else None


def copied_bytes(dtype: str, device: Device) -> float:
    """Bytes a second that a copy reads and writes (as STREAM counts them), of memory that no cache holds.

    Piece by piece of more than any cache can hold, so that none of it is there when its turn comes again.
    """
    at_once = COPIED_BYTES.get(device.name, CACHE_BYTES)
    elements = CACHE_BYTES // DTYPES[dtype].itemsize
    source, target = (torch.ones(elements, dtype=DTYPES[dtype], device=device.name) for _ in range(2))
    pieces = zip(target.chunk(CACHE_BYTES // at_once), source.chunk(CACHE_BYTES // at_once), strict=True)
    return 2 * at_once / best_seconds([partial(into.copy_, piece) for into, piece in pieces], device)


def matmul_flops(dtype: str, device: Device) -> float:
    """Multiplications and additions a second of a square product that takes PRODUCT_SECONDS at least."""
    for size in itertools.accumulate(itertools.repeat(2), operator.mul, initial=LEAST_SIZE):
        left, right = (torch.ones(size, size, dtype=DTYPES[dtype], device=device.name) for _ in range(2))
        product = partial(torch.mm, left, right)
        product()  # a library that is loaded at its first call is not what a product takes
        if timed(product, 1, device) >= PRODUCT_SECONDS:
            break
    return 2 * size**3 / best_seconds([product], device)


def best_seconds(calls: Iterable[Call], device: Device) -> float:
    """Least seconds that any of some calls takes, in turn until SECONDS have been spent on them."""
    best, spent = float("inf"), 0.0
    for call in itertools.cycle(calls):
        took = timed(call, 1, device)
        best, spent = min(best, took), spent + took
        if spent > SECONDS:
            return best
    raise ValueError("no call to time")
