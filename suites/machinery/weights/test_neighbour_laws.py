"""Laws beside Kaiming's: truncated normals, shifted laws, and the way from orthogonal weights to Gaussian ones."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from scipy import stats

from fixtures.record.call import Call, call_of
from fixtures.record.subject import HALF_TYPES, Subject
from fixtures.statistics.laws import Normal, TruncatedNormal, Uniform, grid_law, promised_law
from fixtures.weights.marginal_questions import questions_of_law
from fixtures.weights.orthogonal import gather_haar, not_orthogonal, upper_triangle
from fixtures.weights.sketcher import Sketcher
from suites.machinery.chance import ALARM, SURE, fresh_seed, no_oftener, within_chance
from suites.weights.test_neighbours import HAAR, INITIALIZERS, SEED_OF_A_ZERO, haar_questions, neighbour

TRUNCATED = {
    "symmetric": TruncatedNormal(0.0, 1.0, -2.0, 2.0),
    "far bounds": TruncatedNormal(0.0, 0.02, -2.0, 2.0),
    "uneven bounds": TruncatedNormal(0.5, 1.0, -1.0, 3.0),
    "in the tail": TruncatedNormal(0.0, 1.0, 1.0, 3.0),
    "far in the tail": TruncatedNormal(0.0, 1.0, 4.0, 6.0),
}

pytestmark = SURE


def scipys(law):
    return stats.truncnorm(
        (law.low - law.centre) / law.spread, (law.high - law.centre) / law.spread, loc=law.centre, scale=law.spread
    )


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("kaiming_normal_", Call("kaiming_normal_")),
        ("trunc_normal_(std=0.02, a=-1)", Call("trunc_normal_", (), {"std": 0.02, "a": -1})),
        ("nn.Conv2d(3, 8, (1, 5))", Call("nn.Conv2d", (3, 8, (1, 5)))),
    ],
)
def test_calls_are_read(text, call):
    assert call_of(text) == call


@pytest.mark.parametrize("text", ["", "f(", "f(x)", "f(g())", "1 + 1", "f()()", "f(**{})", "f(*[1])"])
def test_anything_but_a_call_with_literals_is_refused(text):
    with pytest.raises(ValueError, match="is no call with literal arguments"):
        call_of(text)


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_promised_laws_have_the_moments_that_torch_documents(initializer):
    """Against SciPy's, from the arguments as torch names them."""
    subject = neighbour(initializer, (64, 32, 3, 3))
    arguments = call_of(initializer).keywords
    xavier = arguments.get("gain", 1.0) * math.sqrt(2 / ((32 + 64) * 9))
    a, b, mean, std = (arguments.get(name, usual) for name, usual in {"a": 0, "b": 1, "mean": 0, "std": 1}.items())
    low, high = arguments.get("a", -2.0), arguments.get("b", 2.0)
    scipys_law = {
        "normal_": stats.norm(mean, std),
        "uniform_": stats.uniform(a, b - a),
        "xavier_normal_": stats.norm(0, xavier),
        "xavier_uniform_": stats.uniform(-math.sqrt(3) * xavier, 2 * math.sqrt(3) * xavier),
        "trunc_normal_": stats.truncnorm((low - mean) / std, (high - mean) / std, mean, std),
    }[call_of(initializer).name]

    law = promised_law(subject)

    assert law.mean == pytest.approx(scipys_law.mean(), rel=1e-9, abs=1e-12)
    assert law.std == pytest.approx(scipys_law.std(), rel=1e-9)
    assert (law.low, law.high) == pytest.approx(scipys_law.support())
    quantiles = scipys_law.ppf([1e-9, 0.1, 0.5, 0.9])
    assert law.cdf(quantiles) == pytest.approx([1e-9, 0.1, 0.5, 0.9], rel=1e-6)
    assert law.sf(quantiles) == pytest.approx(scipys_law.sf(quantiles), rel=1e-6)


