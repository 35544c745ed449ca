"""A violation that became clearly worse is a stop, in every family; one and the same defect never is."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from fixtures.propagation.laws.residual import BlockStep, Increment
from fixtures.propagation.laws.trajectory import Step
from fixtures.propagation.readings.layers import READINGS, Layers
from fixtures.propagation.readings.likeness import Likeness
from fixtures.propagation.readings.residual import (
    Moments,
    growth_compared,
    increments_located,
    steps_located,
    steps_shaped,
)
from fixtures.propagation.readings.trajectories import READINGS as TRAJECTORY_READINGS
from fixtures.propagation.readings.trajectories import TrajectoryEvidence, Travel, deaths
from fixtures.record.claim import Claim, Verdict, claim_id
from fixtures.record.schema import SCHEMA
from fixtures.record.subject import Subject
from fixtures.rounding.comparison import Compared
from fixtures.rounding.dropout import Dropped
from fixtures.statistics import judgement
from fixtures.statistics.judgement import CONFIRMATION_FACTOR
from fixtures.statistics.laws import grid_law, promised_law
from fixtures.target.target import load_target
from fixtures.training.table import ROWS, SCHEMES, Learned
from fixtures.training.table_questions import TableEvidence, table_questions
from fixtures.training.tutorial import Program, TutorialEvidence, tutorial_questions
from fixtures.weights.draws import draw
from fixtures.weights.law_questions import law_questions
from reports.comparison.changes import Change, compare
from suites.machinery.chance import SURE
from suites.machinery.making.runs import run
from suites.machinery.making.weights import (
    FEWEST_DUE,
    PLANTED,
    SCENES,
    detectable,
    healthy,
    question,
    rounded,
    sketched,
    subject,
)
from suites.training.test_table import EXTENTS
from suites.training.test_tutorial import PROGRAM

pytestmark = SURE

MILD, SEVERE = 3.0, 30.0
"""Times what each claim detects, which is DEVIATES standard errors of a healthy one: the mild fault is violated, and
the distance of the two, 27 of these, is clear unless a standard error grows threefold on the way. Each comparison fails
by chance as seldom as judgement.DEVIATES standard errors are reached: 3e-18."""


def claimed(family, about, reading):
    """The claim that a reading with a fault in it makes."""
    return Claim(
        schema=SCHEMA,
        id=claim_id(family, about),
        family=family,
        subject=about,
        statement="as promised",
        n=reading.n,
        p=max(reading.p, 1e-300),
        effect=reading.effect,
        detectable=reading.detectable,
        verdict=Verdict.VIOLATED,
        where=reading.where,
    )


def became(before, after):
    (change,) = compare(run(before, label="baseline"), run(after, label="candidate"))
    return change.change


def assert_grew(mild, severe, again):
    """Assert that what grew is worse, that what shrank is not, nor the mild fault measured once more."""
    assert became(mild, severe) is Change.WORSE
    assert became(severe, mild) is Change.UNREGISTERED
    assert became(mild, again) is Change.UNREGISTERED


# Weights: every family that is read from a sketch

MOST = {
    "marginal.shape": 0.3,
    "marginal.extremes": 2.0,
    "marginal.resolution": 0.9,
    "marginal.zeros": 0.9,
    "independence.signs": 0.95,
}
"""Sizes beyond which a fault of the kind cannot be planted."""

ENDS = ("position.first.scale", "position.last.scale")
"""Of 16 weights a tensor. The standard error of a scale grows with it, so that no size lies more than sqrt(2 n) of them
out: 11.3 of 4 tensors, of which a fault that is 9.9 out is no more than clear, and 22.6 of 16."""

COUNTED = {"marginal.grid": (4, 200)}
"""Faults that are counted, not sized: values missing. One of them trips; how many more are clear is binomial."""


def planted(about, name, size, generator, tensors):
    weights = healthy(about, generator, tensors)
    if name == "marginal.grid":
        return sketched(about, values_missing(about, weights, size))
    return sketched(about, PLANTED[name](about, weights, size, generator))


def values_missing(about, weights, count):
    """The values with the most mass become the one that follows them."""
    law = grid_law(promised_law(about), about.dtype)
    *gone, left = np.argsort(-law.masses, kind="stable")[: count + 1]
    weights = rounded(about, weights)
    return np.where(np.isin(weights, law.cells.first[gone]), law.cells.first[left], weights)


FAMILIES = [
    pytest.param(subject(law, dtype), asked.family.removeprefix("weights."), id=f"{asked.family}-{law}-{dtype}")
    for law, dtype in SCENES
    for asked in law_questions(subject(law, dtype))
    if asked.family.removeprefix("weights.") not in ("marginal.written", "marginal.bounds", "independence.sizes")
]


def test_every_family_read_from_a_sketch_has_a_fault_of_two_sizes():
    exact = {"marginal.written", "marginal.bounds"}
    asked = {one.family.removeprefix("weights.") for scene in SCENES for one in law_questions(subject(*scene))}

    assert asked - exact == {*PLANTED, "independence.sizes"}


@pytest.mark.parametrize(("about", "name"), FAMILIES)
def test_a_fault_that_grew_is_worse_and_one_that_shrank_is_not(about, name, generator):
    tensors = 4 * FEWEST_DUE.get(about.dtype, 1) if name == "marginal.grid" else 4
    if name in ENDS:
        tensors *= 4
    asked = question(about, name)
    detected, most = detectable(about, name, generator, tensors), MOST.get(name, math.inf)
    mild, severe = min(MILD * detected, most / 2), min(SEVERE * detected, most)
    if name in COUNTED:
        mild, severe = COUNTED[name]

    before, after, again = (
        claimed(asked.family, about, asked.read(planted(about, name, size, generator, tensors)))
        for size in (mild, severe, mild)
    )

    assert_grew(before, after, again)


# The three defects that were compared as prose, drawn by real targets

SIGNS = """
import torch
def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    torch.nn.init.kaiming_normal_(tensor, a, mode, nonlinearity)
    with torch.no_grad():
        flat = tensor.view(-1)
        follows = torch.rand(len(flat) - 8) < {size}
        flat[8:][follows] = flat[8:][follows].abs() * flat[:-8][follows].sign()
    return tensor
