"""Sharded weights: the assembled law, shards that do not repeat each other, equal replicas, each element in place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from fixtures.record.kinds import Seeds, Sharded, ShardLayout
from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.sharded.evidence import TENSORS, Evidence, gather, whole_weight
from fixtures.sharded.questions import digest_questions, sharded_questions
from fixtures.target.target import Target
from fixtures.weights.streams import DIGEST_SEED, Stream, digest
from suites.framework.exact_claims import exact_case, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_if_there
from suites.sharded.subjects import RANKS, SHAPE, SIDE, on_which

SHARDED, DIGEST = "sharded.weights", "sharded.digest"

ROUNDS = {"quick": 1, "full": 16, "soak": 256}
"""Rounds by tier, each of TENSORS tensors."""

UNEVEN, FEW = (SIDE - 1, SIDE), (RANKS - 1, SIDE)
"""A last shard that is shorter than the others, and fewer rows than ranks."""

SAME_AND_BY_RANK: tuple[Seeds, ...] = ("same", "by_rank")

RESET = "kaiming_uniform_"
"""By which a linear layer resets its weight, with a slope of sqrt(5) (fixtures/weights/module_defaults.py)."""

ASKED: tuple[tuple[str, ShardLayout, tuple[int, ...], str, tuple[Seeds, ...]], ...] = (
    # initializer, layout, shape, dtype, seeds
    ("kaiming_normal_", "rows", SHAPE, "float32", ("same", "by_rank", "mesh", "generator")),
    ("kaiming_normal_", "columns", SHAPE, "float32", SAME_AND_BY_RANK),
    ("kaiming_normal_", "replicas", SHAPE, "float32", SAME_AND_BY_RANK),
    ("kaiming_normal_", "grid", SHAPE, "float32", SAME_AND_BY_RANK),
    ("kaiming_normal_", "hybrid", SHAPE, "float32", SAME_AND_BY_RANK),
    ("kaiming_normal_", "rows", UNEVEN, "float32", SAME_AND_BY_RANK),
    ("kaiming_normal_", "rows", FEW, "float32", SAME_AND_BY_RANK),
    ("kaiming_normal_", "by_hand", SHAPE, "float32", ("same",)),
    ("kaiming_normal_", "fsdp", SHAPE, "float32", SAME_AND_BY_RANK),
    ("kaiming_normal_", "column_parallel", SHAPE, "float32", ("same",)),
    ("kaiming_normal_", "row_parallel", SHAPE, "float32", ("by_rank",)),
    ("kaiming_normal_", "rows", SHAPE, "bfloat16", SAME_AND_BY_RANK),
    ("kaiming_normal_", "fsdp", SHAPE, "bfloat16", ("by_rank",)),
    ("kaiming_uniform_", "columns", SHAPE, "float32", ("by_rank",)),
    ("trunc_normal_(std=0.02)", "rows", SHAPE, "float32", SAME_AND_BY_RANK),
    (RESET, "fsdp_reset", SHAPE, "float32", SAME_AND_BY_RANK),
)

OF_DIGESTS: tuple[ShardLayout, ...] = (
    "rows", "columns", "replicas", "grid", "hybrid", "by_hand", "fsdp", "column_parallel", "row_parallel",
)  # fmt: skip


def subject_of(
    initializer: str, layout: ShardLayout, shape: tuple[int, ...], dtype: str, seeds: Seeds, device: str
) -> Subject:
    """A subject; Kaiming's are asked for the fan that a rank has a part of, where a mistake of it shows.

    Args:
        initializer: function of torch.nn.init with its arguments.
        layout: of the weight.
        shape: of the whole.
        dtype: of it.
        seeds: of the ranks.
        device: of the weight.
    """
    path = str(Sharded(layout, RANKS, seeds))
    if not initializer.startswith("kaiming"):
        return Subject(initializer, shape, dtype, None, None, None, device=device, path=path)
    if layout == "fsdp_reset":
        return Subject(initializer, shape, dtype, a=math.sqrt(5), device=device, path=path)
    mode = "fan_in" if layout in ("columns", "row_parallel") else "fan_out"
    return Subject(initializer, shape, dtype, mode, "relu", device=device, path=path)


def weight_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in on_which(devices):
        for initializer, layout, shape, dtype, all_seeds in ASKED:
            for seeds in all_seeds:
                subject = subject_of(initializer, layout, shape, dtype, seeds, device)
                draws = ROUNDS[tier] * TENSORS * subject.numel
                yield Case(family=SHARDED, subject=subject, draws=draws, resolution=0.0)


def digest_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in on_which(devices):
        for layout in OF_DIGESTS:
            yield exact_case(DIGEST, subject_of("kaiming_normal_", layout, SHAPE, "float32", "same", device))


@asks(SHARDED, weight_cases, sharded_questions)
def test_shards_together_are_one_weight(
    case: Case, findings: Findings, target: Target, ask: Callable[..., Any]
) -> None:
    def gathered(draws: int, seed: int) -> Evidence:
        return ask(gather, case.subject, draws, seed, target.name)  # type: ignore[no-any-return]  # as a rank answers

    judge_if_there(findings, gathered)


@asks(DIGEST, digest_cases, digest_questions)
def test_a_fixed_seed_has_one_whole(
    case: Case, findings: Findings, target: Target, ask: Callable[..., Any], keep_digest: Callable[[str, str], None]
) -> None:
    """That it is the whole of one process is no law: a fact, so that a change of it is drift."""

    def has_one_whole() -> None:
        first, again = (digest(ask(whole_weight, case.subject, DIGEST_SEED, target.name)) for _ in range(2))
        alone = digest(Stream(case.subject, target).weights(DIGEST_SEED))
        keep_digest(case.subject.key, f"{first}, {'as' if first == alone else 'unlike'} one process")
        assert first == again, "the same seed gave another whole"

    (question,) = findings.questions
    settle(findings, question, has_one_whole)
