"""Claims about the tutorial's program: calibrated where both samples are NumPy's, broken by what they are for."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from fixtures.claims import Verdict
from fixtures.judgement import SCREEN, judge
from fixtures.pvalues import binomial_excess_p
from fixtures.training.tutorial import (
    PRINTED,
    Program,
    TutorialEvidence,
    run_program,
    simulated_loss,
    tutorial_questions,
)
from fixtures.tutorial import WIDTHS
from suites.training.test_tutorial import PROGRAM, SEEDS

ALARM = 1e-8
"""Chance that a check here fails although nothing is wrong."""

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


def verdict(name, found):
    """Of one claim, where the confirmation finds the same."""
    reading = QUESTIONS[name].read(found)
    return judge(reading, lambda: reading).verdict


@pytest.fixture
def draws():
    return np.random.default_rng(1)


@pytest.mark.parametrize("name", ["first_loss", "spread"])
@pytest.mark.parametrize("level", [0.1, 0.01])
def test_two_samples_of_one_law_are_told_apart_no_oftener_than_p_says(name, level, draws):
    replicates = 1000
    seldom = sum(QUESTIONS[name].read(evidence(draws, runs=32)).p <= level for _ in range(replicates))

    assert binomial_excess_p(seldom, replicates, level) > ALARM


@pytest.mark.parametrize(("name", "effect"), [("first_loss", "shift"), ("spread", "factor")])
def test_an_effect_of_the_stated_size_is_seen(name, effect, draws):
    stated = QUESTIONS[name].read(evidence(draws)).detectable.value
    change = {"shift": stated, "factor": 1 + stated / 100}

    for _ in range(200):  # none is missed, at a chance of 1e-6 each
        assert QUESTIONS[name].read(evidence(draws, **{effect: change[effect]})).p < SCREEN


def test_the_spread_says_nothing_of_a_shift(draws):
    assert verdict("spread", evidence(draws, shift=0.05 * SPREAD)) is Verdict.HOLDS


@pytest.mark.parametrize("loss", [PRINTED - 2, PRINTED + 2])
def test_a_printed_loss_that_no_seed_comes_near_is_remarkable(loss):
    remarkable = TutorialEvidence([program(loss)] * RUNS, np.full(RUNS, loss))

    assert QUESTIONS["printed"].read(remarkable).p < SCREEN


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
    stated = QUESTIONS["initialized"].read(found).detectable.value / 100
    squares = program(2.9).squares * np.array([1, (1 + stated) ** 2, 1])
    off = TutorialEvidence([program(2.9, squares=squares)] * RUNS, found.reference)

    assert verdict("initialized", found) is Verdict.HOLDS
    assert verdict("initialized", off) is Verdict.VIOLATED


def test_the_simulated_program_is_the_program_in_float64(monkeypatch):
    """The same numbers put into the program's modules give the same loss."""
    drawn = []

    class Recording:
        def __init__(self, generator):
            self.generator = generator

        def __getattr__(self, name):
            def draw(*arguments, **options):
                drawn.append(getattr(self.generator, name)(*arguments, **options))
                return drawn[-1]

            return draw

    simulated = simulated_loss(Recording(np.random.default_rng(1)))
    inputs, *layers, labels = [torch.from_numpy(np.asarray(values)) for values in drawn]
    signal = inputs
    for place in range(len(WIDTHS) - 1):
        weight, bias = layers[2 * place], layers[2 * place + 1] / math.sqrt(WIDTHS[place])
        signal = nn.functional.linear(signal if place == 0 else torch.relu(signal), weight.T, bias)

    assert simulated == pytest.approx(float(nn.functional.cross_entropy(signal, labels)), rel=1e-12)


def test_the_program_prints_what_the_tutorial_prints():
    torch.manual_seed(1)
    found = run_program(torch.nn.init)

    assert found.printed == f"Loss: {found.loss:.5f}"
    assert found.after < found.loss
    assert not found.untouched