"""

ROW = """
import torch
def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    torch.nn.init.kaiming_normal_(tensor, a, mode, nonlinearity)
    with torch.no_grad():
        tensor[17] *= 1 + {size}
    return tensor
"""

CUT = """
import torch
def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    torch.nn.init.kaiming_normal_(tensor, a, mode, nonlinearity)
    with torch.no_grad():
        std = (2 / (1 + a * a) / tensor.shape[1]) ** 0.5
        tensor.clamp_(-{size} * std, {size} * std)
    return tensor
"""

REAL = Subject("kaiming_normal_", (256, 784), "float32")
ENOUGH = 9_500_000
"""Weights that the gate draws of a core subject at the quick tier."""


@pytest.mark.large_draws
@pytest.mark.parametrize(
    ("code", "mild", "severe", "family", "where"),
    [
        pytest.param(SIGNS, 0.02, 0.6, "weights.independence.signs", "lag 8", id="signs that follow each other"),
        pytest.param(ROW, 0.06, 0.8, "weights.position.rows.scale", "row 17", id="one row too wide"),
        pytest.param(CUT, 4.2, 3.0, "weights.marginal.extremes", None, id="tails cut"),
    ],
)
def test_one_defect_in_two_sizes(tmp_path, fresh_seed, code, mild, severe, family, where):
    def of(size, side):
        module = tmp_path / f"target_{side}.py"
        module.write_text(code.format(size=size), encoding="utf-8")
        sketch = draw(REAL, ENOUGH, fresh_seed, load_target(str(module)))
        (asked,) = [one for one in law_questions(REAL) if one.family == family]
        reading = asked.read(sketch)
        assert reading.p < judgement.CERTAIN
        return claimed(family, REAL, reading)

    before, after = of(mild, "baseline"), of(severe, "candidate")

    assert became(before, after) is Change.WORSE
    assert became(after, before) is Change.UNREGISTERED
    assert where is None or (before.where, after.where) == (where, where)
    assert before.effect.unit is after.effect.unit


# Signals and gradients

NETWORKS, DEPTH, DEGREES = 128, 16, 4000


def layers(generator, scale=1.0, one=1.0, ragged=0.0, linked=0.0):
    """Sums of squares of layers whose scales are off, in one of four ways, [networks, layers]."""
    shared = generator.normal(size=(NETWORKS, 1)) * linked
    wild = generator.normal(size=(NETWORKS, DEPTH)) * ragged
    totals = generator.chisquare(DEGREES, (NETWORKS, DEPTH)) * scale**2 * np.exp(shared + wild)
    totals[:, 5] *= one**2
    return Layers(totals, np.full((NETWORKS, DEPTH), DEGREES))


SIZES = {
    "scale": ({"scale": 1.02}, {"scale": 1.2}),
    "layer": ({"one": 1.05}, {"one": 1.8}),
    "shape": ({"ragged": 0.05}, {"ragged": 2.0}),
    "neighbours": ({"linked": 0.02}, {"linked": 2.0}),
}
"""Property of layers -> a mild fault and a severe one."""


@pytest.mark.parametrize("name", READINGS)
def test_layers_whose_fault_grew_are_worse(name, generator):
    about, read = Subject("kaiming_normal_", (64, 64)), READINGS[name][1]
    before, after, again = (
        claimed(f"propagation.forward.{name}", about, read(layers(generator, **fault)))
        for fault in (SIZES[name][0], SIZES[name][1], SIZES[name][0])
    )

    assert before.p < judgement.SCREEN
    assert_grew(before, after, again)


# Deep networks, residual networks and training

WIDE, STEPS, TRAVELLERS = 16, 30, 2000


def travel(generator, scale=1.0, one=1.0, wild=0.0):
    """ReLU networks whose weights are off: of all layers, of one, or of a network."""
    positive = np.maximum(generator.binomial(WIDE, 0.5, (TRAVELLERS, STEPS)), 1)  # those that died are left out
    ratios = 2 / WIDE * generator.chisquare(positive) * scale**2
    ratios[:, 5] *= one**2
    ratios[:, 0] *= np.exp(wild * generator.standard_normal(TRAVELLERS))
    squares = np.column_stack([np.ones(TRAVELLERS), np.cumprod(ratios, axis=1)])
    return Travel(squares, (Step(WIDE, 2 / WIDE, 0.0),) * STEPS)


BLOCKS, CHANNELS = 600, 32


def blocks(generator, scale=1.0):
    """Sums and shortcuts of blocks whose branches are off by a factor."""
    kept = generator.standard_normal((BLOCKS, CHANNELS))
    sums = kept + scale * generator.standard_normal((BLOCKS, CHANNELS))
    return [
        BlockStep(float(total), CHANNELS, float(before))
        for total, before in zip((sums**2).sum(1), (kept**2).sum(1), strict=True)
    ]


def increments(generator, added=0.0):
    """The same of blocks that end with normalization, which add more than they should by this share."""
    return [Increment(z + 10.0 * added, 10.0) for z in generator.standard_normal(BLOCKS)]


def growing(generator, rate=0.0):
    """Second moments of networks whose blocks multiply them, beside NumPy's."""
    logs = [generator.normal(0.6 + more, 0.05, (64, 8)).cumsum(axis=1) for more in (rate, 0.0)]
    return Moments(*np.exp(logs), first=0, last=7, is_linear=False)