@pytest.mark.parametrize("law", TRUNCATED.values(), ids=TRUNCATED)
def test_a_truncated_normal_is_scipys(law):
    points = np.linspace(law.low - 1, law.high + 1, 1001)

    assert law.cdf(points) == pytest.approx(scipys(law).cdf(points), rel=1e-9, abs=1e-14)
    assert law.sf(points) == pytest.approx(scipys(law).sf(points), rel=1e-9, abs=1e-14)
    assert law.mean == pytest.approx(scipys(law).mean(), rel=1e-9, abs=1e-14)
    assert law.std == pytest.approx(scipys(law).std(), rel=1e-7)
    inside = law.cdf(law.mean + law.median_size) - law.cdf(law.mean - law.median_size)
    assert float(inside) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize("law", TRUNCATED.values(), ids=TRUNCATED)
@pytest.mark.parametrize("t", [-5.0, -0.1, 1e-3, 5.0])
def test_quadrature_gives_the_moment_generating_function(law, t):
    """E exp(t Z) of a truncated standard normal is exp(t**2 / 2) P(a - t < Z < b - t) / P(a < Z < b)."""
    a, b = ((bound - law.centre) / law.spread for bound in (law.low, law.high))
    shifted = TruncatedNormal(0.0, 1.0, a - t, b - t)
    points, masses = law.quadrature

    found = float((np.exp(t * (points - law.centre) / law.spread) * masses).sum())

    assert masses.sum() == pytest.approx(1, abs=1e-12)
    assert found == pytest.approx(math.exp(t * t / 2) * shifted.kept / law.kept, rel=1e-10)


@pytest.mark.large_draws
@pytest.mark.parametrize("dtype", HALF_TYPES)
@pytest.mark.parametrize("law", TRUNCATED.values(), ids=TRUNCATED)
def test_on_a_half_types_grid_it_is_the_grids_own_normal_redrawn(law, dtype):
    normal, truncated = grid_law(Normal(law.spread, law.centre), dtype), grid_law(law, dtype)
    within = (normal.cells.first >= law.low) & (normal.cells.first <= law.high)

    redrawn = np.where(within, normal.masses, 0.0) / normal.masses[within].sum()

    assert truncated.masses == pytest.approx(redrawn, rel=1e-8, abs=1e-16)


REPLICATES = 2000
SCENES = {
    "truncated-float32": (TRUNCATED["in the tail"], "float32"),
    "truncated-bfloat16": (TRUNCATED["uneven bounds"], "bfloat16"),
    "shifted-normal-float32": (Normal(0.5, 1.0), "float32"),
    "shifted-uniform-bfloat16": (Uniform(2.0, 1.0), "bfloat16"),
}


def drawn(law, dtype, size, generator):
    """Draws of the law on the dtype's grid; a truncated one's by redrawing what has been rounded."""
    kind = getattr(torch, dtype)
    if isinstance(law, Uniform):
        return torch.from_numpy(generator.uniform(law.low, law.high, size)).to(kind)
    if isinstance(law, Normal):
        return torch.from_numpy(generator.normal(law.mean, law.std, size)).to(kind)
    values = torch.from_numpy(generator.normal(law.centre, law.spread, math.ceil(size / law.kept * 2) + 1000)).to(kind)
    return values[(values >= law.low) & (values <= law.high)][:size]


@pytest.mark.large_draws
@pytest.mark.draws(12 * ALARM, "up to four readings at three levels")
@pytest.mark.parametrize("scene", SCENES)
def test_p_values_of_other_laws_are_bounds(scene, generator):
    """P(p <= t) <= t for each reading; a count of 2000 that is too high has a binomial chance."""
    law, dtype = SCENES[scene]
    questions = [
        q
        for q in questions_of_law("x", "weights", law, dtype)
        if q.family in ("x.location", "x.scale", "x.extremes", "x.shape")
    ]
    found = {question.family: np.empty(REPLICATES) for question in questions}

    for replicate in range(REPLICATES):
        sketcher = Sketcher(dtype, (1000,), law.median_size)
        sketcher.add(drawn(law, dtype, 1000, generator))
        sketch = sketcher.finish()
        for question in questions:
            found[question.family][replicate] = question.read(sketch).p

    for family, p_values in found.items():
        for level in (0.5, 0.1, 0.01):
            below = int((p_values <= level).sum())
            assert no_oftener(below, REPLICATES, level), (family, level, below)


