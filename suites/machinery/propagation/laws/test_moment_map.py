"""The moment map agrees with other integrations, closed forms and known fixed points."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from fixtures.propagation.laws.moment_map import (
    chi,
    factor,
    fate,
    he_gain,
    holding_gain,
    mean_square,
    points,
    slope,
    trajectory,
)
from fixtures.rounding.activations import ACTIVATIONS, LEAKY_SLOPE
from fixtures.statistics.laws import gain
from suites.machinery.chance import SURE

pytestmark = SURE


@pytest.mark.parametrize("q", [1e-20, 1e-3, 1.0, 500.0, 1e8])
@pytest.mark.parametrize("kinks", [(), (0.0,), (-0.3, 20.0)])
def test_points_integrate_polynomials_exactly(q, kinks):
    z, masses = points(q, kinks)

    assert (masses * (z / math.sqrt(q)) ** np.arange(9)[:, None]).sum(1) == pytest.approx(
        [1, 0, 1, 0, 3, 0, 15, 0, 105], rel=1e-12, abs=1e-12
    )


@pytest.mark.parametrize("kink", [-1.3, 0.0, 0.7])
def test_points_integrate_what_jumps_at_a_kink(kink):
    z, masses = points(4.0, (kink,))

    assert masses[z > kink].sum() == pytest.approx(stats.norm.sf(kink / 2), rel=1e-13)


def test_many_second_moments_are_integrated_as_each_alone():
    q = np.array([[1e-14, 0.3], [2.0, 300.0]])
    activation = ACTIVATIONS["mish"]

    together = mean_square(activation.value, q, activation.kinks)

    assert together == pytest.approx(
        np.array([[float(mean_square(activation.value, one, activation.kinks)) for one in row] for row in q]), rel=1e-14
    )


@pytest.mark.parametrize("q", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_second_moments_and_chi_agree_with_adaptive_integration(name, q):
    activation, breaks = ACTIVATIONS[name], [-40.0, -5.0, -1.0, 0.0, 1.0, 5.0, 20.0, 40.0]

    def adaptive(function):
        def density(z):
            return float(function(np.array(z))) ** 2 * stats.norm.pdf(z, scale=math.sqrt(q))

        return sum(integrate.quad(density, a, b, epsabs=1e-14)[0] for a, b in itertools.pairwise(breaks))

    assert float(mean_square(activation.value, q, activation.kinks)) == pytest.approx(adaptive(activation.value))
    assert chi(activation, 1.0, q) == pytest.approx(adaptive(activation.slope))


CLOSED_FORMS = {
    "relu": 1 / 2,
    "leaky_relu": (1 + LEAKY_SLOPE**2) / 2,
    # E[z**2 Phi(z)**2] by Stein's lemma, twice: E[Phi**2] = 1/3, E[z Phi phi] = E[phi**2] / 2 = 1 / (4 pi sqrt(3))
    "gelu": 1 / 3 + 1 / (2 * math.pi * math.sqrt(3)),
    "selu": 1.0,  # Klambauer et al.: what its constants were made for
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_second_moments_have_their_closed_forms(name):
    activation = ACTIVATIONS[name]

    assert float(mean_square(activation.value, 1.0, activation.kinks)) == pytest.approx(CLOSED_FORMS[name], rel=1e-13)


# gain that holds 1, slope of the map there, chi there: design section 4
HELD = {
    "gelu": (1.5335, 1.144, 1.072),
    "silu": (1.6765, 1.173, 1.067),
    "tanh": (1.5925, 0.461, 1.178),
    "selu": (1.0, 0.783, 1.0716),
    "mish": (1.4868, 1.076, 1.059),
}


@pytest.mark.parametrize("name", HELD)
def test_gains_that_hold_a_second_moment_of_one(name):
    activation, (held, steep, grows) = ACTIVATIONS[name], HELD[name]

    assert holding_gain(activation) == pytest.approx(held, abs=5e-5)
    assert slope(activation, holding_gain(activation), 1.0) == pytest.approx(steep, abs=5e-4)
    assert chi(activation, holding_gain(activation), 1.0) == pytest.approx(grows, abs=5e-4)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_slope_is_the_derivative_of_the_map(name):
    activation, step = ACTIVATIONS[name], 1e-5
    low, high = (float(factor(activation, 1.3, q) * q) for q in (0.7 - step, 0.7 + step))

    assert slope(activation, 1.3, 0.7) == pytest.approx((high - low) / (2 * step), rel=1e-8)


FATES = {
    "relu": "keeps every second moment",
    "leaky_relu": "keeps every second moment",
    "gelu": "makes second moments vanish",
    "silu": "makes second moments vanish",
    "mish": "makes second moments vanish",
    "elu": "makes second moments grow",
    "selu": "makes second moments grow",
    "softplus": "makes second moments grow",
    "tanh": "settles second moments at 0.618 (slope 0.553)",
    "sigmoid": "settles second moments at 0.5553 (slope 0.081)",
}


@pytest.mark.parametrize("name", FATES)
def test_where_second_moments_go_under_he(name):
    assert str(fate(ACTIVATIONS[name], he_gain(ACTIVATIONS[name]))) == FATES[name]


def test_a_fixed_point_that_repels_is_found_and_named():
    gelu = ACTIVATIONS["gelu"]

    (point,) = fate(gelu, holding_gain(gelu)).fixed

    assert point.q == pytest.approx(1.0)
    assert not point.stable


def test_gelu_under_he_has_lost_everything_after_fifty_layers():
    gelu = ACTIVATIONS["gelu"]

    assert float(factor(gelu, math.sqrt(2), 1.0)) == pytest.approx(0.850, abs=5e-4)
    assert trajectory(gelu, math.sqrt(2), 1.0, 51)[-1] == pytest.approx(2.97e-14, rel=1e-3)


def test_tanh_with_the_tables_gain_settles_above_one():
    assert str(fate(ACTIVATIONS["tanh"], gain("tanh", None))) == "settles second moments at 1.178 (slope 0.431)"
