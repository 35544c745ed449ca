"""Dependence at any distance: weights of two calls, of two seeds and within a tensor, each beside all before it."""

from __future__ import annotations

from collections.abc import Iterator

from fixtures.record.plan import Case
from fixtures.record.subject import DTYPES, Subject
from fixtures.statistics.laws import KAIMING
from fixtures.target.target import Target
from fixtures.weights.anywhere import Series, series_of
from fixtures.weights.anywhere_questions import anywhere_questions
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_what_is_drawn

ANYWHERE = "weights.anywhere"

SHAPE = (256, 256)

DRAWS = {"quick": 1 << 18, "full": 1 << 22, "soak": 1 << 24}
"""Weights of a series: at the quick tier two calls from each of two seeds. A correlation of 2.3 % of the signs is seen
at distances that are short beside it, of 3.2 % at half of it, 3 weights of a thousand that are one of the others, and
five in 1e5 that repeat the one at the same distance. Sixteen times as many show a fourth of such a correlation."""

BESIDE = ("normal_", "uniform_(a=-1.0, b=1.0)", "trunc_normal_")
"""What torch draws weights by, beside Kaiming's; laws that are symmetric about zero."""


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    """Kaiming's in each dtype, the others in float32."""
    for device in devices:
        for initializer in KAIMING:
            for dtype in DTYPES:
                yield _case(Subject(initializer, SHAPE, dtype, nonlinearity="relu", device=device), tier)
        for initializer in BESIDE:
            yield _case(Subject(initializer, SHAPE, mode=None, nonlinearity=None, a=None, device=device), tier)


def _case(subject: Subject, tier: str) -> Case:
    return Case(family=ANYWHERE, subject=subject, draws=DRAWS[tier], resolution=0.0)


@asks(ANYWHERE, cases, anywhere_questions)
def test_no_weight_depends_on_another_anywhere(case: Case, findings: Findings, target: Target) -> None:
    def gather(draws: int, seed: int) -> Series:
        return series_of(case.subject, draws, seed, target)

    judge_what_is_drawn(findings, gather)
