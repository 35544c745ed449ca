"""Fixed-seed digests: kept in the run, so that a change between versions shows; none is a fault.

What is claimed here is only that the digests mean something: that a seed's weights are the same when drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import eq
from typing import Any

from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import DTYPES, HALF_TYPES, Subject
from fixtures.statistics.laws import KAIMING, NEIGHBOURS
from fixtures.target.target import Target
from fixtures.weights.streams import DIGEST_SEED, Stream, content, digest
from suites.framework.exact_claims import exact_case, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks

DIGEST = "weights.determinism.digest"
PLAIN = (*NEIGHBOURS, "orthogonal_")
"""Neighbours, with nothing but their defaults."""

SIZES = ((3, 5), (64, 48))
"""Below 16 weights, where each is drawn alone, and above, where they are drawn in vectors."""


def table(devices: tuple[str, ...]) -> Iterator[Subject]:
    """Subjects of digests: every initializer, dtype and size; the QR decomposition of orthogonal_ has no half types."""
    for device in devices:
        for shape in SIZES:
            for dtype in DTYPES:
                for initializer in KAIMING:
                    yield Subject(initializer, shape, dtype, nonlinearity="relu", device=device)
                for initializer in PLAIN:
                    if initializer != "orthogonal_" or dtype not in HALF_TYPES:
                        yield Subject(initializer, shape, dtype, None, None, None, device=device)


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> list[Case]:
    return [exact_case(DIGEST, subject) for subject in table(devices)]


def questions(subject: Subject) -> Iterable[Question[Any]]:
    return [Question(DIGEST, f"{subject.initializer} gives the same weights when a fixed seed is set again")]


@asks(DIGEST, cases, questions)
def test_a_fixed_seed_has_one_digest(
    case: Case, findings: Findings, target: Target, keep_digest: Callable[[str, str], None]
) -> None:
    stream = Stream(case.subject, target)

    def has_one_digest() -> None:
        weights = stream.weights(DIGEST_SEED)
        keep_digest(case.subject.key, digest(weights))
        assert eq(stream.bytes(DIGEST_SEED), content(weights)), "the same seed gave other weights"

    (question,) = findings.questions
    settle(findings, question, has_one_digest)
