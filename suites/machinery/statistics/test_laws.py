"""The promised laws: fans and gains against torch's own, masses against forty digits."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fixtures.record.subject import DTYPES, HALF_TYPES, Subject
from fixtures.statistics.laws import GridLaw, Normal, Uniform, fan, gain, grid_law, promised_law
from fixtures.weights.strategies import NONLINEARITIES, slopes, weight_shapes
from suites.machinery.chance import ALARM, within_chance

STD = 0.0505
"""That of a fan of 784, about: no power of two, so that no cell's edge is a round number of std."""

LAWS = [GridLaw(law, dtype) for law in (Normal(STD), Uniform(STD)) for dtype in DTYPES]


def named(law):
    return f"{type(law.law).__name__}-{law.dtype}"


@given(shape=weight_shapes(), mode=st.sampled_from(("fan_in", "fan_out")))
def test_the_fan_is_torchs(shape, mode):
    tensor = torch.empty(shape, device="meta")

    assert fan(shape, mode) == torch.nn.init._calculate_correct_fan(tensor, mode)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_fan_needs_two_dimensions(shape):
    with pytest.raises(ValueError, match=r"a fan needs at least two dimensions, not shape \("):
        fan(shape, "fan_in")


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@given(slope=st.one_of(st.none(), slopes))
def test_the_gain_is_torchs(nonlinearity, slope):
    assert gain(nonlinearity, slope) == pytest.approx(torch.nn.init.calculate_gain(nonlinearity, slope), rel=1e-15)


@given(shape=weight_shapes(), slope=slopes)
def test_the_variance_is_that_of_he_et_al(shape, slope):
    normal, uniform = (
        promised_law(Subject(name, shape, a=slope, nonlinearity="leaky_relu"))
        for name in ("kaiming_normal_", "kaiming_uniform_")
    )
    terms = math.prod(shape[1:])

    assert normal.std**2 == pytest.approx(2 / ((1 + slope**2) * terms), rel=1e-14)
    assert uniform.std == pytest.approx(normal.std, rel=1e-14)
    assert uniform.bound == pytest.approx(math.sqrt(3) * normal.std, rel=1e-14)


def test_laws_read_as_in_a_paper():
    assert str(promised_law(Subject("kaiming_normal_", (256, 128), nonlinearity="relu"))) == "N(0, 0.125)"
    assert str(promised_law(Subject("kaiming_uniform_", (256, 96), nonlinearity="relu"))) == "U(-0.25, 0.25)"


@pytest.mark.parametrize(
    ("subject", "says"),
    [
        (Subject("orthogonal_", (8, 8)), "orthogonal_: no law is registered"),
        (Subject("kaiming_normal_", (8, 8), mode=None), "mode and nonlinearity are needed"),
        (Subject("kaiming_normal_", (8, 8), nonlinearity=None), "mode and nonlinearity are needed"),
    ],
)
def test_a_subject_without_a_promise_is_refused(subject, says):
    with pytest.raises(ValueError, match=says):
        promised_law(subject)


@pytest.mark.parametrize("law", LAWS, ids=named)
def test_masses_are_chances_that_add_up_to_one(law):
    assert (law.masses >= 0).all()
    assert law.masses.sum() == pytest.approx(1.0, abs=1e-13)  # 65 000 roundings of 1e-16, of random sign
    np.testing.assert_allclose(law.below + law.above, 1.0, rtol=1e-15)


@pytest.mark.parametrize("law", LAWS, ids=named)
def test_masses_mirror_each_other(law):
    np.testing.assert_allclose(law.masses, law.masses[::-1], rtol=0, atol=2e-16)


def normal_cdf(x):
    """P(N(0, STD) <= x) to forty digits."""
    return mpmath.erfc(-mpmath.mpf(x) / (STD * mpmath.sqrt(2))) / 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("z", [3.0, 7.0, 11.5, 21.2, 37.0])  # p = 1e-3, 1e-12, 1e-30, 1e-99 and 1e-299
def test_tails_and_masses_keep_their_accuracy_far_out(dtype, z):
    law = GridLaw(Normal(STD), dtype)
    index = int(np.searchsorted(law.cells.first, z * STD))
    low, high = law.cells.lower[index], law.cells.upper[index]
    with mpmath.workdps(40):
        beyond, mass = float(normal_cdf(-high)), float(normal_cdf(-low) - normal_cdf(-high))
    mirrored = len(law.cells.first) - 1 - index

    # The distance from the centre is rounded once, by 1e-16; at z that costs z**2 as much of the tail.
    assert law.above[index] == pytest.approx(beyond, rel=1e-12, abs=0)
    assert law.masses[index] == pytest.approx(mass, rel=1e-10, abs=0)
    assert law.masses[mirrored] == pytest.approx(mass, rel=1e-10, abs=0)


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_the_mass_of_a_uniform_cell_is_its_share_of_the_interval(dtype):
    law = GridLaw(Uniform(STD), dtype)
    low, high = np.clip(law.cells.lower, -STD, STD), np.clip(law.cells.upper, -STD, STD)

    np.testing.assert_allclose(law.masses, (high - low) / (2 * STD), rtol=0, atol=2e-16)
    assert law.cells.first[law.occupied[-1]] == float(torch.tensor(STD).to(getattr(torch, dtype)))


@pytest.mark.draws(40 * ALARM, "forty counts")
@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_torchs_rounding_of_normal_draws_follows_the_lattice(dtype, generator):
    # A histogram of 1e6 rounded float64 draws over the 40 most frequent values.
    law = GridLaw(Normal(STD), dtype)
    draws = torch.from_numpy(generator.normal(0, STD, 10**6)).to(getattr(torch, dtype))
    frequent = np.argsort(law.masses)[-40:]
    counts = np.array([int((draws == value).sum()) for value in law.cells.first[frequent]])

    above, below = (tail(counts, 10**6, law.masses[frequent]) for tail in (stats.binom.sf, stats.binom.cdf))
    assert within_chance(2 * np.minimum(above + stats.binom.pmf(counts, 10**6, law.masses[frequent]), below))


def test_a_law_on_a_grid_is_kept_for_the_next_question():
    assert grid_law(Normal(0.25), "float32") is grid_law(Normal(0.25), "float32")
    assert grid_law(Normal(0.25), "float32") is not grid_law(Normal(0.25), "float16")
