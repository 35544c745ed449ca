"""The law of trajectories against other derivations of the same numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from fixtures.propagation.laws.trajectory import SumOfLogs
from fixtures.propagation.readings.trajectories import LEVELS
from suites.machinery.chance import SURE
from suites.machinery.making.steps import he_step

pytestmark = SURE


@pytest.mark.parametrize(("units", "slope"), [(2, 0.0), (16, 0.0), (256, 0.0), (2, 0.2), (16, 0.2), (64, 0.01)])
def test_one_layers_cdf_is_the_mixture_of_chi_squared_laws(units, slope):
    step = he_step(units, slope)
    law = SumOfLogs.of([step])
    logs = np.linspace(step.mean - 6 * step.log_variance**0.5, step.mean + 4 * step.log_variance**0.5, 21)
    levels = np.exp(logs) / step.variance
    positive = np.arange(0 if slope else 1, units + 1)
    masses = stats.binom.pmf(positive, units, 0.5) / (1 - step.death)

    expected = sum(mass * _share(levels, k, units - k, slope**2) for k, mass in zip(positive, masses, strict=True))

    np.testing.assert_allclose(law.cdf(logs), expected, atol=1e-10)


def _share(levels, k, rest, factor):
    """P(chi2_k + factor chi2_rest <= level): chi2_(k + rest) times a Beta mixture, by Gauss-Legendre on its angle."""
    if factor == 0 or rest == 0:
        return stats.chi2.cdf(levels, k)
    if k == 0:
        return stats.chi2.cdf(levels / factor, rest)
    nodes, weights = special.roots_legendre(300)
    angle = math.pi / 4 * (1 + nodes)
    log_density = math.log(math.pi / 2) - special.betaln(k / 2, rest / 2)
    density = np.exp(log_density + (k - 1) * np.log(np.sin(angle)) + (rest - 1) * np.log(np.cos(angle)))
    share = factor + (1 - factor) * np.sin(angle) ** 2
    return (stats.chi2.cdf(levels[:, None] / share, k + rest) * weights * density).sum(1)


@pytest.mark.parametrize("t", [-0.4, 0.3, 2.0])
def test_a_leaky_layers_cumulant_is_a_hypergeometric_function(t):
    n, slope = 16, 0.2
    step = he_step(n, slope)
    k = np.arange(n + 1)
    radial = (2 * step.variance) ** t * special.gamma(n / 2 + t) / special.gamma(n / 2)
    signs = (stats.binom.pmf(k, n, 0.5) * special.hyp2f1(-t, (n - k) / 2, n / 2, 1 - slope**2)).sum()

    assert float(step.cumulant(np.array(t))) == pytest.approx(math.log(radial * signs) - t * step.mean, rel=1e-11)


@pytest.mark.parametrize("step", [he_step(16), he_step(256), he_step(16, 0.2), he_step(48, fan=32)], ids=str)
def test_moments_are_the_cumulants_derivatives(step):
    h = 1e-3
    below, at, above = (float(np.real(step.cumulant(np.array(t)))) for t in (-h, 0.0, h))

    assert at == pytest.approx(0, abs=1e-12)
    assert (above - below) / (2 * h) == pytest.approx(0, abs=1e-6)
    assert (above + below) / h**2 == pytest.approx(step.log_variance, rel=1e-5)
    squares = [step.square_cumulant(t) for t in (-h / 10, h / 10)]
    assert (squares[1] - squares[0]) / (h / 5) == pytest.approx(step.square_mean, rel=1e-4)
    assert sum(squares) / (h / 10) ** 2 == pytest.approx(step.square_variance, rel=1e-3)


def test_the_mean_shrinks_by_five_halves_of_a_unit_a_layer():
    """The numbers of the design: -2.82 / 16 where the expansion says -2.5 / 16."""
    assert he_step(16).mean * 16 == pytest.approx(-2.82, abs=0.005)
    assert he_step(1024).mean * 1024 == pytest.approx(-2.5, abs=0.01)
    assert he_step(1024).log_variance * 1024 == pytest.approx(5, abs=0.02)
    law = SumOfLogs.of([he_step(64)] * 50)
    assert law.cdf(math.log(2)) - law.cdf(-math.log(2)) == pytest.approx(0.17, abs=0.03)


DEEP = {
    "relu-50": [he_step(16)] * 50,
    "relu-1000": [he_step(32)] * 1000,
    "wide": [he_step(256)] * 50,
    "unequal": [he_step(48, fan=32), he_step(32, fan=48)] * 64,
    "leaky": [he_step(64, 0.2)] * 50,
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("deviates", [-4, -2, 1, 4])
def test_deep_cdfs_agree_with_an_integral_along_another_line(name, deviates):
    """P(S > x) = (1 / 2 pi) integral of exp(K(c + it) - (c + it) x) / (c + it) over t: no alias, no cancellation."""
    law = SumOfLogs.of(DEEP[name])
    x = deviates * math.sqrt(law.variance)
    c = math.copysign(min(0.45, abs(deviates) / math.sqrt(law.variance)), deviates)

    def integrand(t):
        z = np.array(c + 1j * t)
        return float((np.exp(law.cumulant(z) - z * x) / z).real) / math.pi

    reach = 12 / math.sqrt(law.variance)
    tail, _ = integrate.quad(integrand, 0, reach, limit=200, epsabs=0, epsrel=1e-9)

    found = float(law.cdf(law.mean + x))
    assert abs(tail) == pytest.approx(1 - found if deviates > 0 else found, rel=1e-5, abs=1e-11)


@pytest.mark.parametrize("name", DEEP)
def test_deep_cdfs_stay_below_chernoffs_bound_and_quantiles_invert_them(name):
    law = SumOfLogs.of(DEEP[name])
    sd = math.sqrt(law.variance)
    lowest = max(step.lowest for step in DEEP[name])
    for deviates in (-5.0, -3.0, 3.0, 5.0):
        t = max(deviates / sd, 0.9 * lowest)
        bound = math.exp(float(np.real(law.cumulant(np.array(t)))) - t * deviates * sd)
        tail = float(law.cdf(law.mean + deviates * sd))
        assert (tail if deviates < 0 else 1 - tail) <= bound + 1e-12
    np.testing.assert_allclose(law.cdf(law.quantiles(LEVELS)), LEVELS, atol=1e-9)
    assert law.cdf(law.mean - 1e6) == 0
    assert law.cdf(law.mean + 1e6) == 1


@pytest.mark.parametrize("units", [2, 3, 16])
def test_narrow_layers_have_quantiles_too(units):
    law = SumOfLogs.of([he_step(units)])

    np.testing.assert_allclose(law.cdf(law.quantiles(LEVELS)), LEVELS, atol=1e-9)
