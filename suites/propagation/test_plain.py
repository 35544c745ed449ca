"""Plain deep networks: every layer's signals and gradients follow their exact law, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fixtures.propagation.networks.plain import PlainNetwork, path_of
from fixtures.propagation.readings.evidence import NetworkEvidence, gather, networks_to_resolve
from fixtures.propagation.readings.questions import layer_questions
from fixtures.record import kinds
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.rounding.activations import ACTIVATIONS, LEAKY_SLOPE
from fixtures.target.target import Target
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import LAYER_BY_LAYER, judge_as_promised, promised
from suites.propagation.tiers import FINER

PLAIN = "propagation.plain"

SIZES = (
    # width or widths, layers, inputs, dtype, relative scale error in each layer alone that networks are drawn for, and
    # what is left of its degrees of freedom (see statistical_claims.py): signals of deep networks grow alike
    ((256, 256), 64, 64, "float32", 0.02, 1.0),
    ((1024, 1024), 50, 64, "float32", 0.03, 1.0),
    ((96, 160), 128, 32, "float32", 0.05, 1.0),
    ((64, 64), 256, 16, "float32", 0.1, 0.7),
    ((32, 32), 1000, 8, "float64", 0.3, 0.18),
    ((16, 16), 50, 4, "float32", 0.2, 1.0),
)
"""From wide to narrow, from 50 to 1000 layers. What a layer must show grows as it gets narrower: the networks drawn for
0.1 % of scale at width 16 would be a hundred thousand. The deepest runs in float64: after 1000 layers of width 32 the
typical signal has shrunk by e**39 with a spread of e**6, and its gradient as well."""

HALF_SIZE = ((256, 256), 64, 64, 0.08, 0.5)
"""Half types keep fewer directions of the inputs apart (see layer.worth_keeping), as few as one in ten."""

ACTIVATED = ((128, 128), 50, 16, 0.05)
"""Networks of each nonlinearity."""

LEFT = {"sigmoid": 0.07, "softplus": 0.85}
"""Share of the degrees of freedom that is left by nonlinearities that send all inputs into nearly one direction."""


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for subject, drawn_for, left in plain_subjects(device):
            finer = drawn_for / FINER[tier]
            networks = networks_to_resolve(PlainNetwork(subject), finer)
            core = (subject.expect(kinds.PlainNetwork).layers, subject.dtype) == (64, "float32")
            yield Case(family=PLAIN, subject=subject, draws=networks, resolution=promised(finer, left), core=core)


def plain_subjects(device: str) -> Iterator[tuple[Subject, float, float]]:
    """Subjects, the relative scale error in every layer that networks are drawn for, what is left of that."""

    def he(
        shape: tuple[int, ...], path: str, dtype: str = "float32", mode: str = "fan_in", **nonlinearity: Any
    ) -> Subject:
        options: dict[str, Any] = {"nonlinearity": "relu"} | nonlinearity
        return Subject("kaiming_normal_", shape, dtype, mode=mode, device=device, path=path, **options)

    for shape, layers, inputs, dtype, resolution, left in SIZES:
        modes = ("fan_in", "fan_out") if shape[0] != shape[1] else ("fan_in",)
        for mode in modes:
            yield he(shape, path_of(layers, inputs), dtype, mode), resolution, left
    shape, layers, inputs, resolution, left = HALF_SIZE
    for dtype in ("bfloat16", "float16"):
        yield he(shape, path_of(layers, inputs), dtype), resolution, left
    shape, layers, inputs, resolution = ACTIVATED
    for activation in ACTIVATIONS:
        leaky: dict[str, Any] = {"nonlinearity": "leaky_relu", "a": LEAKY_SLOPE} if activation == "leaky_relu" else {}
        yield he(shape, path_of(layers, inputs, activation), **leaky), resolution, LEFT.get(activation, 1.0)


def plain_questions(subject: Subject) -> list[Question[NetworkEvidence]]:
    return layer_questions(PlainNetwork(subject))


@asks(PLAIN, cases, plain_questions)
def test_signals_and_gradients_follow_their_law_at_every_layer(case: Case, findings: Findings, target: Target) -> None:
    def run(networks: int, seed: int) -> NetworkEvidence:
        return gather(PlainNetwork(case.subject), networks, seed, case.resolution, target)

    judge_as_promised(findings, run, LAYER_BY_LAYER)
