"""Residual networks as deep as ResNet-152: every layer, every block's second moment, every sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fixtures.propagation.networks.residual import BLOCKS_OF_152, Residual, ResidualNetwork, path_of
from fixtures.propagation.readings.evidence import NetworkEvidence, gather, networks_to_resolve
from fixtures.propagation.readings.questions import layer_questions
from fixtures.propagation.readings.residual import BlockEvidence, block_questions, gather_blocks
from fixtures.propagation.readings.residual_links import compare_normalizations, compare_sums, gradients
from fixtures.record.kinds import Order
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.rounding.comparison import Compared
from fixtures.target.arithmetic import arithmetic_of
from fixtures.target.target import Target
from suites.framework.exact_claims import counterexample, exact_case
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import LAYER_BY_LAYER, judge_as_promised, judge_what_is_drawn, promised
from suites.propagation.tiers import FINER

LAYERS = "propagation.residual.layers"
BLOCKS = "propagation.residual.blocks"
LINKS = "propagation.link.residual"

ORDERS: tuple[Order, ...] = ("pre", "post", "pre_bn", "post_bn")
"""Order of ReLU and sum in a block, with batch normalization or without."""

WIDTH = 12
"""Channels of the first bottleneck, 64 in ResNet-152. The narrowest layer has 144 weights: twice the same ones are 12
standard errors from what independent ones are, and 11.1 are needed to find them among 24 000 pairs of layers."""

NARROW = 8
"""Width where no layer has to speak for itself."""

RESOLUTION = 0.5
"""Relative scale error in each of 156 layers alone that networks are drawn for (see statistical_claims.py); the
narrowest has 144 weights. torch's default is off by 59 %. Together they show 1 %."""

NETWORKS = 12
"""Networks whose growth is compared with that of as many of NumPy's: fewer than ten give no rank test a p of 1e-4."""


def residual_subjects(device: str, width: int, samples: int) -> Iterator[Subject]:
    for order in ORDERS:
        path = path_of(order, BLOCKS_OF_152, samples, 32)
        yield Subject("kaiming_normal_", (width, 3, 3, 3), nonlinearity="relu", path=path, device=device)


def layer_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for subject in residual_subjects(device, WIDTH, samples=2):
            finer = RESOLUTION / FINER[tier]
            draws = networks_to_resolve(ResidualNetwork(subject), finer)
            yield Case(family=LAYERS, subject=subject, draws=draws, resolution=promised(finer))


def layer_claims(subject: Subject) -> list[Question[NetworkEvidence]]:
    return layer_questions(ResidualNetwork(subject))


@asks(LAYERS, layer_cases, layer_claims)
def test_every_layer_of_a_residual_network_follows_its_law(case: Case, findings: Findings, target: Target) -> None:
    def run(networks: int, seed: int) -> NetworkEvidence:
        return gather(ResidualNetwork(case.subject), networks, seed, case.resolution, target)

    judge_as_promised(findings, run, LAYER_BY_LAYER)


def block_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for subject in residual_subjects(device, NARROW, samples=1):
            yield Case(family=BLOCKS, subject=subject, draws=NETWORKS * FINER[tier], resolution=0.0)


@asks(BLOCKS, block_cases, block_questions)
def test_second_moments_grow_block_by_block_as_they_should(case: Case, findings: Findings, target: Target) -> None:
    def run(networks: int, seed: int) -> BlockEvidence:
        return gather_blocks(case.subject, networks, seed, target)

    judge_what_is_drawn(findings, run)


def link_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        if arithmetic_of(device).repeats_convolutions:
            yield from (exact_case(LINKS, subject) for subject in residual_subjects(device, NARROW, samples=2))


SKIP = "propagation.link.skip"
NORM = "propagation.link.batch_norm"
FIRST = "propagation.residual.first_gradient"


def link_questions(subject: Subject) -> list[Question[Any]]:
    about = Residual.of(subject)
    norm = Question[Any](NORM, f"in {about}, batch normalization is what float64 makes of it, to within rounding")
    return [
        Question(SKIP, f"in {about}, shortcut and branch are added and rounded once, and so are their gradients"),
        *([norm] if about.normalized else []),
        Question(FIRST, f"in {about}, gradients reach the first layer: finite, and zero at none"),
    ]


@asks(LINKS, link_cases, link_questions)
def test_sums_and_gradients_pass_through_every_block(case: Case, findings: Findings, target: Target) -> None:
    answer = {SKIP: sums, NORM: normalizations, FIRST: reaching}
    for question in findings.questions:
        answer[question.family](case.subject, findings, question, target)


def compared(findings: Findings, question: Question[Any], compare: Callable[[], Compared]) -> None:
    """Answer by a comparison; what the target raises instead is a counterexample."""
    found = []
    raised = counterexample(lambda: found.append(compare()))
    if raised:
        findings.exact(question, raised, 1)
    else:
        findings.exact(question, found[0].counterexample, found[0].tried, effect=found[0].effect)


def sums(subject: Subject, findings: Findings, question: Question[Any], target: Target) -> None:
    compared(findings, question, lambda: compare_sums(subject, findings.seed("link"), target))


def normalizations(subject: Subject, findings: Findings, question: Question[Any], target: Target) -> None:
    compared(findings, question, lambda: compare_normalizations(subject, findings.seed("link"), target))


def reaching(subject: Subject, findings: Findings, question: Question[Any], target: Target) -> None:
    found = []
    broken = counterexample(lambda: found.append(gradients(subject, findings.seed("link"), target)))
    note, effect = (None, None) if broken else (found[0].note, found[0].effect)
    findings.exact(question, broken, 1, note=note, effect=effect)