class LapacksSigns:
    """`orthogonal_` without the step that makes the diagonal of R positive."""

    @staticmethod
    def orthogonal_(tensor, gain=1.0):
        q, _ = torch.linalg.qr(torch.randn(tensor.shape, dtype=tensor.dtype))
        return tensor.copy_(gain * q)


class SignedPermutations:
    """Orthogonal, and far from uniform."""

    @staticmethod
    def orthogonal_(tensor, gain=1.0):
        size = len(tensor)
        signs = torch.randint(0, 2, (size,)) * 2.0 - 1
        return tensor.copy_(gain * torch.diag(signs)[torch.randperm(size)])


def judged(target, draws=20_000):
    """p-values of an orthogonal initializer by property."""
    subject = neighbour("orthogonal_(gain=1.5)", (16, 16))
    evidence = gather_haar(subject, draws, fresh_seed(), target)
    return {q.family.removeprefix(f"{HAAR}."): q.read(evidence).p for q in haar_questions(subject)}


@pytest.mark.draws(4 * ALARM, "three elements, and the sums of squares")
def test_a_gaussian_matrix_is_a_haar_matrix_times_the_triangle(generator):
    """Q by SciPy's own Haar sampler: each element of Q R is N(0, 1), and its square sums are chi-squared."""
    products = np.array(
        [q @ upper_triangle(5, 5, generator) for q in stats.ortho_group(5).rvs(4000, random_state=generator)]
    )

    for elements in (products[:, 0, 0], products[:, 4, 4], products[:, 2, 3]):
        assert within_chance(stats.kstest(elements, "norm").pvalue)
    assert within_chance(stats.kstest((products**2).sum((1, 2)), stats.chi2(25).cdf).pvalue)


def test_a_factorization_with_lapacks_signs_is_seen():
    p = judged(LapacksSigns)

    assert p["signs"] < 1e-12
    assert within_chance(p["scale"])  # it is orthogonal


def test_orthogonal_weights_that_favour_directions_are_seen():
    assert judged(SignedPermutations)["shape"] < 1e-12


@pytest.mark.parametrize("shape", [(64, 64), (64, 8), (8, 64), (8, 4, 3, 3)])
def test_rounding_leaves_weights_orthogonal_and_more_than_rounding_does_not(shape):
    torch.manual_seed(fresh_seed())
    weight = torch.empty(shape)
    torch.nn.init.orthogonal_(weight, gain=2.0)

    assert not_orthogonal(weight, 2.0) is None
    told = re.fullmatch(
        r"\|I - W'W / gain\*\*2\| = (\S+) in the 1-norm, (\S+) are allowed", not_orthogonal(weight * 1.001, 2.0)
    )
    norm, allowed = map(float, told.groups())
    assert abs(norm - (1.001**2 - 1)) <= allowed + 1e-5  # the sound weight's own rounding, and two decimals


def test_the_seed_of_a_zero_still_yields_one():
    """Where torch's generator changes, this seed proves nothing any more and another has to be found."""
    torch.manual_seed(SEED_OF_A_ZERO)

    assert torch.rand(1024)[190] == 0


def test_the_old_algorithm_fails_at_that_seed():
    """torch's method until 2.11: the inverse of the normal's distribution function at a uniform draw."""
    torch.manual_seed(SEED_OF_A_ZERO)

    weight = torch.empty(32, 32).uniform_(-1, 1).erfinv_().mul_(0.02 * math.sqrt(2)).clamp_(-2, 2)

    assert weight.min() == -2


def test_subjects_of_neighbours_have_keys_of_their_own():
    keys = [neighbour(initializer, shape).key for initializer, shape in INITIALIZERS.items()]

    assert len(set(keys)) == len(keys)
    assert keys[1] == Subject("normal_(mean=1.0, std=0.5)", (256, 784), mode=None, nonlinearity=None).key
