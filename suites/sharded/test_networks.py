"""Networks that ranks train together: outputs, gradients and a step as in one process, up to rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

from fixtures.record.kinds import ShardedNetwork
from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.sharded.network_links import compare_with_one_process, network_questions
from fixtures.sharded.networks import train_once
from suites.framework.findings import Findings
from suites.framework.links import cases_of, settle_all
from suites.framework.questions import asks
from suites.sharded.subjects import RANKS, on_which

NETWORK = "sharded.network"

SHAPE = (16 * RANKS, 12 * RANKS)
"""Of the first weight: both of its sides can be cut over all ranks."""

LAYOUTS: tuple[Literal["fsdp", "tensor_parallel"], ...] = ("fsdp", "tensor_parallel")


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in on_which(devices):
        for layout in LAYOUTS:
            path = str(ShardedNetwork(layout, RANKS))
            subject = Subject("nn.Linear", SHAPE, "float32", None, None, None, device=device, path=path)
            yield from cases_of(NETWORK, tier, [subject])


@asks(NETWORK, cases, network_questions)
def test_ranks_train_as_one_process(case: Case, findings: Findings, ask: Callable[..., Any]) -> None:
    settle_all(findings, partial(ask, train_once, case.subject), partial(compare_with_one_process, case.subject))
