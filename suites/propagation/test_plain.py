"""Plain deep networks: every layer's signals and gradients follow their exact law, forward and backward."""

from __future__ import annotations

from fixtures.propagation.activations import ACTIVATIONS, LEAKY_SLOPE
from fixtures.propagation.evidence import gather
from fixtures.propagation.plain import networks_to_resolve, path_of
from fixtures.propagation.plain_questions import plain_questions
from fixtures.record.kinds import PlainNetwork
from fixtures.record.plan import Case
from fixtures.record.subject import Subject
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
"""Half types keep fewer directions of the inputs apart (see layer_law.worth_keeping), as few as one in ten."""

ACTIVATED = ((128, 128), 50, 16, 0.05)
"""Networks of each nonlinearity."""

LEFT = {"sigmoid": 0.07, "softplus": 0.85}
"""By nonlinearities that send all inputs into nearly one direction: what that leaves of the degrees of freedom."""


def cases(tier, run_seed, devices):
    for device in devices:
        for subject, drawn_for, left in plain_subjects(device):
            finer = drawn_for / FINER[tier]
            networks = networks_to_resolve(subject, finer)
            core = (subject.expect(PlainNetwork).layers, subject.dtype) == (64, "float32")
            yield Case(family=PLAIN, subject=subject, draws=networks, resolution=promised(finer, left), core=core)


def plain_subjects(device):
    """Subjects, the relative scale error in every layer that networks are drawn for, what is left of that."""

    def he(shape, path, dtype="float32", mode="fan_in", **nonlinearity):
        options = {"nonlinearity": "relu"} | nonlinearity
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
        leaky = {"nonlinearity": "leaky_relu", "a": LEAKY_SLOPE} if activation == "leaky_relu" else {}
        yield he(shape, path_of(layers, inputs, activation), **leaky), resolution, LEFT.get(activation, 1.0)


@asks(PLAIN, cases, plain_questions)
def test_signals_and_gradients_follow_their_law_at_every_layer(case, findings, target):
    def run(networks, seed):
        return gather(case.subject, networks, seed, case.resolution, target)

    judge_as_promised(findings, run, LAYER_BY_LAYER)