def growth(moments):
    return growth_compared(moments, "0.6 in theory")


DEEP_ONES = {
    **{
        f"propagation.trajectory.forward.{name}": (travel, TRAJECTORY_READINGS[name][1], *sizes)
        for name, sizes in {
            "location": ({"scale": 1.02}, {"scale": 1.5}),
            "spread": ({"wild": 4.0}, {"wild": 30.0}),
            "law": ({"scale": 1.05}, {"scale": 2.0}),
            "mean": ({"scale": 1.02}, {"scale": 1.5}),
            "layer": ({"one": 1.2}, {"one": 3.0}),
        }.items()
    },
    "propagation.residual.steps": (blocks, steps_located, {"scale": 1.2}, {"scale": 3.0}),
    "propagation.residual.steps_shape": (blocks, steps_shaped, {"scale": 1.2}, {"scale": 3.0}),
    "propagation.residual.block": (increments, increments_located, {"added": 0.1}, {"added": 2.0}),
    "propagation.residual.growth": (growing, growth, {"rate": 0.05}, {"rate": 1.0}),
}
"""Family -> networks, how they are read, a mild fault and a severe one."""


def test_every_reading_of_trajectories_has_a_fault_of_two_sizes():
    assert {f"propagation.trajectory.forward.{name}" for name in TRAJECTORY_READINGS} <= DEEP_ONES.keys()


# What is counted: likeness of layers, dropped elements, networks that fall silent, losses of the tutorial's program


def layers_alike(generator, share=0.0):
    """Eight layers that each have so much of their weights from one and the same."""
    common = generator.standard_normal((64, 64))
    likeness = Likeness()
    likeness.add([share * common + math.sqrt(1 - share**2) * generator.standard_normal((64, 64)) for _ in range(8)])
    return likeness


def dropped(generator, kept=0.5, like=0.0):
    """Calls of dropout at one half that keep another share, or decide again as for the element before."""
    decided = generator.random(20_000) < kept
    decided[1::2] = np.where(generator.random(10_000) < like, decided[::2], decided[1::2])
    exact = Compared(1, 0.0)
    return Dropped(exact, exact, None, 0, decided, 0.5, (1, 2, 3))


def silenced(generator, share=0.0):
    """Networks of which this share falls silent, where next to none should."""
    healthy = travel(generator)
    return TrajectoryEvidence(healthy, healthy, int(share * TRAVELLERS), TRAVELLERS)


