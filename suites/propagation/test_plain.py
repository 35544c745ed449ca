"""Plain deep networks: every layer's signals and gradients follow their exact law, forward and backward."""

from __future__ import annotations

from fixtures.propagation.activations import ACTIVATIONS, LEAKY_SLOPE
from fixtures.propagation.evidence import gather
from fixtures.propagation.plain import networks_to_resolve, path_of
from fixtures.propagation.plain_questions import plain_questions
from fixtures.subjects import Subject
from reports.records import Case
from suites.asking import asks
from suites.propagation.tiers import FINER
from suites.refuting import judge_what_is_drawn

PLAIN = "propagation.plain"

SIZES = (
    # width or widths, layers, inputs, dtype, relative scale error that must be seen in each layer alone
    ((256, 256), 64, 64, "float32", 0.02),
    ((1024, 1024), 50, 64, "float32", 0.03),
    ((96, 160), 128, 32, "float32", 0.05),
    ((64, 64), 256, 16, "float32", 0.1),
    ((32, 32), 1000, 8, "float64", 0.3),
    ((16, 16), 50, 4, "float32", 0.2),
)
"""From wide to narrow, from 50 to 1000 layers. What a layer must show grows as it gets narrower: the networks drawn for
0.1 % of scale at width 16 would be a hundred thousand. The deepest runs in float64: after 1000 layers of width 32 the
typical signal has shrunk by e**39 with a spread of e**6, and its gradient as well."""

HALF_SIZE = ((256, 256), 64, 64, 0.08)
"""Half types keep fewer directions of the inputs apart (see layer_law.worth_keeping), as few as one in ten."""

ACTIVATED = ((128, 128), 50, 16, 0.05)
"""Networks of each nonlinearity."""


def cases(tier, run_seed, devices):
    for device in devices:
        for subject, resolution in plain_subjects(device):
            resolution /= FINER[tier]
            networks = networks_to_resolve(subject, resolution)
            core = "plain_relu(64" in subject.path and subject.dtype == "float32"
            yield Case(family=PLAIN, subject=subject, draws=networks, resolution=resolution, core=core)


def plain_subjects(device):
    """Subjects, and the relative scale error that each must show in every layer."""

    def he(shape, path, dtype="float32", mode="fan_in", **nonlinearity):
        options = {"nonlinearity": "relu"} | nonlinearity
        return Subject("kaiming_normal_", shape, dtype, mode=mode, device=device, path=path, **options)

    for shape, layers, inputs, dtype, resolution in SIZES:
        modes = ("fan_in", "fan_out") if shape[0] != shape[1] else ("fan_in",)
        for mode in modes:
            yield he(shape, path_of(layers, inputs), dtype, mode), resolution
    shape, layers, inputs, resolution = HALF_SIZE
    for dtype in ("bfloat16", "float16"):
        yield he(shape, path_of(layers, inputs), dtype), resolution
    shape, layers, inputs, resolution = ACTIVATED
    for activation in ACTIVATIONS:
        leaky = {"nonlinearity": "leaky_relu", "a": LEAKY_SLOPE} if activation == "leaky_relu" else {}
        yield he(shape, path_of(layers, inputs, activation), **leaky), resolution


@asks(PLAIN, cases, plain_questions)
def test_signals_and_gradients_follow_their_law_at_every_layer(case, findings, target):
    def run(networks, seed):
        return gather(case.subject, networks, seed, case.resolution, target)

    judge_what_is_drawn(findings, [(question, question.read) for question in plain_questions(case.subject)], run)
