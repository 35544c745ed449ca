"""Claims about the tutorial's program: calibrated where both samples are NumPy's, broken by what they are for."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from fixtures.record.claim import Verdict
from fixtures.statistics.judgement import CONFIRMATION_FACTOR
from fixtures.training.tutorial import (
    PRINTED,
    SAMPLES,
    Program,
    TutorialEvidence,
    run_program,
    simulated_loss,
    tutorial_questions,
)
from fixtures.weights.tutorial_network import WIDTHS
from suites.machinery.chance import ALARM, FAR, SURE, detected, no_oftener, within_chance
from suites.machinery.proofs import judged, proves
from suites.training.test_tutorial import PROGRAM, SEEDS

pytestmark = SURE

RUNS = SEEDS["quick"]
MEAN, SPREAD = 3.1, 0.25
"""About those of the first loss."""

QUESTIONS = {question.family.rpartition(".")[2]: question for question in tutorial_questions(PROGRAM)}


def program(loss, **changes):
    """A run that printed this loss and did everything right."""
    fans = np.array(WIDTHS[:-1])
    squares = 2 / fans * fans * np.array(WIDTHS[1:])
    healthy = Program(float(loss), float(loss) / 2, squares, (), f"Loss: {loss:.5f}")
    return dataclasses.replace(healthy, **changes)


def evidence(draws, *, shift=0.0, factor=1.0, runs=RUNS):
    """Runs whose first losses are normal, and a reference of the unshifted, unscaled law."""
    losses = MEAN + shift + factor * SPREAD * draws.standard_normal(runs)
    return TutorialEvidence([program(loss) for loss in losses], MEAN + SPREAD * draws.standard_normal(runs))


def verdict(name, found, confirmed=None):
    """Verdict on one claim; unless it is given, the confirmation finds the same."""
    screened, again = (QUESTIONS[name].read(one) for one in (found, confirmed or found))
    return judged(QUESTIONS[name].family, screened, again)


@pytest.fixture
def draws(generator):
    """Fresh draws for each test."""
    return generator


@pytest.mark.large_draws
@pytest.mark.parametrize("name", ["first_loss", "spread"])
@pytest.mark.parametrize("level", [0.1, 0.01])
def test_two_samples_of_one_law_are_told_apart_no_oftener_than_p_says(name, level, draws):
    replicates = 1000
    seldom = sum(QUESTIONS[name].read(evidence(draws, runs=32)).p <= level for _ in range(replicates))

    assert no_oftener(seldom, replicates, level)


@pytest.mark.large_draws
@pytest.mark.parametrize(("name", "effect"), [("first_loss", "shift"), ("spread", "factor")])
def test_an_effect_of_the_stated_size_is_seen(name, effect, draws):
    stated = QUESTIONS[name].read(evidence(draws)).detectable.value
    change = {"shift": stated, "factor": 1 + stated / 100}

    assert detected(QUESTIONS[name].read(evidence(draws, **{effect: change[effect]})).p for _ in range(200))


def test_the_spread_says_nothing_of_a_shift(draws):
    shifted = [evidence(draws, shift=0.05 * SPREAD, runs=runs) for runs in (RUNS, CONFIRMATION_FACTOR * RUNS)]

    assert verdict("spread", *shifted) is Verdict.HOLDS


@proves("training.tutorial.spread")
def test_losses_that_vary_three_times_as_much_are_seen(draws):
    assert verdict("spread", evidence(draws, factor=3.0)) is Verdict.VIOLATED


@proves("training.tutorial.printed")
@pytest.mark.parametrize("loss", [PRINTED - 2, PRINTED + 2])
def test_a_printed_loss_that_no_seed_comes_near_is_remarkable(loss):
    remarkable = TutorialEvidence([program(loss)] * RUNS, np.full(RUNS, loss))

    assert verdict("printed", remarkable) is Verdict.VIOLATED


def test_few_seeds_cannot_tell_whether_a_loss_is_remarkable(draws):
    assert verdict("printed", evidence(draws, runs=100)) is Verdict.NO_EVIDENCE
    assert verdict("printed", evidence(draws)) is Verdict.HOLDS


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("runs", {"loss": math.nan}),
        ("runs", {"untouched": ("fc2.bias",)}),
        ("one_step", {"after": 3.0}),
        ("one_step", {"after": math.nan}),
        ("first_loss", {"loss": math.inf}),
        ("spread", {"loss": math.nan}),
        ("printed", {"loss": math.nan}),
        ("initialized", {"squares": np.array([math.nan, 1.0, 1.0])}),
    ],
)
def test_one_run_that_goes_wrong_is_enough(name, wrong, draws):
    found = evidence(draws)
    found.programs[17] = program(**{"loss": 2.9, **wrong})

    assert verdict(name, found) is Verdict.VIOLATED


def test_a_layer_whose_std_is_off_by_what_is_stated_is_seen(draws):
    found = evidence(draws)
    stated = QUESTIONS["initialized"].read(found).detectable.value / 100 * FAR
    squares = program(2.9).squares * np.array([1, (1 + stated) ** 2, 1])
    off = TutorialEvidence([program(2.9, squares=squares)] * RUNS, found.reference)

    assert verdict("initialized", found) is Verdict.HOLDS
    assert verdict("initialized", off) is Verdict.VIOLATED


def loss_of_float64_modules(draws):
    """The program's first loss by torch's own functions in float64, on weights that NumPy drew."""
    signal = torch.from_numpy(draws.standard_normal((SAMPLES, WIDTHS[0])))
    for place, (fan_in, fan_out) in enumerate(pairwise(WIDTHS)):
        weight = torch.from_numpy(draws.normal(0, math.sqrt(2 / fan_in), (fan_out, fan_in)))
        bias = torch.from_numpy(draws.uniform(-1, 1, fan_out) / math.sqrt(fan_in))
        signal = nn.functional.linear(signal if place == 0 else torch.relu(signal), weight, bias)
    return float(nn.functional.cross_entropy(signal, torch.from_numpy(draws.integers(WIDTHS[-1], size=SAMPLES))))


@pytest.mark.large_draws
@pytest.mark.draws(ALARM, "one distance between two samples")
def test_the_simulated_program_has_the_law_of_the_program_in_float64(draws):
    """Two samples of 400 show a distance of 0.245, and a layer without its sqrt(2) makes one of 0.65."""
    simulated = [simulated_loss(draws) for _ in range(400)]
    run = [loss_of_float64_modules(draws) for _ in range(400)]

    assert within_chance(stats.ks_2samp(simulated, run).pvalue)


def test_the_program_prints_what_the_tutorial_prints(fresh_seed):
    torch.manual_seed(fresh_seed)
    found = run_program(torch.nn.init)

    assert found.printed == f"Loss: {found.loss:.5f}"
    assert found.after < found.loss
    assert not found.untouched