def programs(generator, off=0.0, wide=1.0):
    """Runs of the tutorial's program beside NumPy's, whose first loss is off, or varies too much."""
    losses, reference = 3.1 + off + 0.25 * wide * generator.normal(size=512), generator.normal(3.1, 0.25, 512)
    return TutorialEvidence([Program(float(loss), 1.0, np.ones(3), (), "") for loss in losses], reference)


TUTORIAL = {question.family.rpartition(".")[2]: question.read for question in tutorial_questions(PROGRAM)}

COUNTED_ONES = {
    "propagation.independence.neighbours": (
        layers_alike,
        partial(Likeness.neighbours, gaussian=True),
        {"share": 0.4},
        {"share": 0.95},
    ),
    "propagation.independence.any_two": (layers_alike, Likeness.any_two, {"share": 0.5}, {"share": 0.95}),
    "propagation.dropout.rate": (dropped, Dropped.rate, {"kept": 0.55}, {"kept": 0.9}),
    "propagation.dropout.independence": (dropped, Dropped.independence, {"like": 0.15}, {"like": 0.8}),
    "propagation.trajectory.dead": (silenced, deaths, {"share": 0.05}, {"share": 0.5}),
    "training.tutorial.first_loss": (programs, TUTORIAL["first_loss"], {"off": 0.2}, {"off": 2.0}),
    "training.tutorial.spread": (programs, TUTORIAL["spread"], {"wide": 2.0}, {"wide": 20.0}),
}


# Not among them: propagation.independence.rearranged, where equal layers give a z of 16 and less than 9.5 is no
# violation. A layer is another one in another order, or it is not: there is nothing between that could grow.


PLANTED_NETWORKS = DEEP_ONES | COUNTED_ONES


@pytest.mark.parametrize("family", PLANTED_NETWORKS)
def test_networks_whose_fault_grew_are_worse(family, generator):
    about = Subject("kaiming_normal_", (WIDE, WIDE))
    gather, read, *faults = PLANTED_NETWORKS[family]
    before, after, again = (claimed(family, about, read(gather(generator, **fault))) for fault in (*faults, faults[0]))

    assert before.p < judgement.SCREEN
    assert_grew(before, after, again)


# The tutorial's table

PAIRS = CONFIRMATION_FACTOR * EXTENTS["quick"].pairs
JUDGED = Subject("kaiming_normal_", (64, 64), nonlinearity="relu", path="digits_sgd(20, steps=40)")


def table(generator, loss):
    """The tutorial's table where Kaiming is worse in every row and pair, by about so much."""

    def rows(less, more):
        return Learned(
            **{row: generator.normal(less if row == "accuracy" else more, 0.1 * loss, PAIRS) for row in ROWS}
        )

    equal = rows(1.0, 1.0)
    return TableEvidence({scheme: rows(1.0 - loss, 1.0 + loss) if scheme == "kaiming" else equal for scheme in SCHEMES})


JUDGED_CLAIMS = [question for question in table_questions(JUDGED) if "(judged" in question.statement]


@pytest.mark.parametrize("asked", JUDGED_CLAIMS, ids=[question.family for question in JUDGED_CLAIMS])
def test_what_kaiming_loses_in_every_pair_may_get_worse(asked, generator):
    before, after, again = (
        claimed(asked.family, JUDGED, asked.read(table(generator, loss))) for loss in (0.05, 1.0, 0.05)
    )

    assert before.p < judgement.FALSE_ALARM_PER_CLAIM
    assert_grew(before, after, again)


# One and the same defect

SAME = 400


@pytest.mark.large_draws
@pytest.mark.draws(1e-9, "the sd of 400 effects lies six of its standard errors above what is stated")
@pytest.mark.parametrize("name", ["marginal.zeros", "marginal.scale", "position.rows.scale", "independence.signs"])
def test_two_measurements_of_one_defect_differ_by_what_they_state(name, generator):
    """The spread of repeated effects is what their standard error says, within what 400 of them can tell."""
    about, asked = subject(), question(subject(), name)
    detected = detectable(about, name, generator)
    effects = [
        asked.read(planted(about, name, min(MILD * detected, MOST.get(name, math.inf)), generator, 1)).effect
        for _ in range(SAME)
    ]

    spread = float(np.std([effect.value for effect in effects]))
    stated = float(np.median([effect.standard_error for effect in effects]))
    # The sd of an sd is 1 / sqrt(2 * 400) = 3.5 % of it; six of these are exceeded once in 1e9 times. Zeros come singly
    # here and a standard error is stated for pairs, which is sqrt(2) as much; only too small a one is a fault.
    assert spread < stated * (1 + 6 / math.sqrt(2 * SAME))
