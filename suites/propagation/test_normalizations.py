"""Normalizations: outputs, gradients through mean and variance, affine parameters, running statistics, eval()."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fixtures.record.kinds import Normalization
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.rounding.comparison import Compared
from fixtures.rounding.matmul import INPUT_GRADIENTS, OUTPUTS, WEIGHT_GRADIENTS
from fixtures.rounding.normalization import RUNNING, answered, exists, normalization_findings
from fixtures.target.arithmetic import arithmetic_of
from suites.framework.findings import Findings
from suites.framework.links import cases_of, settle_all
from suites.framework.questions import asks

NORMALIZATIONS = "propagation.link.normalization"

NORMALIZED = (
    # module, shape of the input, layout
    (Normalization("BatchNorm1d", (19,)), (37, 19), "contiguous"),
    (Normalization("BatchNorm1d", (8,)), (9, 8, 33), "contiguous"),
    (Normalization("BatchNorm2d", (12,)), (7, 12, 9, 11), "contiguous"),
    (Normalization("BatchNorm2d", (12,)), (7, 12, 9, 11), "channels_last"),
    (Normalization("BatchNorm2d", (12,), momentum=None), (4, 12, 5, 3), "contiguous"),
    (Normalization("BatchNorm2d", (12,), affine=False, track_running_stats=False), (4, 12, 5, 3), "contiguous"),
    (Normalization("BatchNorm3d", (5,)), (3, 5, 4, 3, 7), "contiguous"),
    (Normalization("InstanceNorm2d", (6,), affine=True), (5, 6, 9, 11), "contiguous"),
    (Normalization("GroupNorm", (3, 12)), (5, 12, 9, 7), "contiguous"),
    (Normalization("GroupNorm", (3, 12)), (5, 12, 9, 7), "channels_last"),
    (Normalization("LayerNorm", (65,)), (17, 5, 65), "contiguous"),
    (Normalization("LayerNorm", ((7, 9),), elementwise_affine=False), (17, 7, 9), "contiguous"),
    (Normalization("RMSNorm", (65,)), (17, 5, 65), "contiguous"),
)
"""Sizes that are no multiples of a vector's, batches and images of both layouts, each option once."""

DTYPES = ("float64", "float32")

LINKS: dict[str, Question[Any]] = {
    OUTPUTS: Question("propagation.link.norm_output", "gives w (x - mean) / sqrt(var + eps) + b, to within rounding"),
    INPUT_GRADIENTS: Question(
        "propagation.link.norm_input_gradient",
        "sends gradients back through mean and variance in training, past running statistics in eval(), to within "
        "rounding",
    ),
    WEIGHT_GRADIENTS: Question(
        "propagation.link.norm_weight_gradient", "adds up gradients of weight and bias to within rounding"
    ),
    RUNNING: Question(
        "propagation.link.norm_running",
        "moves running statistics by the momentum, to the mean and the unbiased variance, in training alone",
    ),
}


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    """Cases in float32, and in float64 where the device has it."""
    subjects = (
        Subject.of(what, shape, dtype, layout=layout, device=device)
        for device in devices
        for what, shape, layout in NORMALIZED
        for dtype in (DTYPES if arithmetic_of(device).has_float64 else ("float32",))
    )
    yield from cases_of(NORMALIZATIONS, tier, filter(exists, subjects))


def questions(subject: Subject) -> list[Question[Any]]:
    shape = "x".join(map(str, subject.shape))
    return [LINKS[name].about(f"{subject.path} of {shape} in {subject.dtype}") for name in answered(subject)]


@asks(NORMALIZATIONS, cases, questions)
def test_a_normalization_is_what_float64_makes_of_it(case: Case, findings: Findings) -> None:
    if not exists(case.subject):
        findings.no_evidence("this release of torch lacks the module")
        return

    def read(found: dict[str, Compared]) -> list[Compared]:
        return [found[name] for name in answered(case.subject)]

    settle_all(findings, lambda seed: normalization_findings(case.subject, seed), read)
