"""orthogonal_ on sharded weights: the whole is orthogonal, and of its law as far as one matrix shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from fixtures.record.kinds import Sharded
from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.sharded.evidence import whole_weight
from fixtures.sharded.orthogonal import orthogonal_questions
from fixtures.target.target import Target
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_if_there
from suites.sharded.subjects import RANKS, SHAPE, on_which

ORTHOGONAL = "sharded.orthogonal"


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in on_which(devices):
        for seeds in ("same", "by_rank"):
            path = str(Sharded("rows", RANKS, seeds))
            subject = Subject("orthogonal_", SHAPE, "float32", None, None, None, device=device, path=path)
            yield Case(family=ORTHOGONAL, subject=subject, draws=subject.numel, resolution=0.0)


@asks(ORTHOGONAL, cases, orthogonal_questions)
def test_the_whole_is_orthogonal(case: Case, findings: Findings, target: Target, ask: Callable[..., Any]) -> None:
    def drawn(_draws: int, seed: int) -> torch.Tensor:
        """Draw one matrix: the confirmation asks another."""
        return ask(whole_weight, case.subject, seed, target.name)  # type: ignore[no-any-return]  # as a rank answers

    judge_if_there(findings, drawn)
