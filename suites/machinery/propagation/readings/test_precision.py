"""Settings leave no trace, ends of a range have the chances that are claimed, and faulty precision is seen.

Fresh draws each run, by the run's --seed.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import torch
from scipy import stats

from fixtures.faults.fault import Patch
from fixtures.propagation.readings.precision import gather_under, network_questions
from fixtures.propagation.readings.ranges import Zeros, fade, overflow_at, overflows, underflow_at, vanishings
from fixtures.record.claim import Verdict
from fixtures.record.kinds import ReducedNetwork
from fixtures.record.subject import HALF_TYPES, Subject
from fixtures.rounding import precision
from fixtures.rounding.precision import autocast, exactly, flags, products, setting_of, settings
from fixtures.target.target import Target
from suites.machinery.chance import ALARM, SURE, agrees, fresh_seed, no_oftener, within_chance
from suites.machinery.making.answers import answers, cases_of, findings_of, target_of
from suites.machinery.proofs import proves
from suites.propagation import test_precision as suite

pytestmark = SURE

TORCH = Target("torch.nn.init", torch.nn.init)
CPU = "cpu"
SETTINGS = {name: setting for name, setting in settings(CPU).items() if setting.exists}

PRODUCT_TEST = suite.test_products_are_as_exact_as_the_setting_promises
NETWORK_TEST = suite.test_signals_and_gradients_follow_their_law_in_reduced_precision
OVERFLOW_TEST = suite.test_signals_overflow_where_the_range_ends
VANISHING_TEST = suite.test_gradients_vanish_where_the_range_ends
ZERO_TEST = suite.test_as_many_outputs_round_to_zero_as_the_range_tells


@pytest.fixture
def seed(fresh_seed):
    """Fresh draws for each test."""
    return fresh_seed


# Settings


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_leaves_every_flag_as_it_was(name):
    before = flags()
    with SETTINGS[name].context():
        within = flags()

    assert flags() == before
    assert name in ("default", "highest", "onednn_ieee") or within != before


def test_a_setting_leaves_every_flag_as_it_was_when_its_use_fails():
    before = flags()

    with contextlib.suppress(ZeroDivisionError), SETTINGS["medium"].context():
        raise ZeroDivisionError

    assert flags() == before


def test_a_setting_that_does_not_exist_is_an_error():
    subject = suite.on(suite.GELU, CPU, path="linear_tf32_off")

    with pytest.raises(ValueError, match="names no setting"):
        setting_of(subject)


def test_autocast_to_a_type_that_it_does_not_know_does_not_exist():
    assert autocast(CPU, "bfloat16").exists
    assert not autocast(CPU, "int8").exists


def test_a_plan_of_another_release_gets_no_evidence_where_a_setting_is_missing(monkeypatch):
    """As where a baseline has settings that its candidate lacks."""
    cases = [next(cases_of(test, lambda subject: True)) for test in (PRODUCT_TEST, NETWORK_TEST)]
    monkeypatch.setattr(suite, "setting_of", lambda subject: replace(setting_of(subject), exists=False))

    for test, case in zip((PRODUCT_TEST, NETWORK_TEST), cases, strict=True):
        findings = findings_of(test, case, run_seed=1)
        test(case=case, findings=findings, target=TORCH)
        assert {claim.verdict for claim in findings.claims} == {Verdict.NO_EVIDENCE}


# Ends of a range


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_thresholds_are_where_rounding_to_nearest_has_them(dtype):
    kind = getattr(torch, dtype)
    high, low = overflow_at(dtype), underflow_at(dtype)

    # Conversions pass through float32, which must hold what is converted.
    assert torch.tensor([high, high * (1 - 2.0**-20)]).to(kind).isinf().tolist() == [True, False]
    assert (torch.tensor([low, low * (1 + 2.0**-10)]).to(kind) == 0).tolist() == [True, False]


REPLICATES = 150
LEVELS = (0.5, 0.1, 0.01)

DOUBLED = "normal_(std=0.408248290463863)"
"""Twice the std of He at a width of 48."""

SMALL = {
    "overflow": (overflows, suite.on(suite.DOUBLING, CPU, "float16", shape=(48, 48), initializer=DOUBLED)),
    "vanishing": (vanishings, suite.on(suite.SIGMOID, CPU, "float16", shape=(16, 16))),
}
"""Narrow networks end within more layers than wide ones, and are drawn faster. n ReLUs are all dead by a chance of
2**-n, and a dead network never overflows: of 150 networks of 17 layers at a width of 48 one is with chance 1e-11."""


@pytest.mark.large_draws
@pytest.mark.draws(8 * ALARM, "two counts at three levels, a network that is dead, and no end that is early or late")
@pytest.mark.parametrize("name", SMALL)
def test_the_bounds_of_an_end_are_kept(name, seed):
    follow, subject = SMALL[name]

    ends = follow(subject, REPLICATES, seed, TORCH)

    assert all(end.layer for end in ends)
    for level in LEVELS:
        for chances in ([end.early for end in ends], [end.late for end in ends]):
            assert no_oftener(sum(chance <= level for chance in chances), REPLICATES, level)
    if name == "overflow":
        # Few layers matter, so that a union bound loses little: of 900 ends 16 % have an early p-value below 0.7 and
        # 18 % a late one, and of 150 none has with a chance of 5e-12.
        assert min(end.early for end in ends) < 0.7
        assert min(end.late for end in ends) < 0.7


@pytest.mark.draws(2 * ALARM, "the smallest p-value, and the sum")
def test_zeros_are_counted_as_a_binomial_counts(seed):
    subject = suite.on(suite.GELU, CPU, "float16", shape=(64, 64))

    counted = [zeros for network in fade(subject, 4, seed, TORCH).layers for zeros in network]
    uncertain = [zeros for zeros in counted if 0.01 < zeros.chances[0] < 0.99]

    assert len(uncertain) > 20
    assert within_chance(min(zeros.p for zeros in counted) * len(counted))
    expected = sum(zeros.n * sum(zeros.chances) / 2 for zeros in uncertain)
    spread = sum(zeros.n * zeros.chances[0] * (1 - zeros.chances[0]) for zeros in uncertain) ** 0.5
    assert agrees(sum(zeros.count for zeros in uncertain), expected, spread)


@pytest.mark.parametrize("count", [0, 3, 20, 100])
def test_the_p_value_of_zeros_is_the_larger_of_both_ends_of_the_band(count):
    zeros = Zeros(100, count, (0.19, 0.21))

    low = stats.binom.cdf(count, 100, 0.19)
    high = stats.binom.sf(count - 1, 100, 0.21)
    assert zeros.p == pytest.approx(min(1, 2 * min(low, high)))


# Planted faults


def plant(monkeypatch, patch):
    """Replace one attribute of torch."""
    monkeypatch.setattr(patch.owner, patch.name, patch.replacement(getattr(patch.owner, patch.name)))


def violated(test, target=TORCH, **fields):
    """(family, path) of violated claims about subjects with these fields."""

    def wanted(subject):
        return all(getattr(subject, name) == value for name, value in fields.items())

    return {
        (claim.family, claim.subject.path)
        for claim in answers(test, target, wanted)
        if claim.verdict is Verdict.VIOLATED
    }


def rounded_to_tf32(values):
    """A float32 with ten bits of its fraction, rounded to nearest."""
    bits = values.detach().contiguous().view(torch.int32)
    rounded = ((bits + 0x1000) & ~0x1FFF).view(torch.float32)
    return values + (rounded - values).detach()


def rounded_to_bfloat16(values):
    return values.bfloat16().float()


def of_rounded_factors(rounded):
    """A linear function whose factors are rounded first."""

    def replacement(healthy):
        return lambda inputs, weight, bias=None: healthy(rounded(inputs), rounded(weight), bias)

    return replacement


def summed_in_bfloat16(healthy):
    """A linear function that adds up in four parts, rounded in between."""

    def faulty(inputs, weight, bias=None):  # noqa: ARG001 - none of the layers has one
        parts = zip(inputs.chunk(4, -1), weight.chunk(4, -1), strict=True)
        total = torch.zeros(len(inputs), len(weight))
        for part in parts:
            total = rounded_to_bfloat16(total + healthy(*part))
        return total

    return faulty


REDUCTIONS = {
    "factors in TF32": of_rounded_factors(rounded_to_tf32),
    "factors in bfloat16": of_rounded_factors(rounded_to_bfloat16),
    "sums in bfloat16": summed_in_bfloat16,
}


@proves(suite.PRODUCT)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduced_precision_that_nobody_asked_for_is_seen(name, monkeypatch):
    plant(monkeypatch, Patch(torch.nn.functional, "linear", REDUCTIONS[name]))

    found = {path for _, path in violated(PRODUCT_TEST, dtype="float32")}

    exact = {f"linear_{name}" for name, setting in SETTINGS.items() if setting.linear == "float32"}
    assert {"linear_default", "linear_highest", "linear_onednn_off"} <= exact <= found
    # What a setting allows is no fault under it: TF32 where TF32 or less is allowed.
    assert name != "factors in TF32" or found == exact


def test_reduced_precision_of_a_convolution_is_seen(monkeypatch):
    def faulty(healthy):
        return lambda inputs, weight: healthy(rounded_to_tf32(inputs), rounded_to_tf32(weight))

    plant(monkeypatch, Patch(torch.nn.functional, "conv2d", faulty))

    found = {path for _, path in violated(PRODUCT_TEST, dtype="float32")}
    assert found >= {"conv_default", "conv_highest", "conv_medium", "conv_onednn_off"}
    assert not any(path.startswith("linear") for path in found)


LAYERS_SEEN = proves("propagation.precision.forward.layer", "propagation.precision.backward.layer")


def autocast_as(dtype):
    """autocast that always takes one type; None for none at all."""

    def replacement(healthy):
        def faulty(device, **_options):
            return contextlib.nullcontext() if dtype is None else healthy(device, dtype=dtype)

        return faulty

    return replacement


@pytest.mark.parametrize("dtype", [None, torch.float16])
def test_autocast_to_something_else_than_bfloat16_is_seen(dtype, monkeypatch):
    plant(monkeypatch, Patch(torch, "autocast", autocast_as(dtype)))

    found = violated(PRODUCT_TEST, dtype="bfloat16")

    assert found == {(suite.PRODUCT, "linear_autocast"), (suite.PRODUCT, "conv_autocast")}


@pytest.mark.large_draws
@proves("propagation.precision.forward.scale", "propagation.precision.backward.scale")
@pytest.mark.parametrize(
    ("setting", "dtype", "error"),
    [
        pytest.param("autocast", "bfloat16", 0.05, marks=LAYERS_SEEN),
        ("medium", "float32", 0.01),
    ],
)
def test_a_scale_that_is_off_under_a_setting_is_seen(setting, dtype, error, monkeypatch):
    """By what the weights are multiplied with after they were drawn."""

    def scaled(healthy):
        return lambda inputs, weight, bias=None: healthy(inputs, (1 + error) * weight, bias)

    plant(monkeypatch, Patch(torch.nn.functional, "linear", scaled))

    found = violated(NETWORK_TEST, path=str(ReducedNetwork(setting, "relu", suite.LAYERS, suite.INPUTS)), dtype=dtype)

    assert {family for family, _ in found} >= {
        "propagation.precision.forward.scale",
        "propagation.precision.backward.scale",
    }


class Flushed(torch.autograd.Function):
    """The identity, but for numbers below the smallest normal one of float16, in both directions."""

    NORMAL = 2.0**-14

    @staticmethod
    def forward(_context, values):
        return torch.where(values.abs() < Flushed.NORMAL, 0.0, values)

    @staticmethod
    def backward(_context, gradient):
        return torch.where(gradient.abs() < Flushed.NORMAL, 0.0, gradient)


def flushing(healthy):
    """Linear layers whose inputs' gradients and outputs lose their subnormal numbers."""
    return lambda self, inputs: Flushed.apply(healthy(self, Flushed.apply(inputs)))


@pytest.mark.large_draws
@proves(suite.ZEROS, suite.VANISHING)
def test_flushed_subnormal_numbers_are_seen_forward_and_backward(monkeypatch):
    plant(monkeypatch, Patch(torch.nn.Linear, "forward", flushing))

    assert violated(ZERO_TEST, dtype="float16") == {(suite.ZEROS, suite.GELU.path)}
    assert violated(VANISHING_TEST, dtype="float16") == {(suite.VANISHING, suite.SIGMOID.path)}


def flushing_sigmoid(healthy):
    return lambda self, inputs: healthy(self, Flushed.apply(inputs))


def test_a_gradient_lost_in_a_nonlinearity_is_seen(monkeypatch):
    plant(monkeypatch, Patch(torch.nn.Sigmoid, "forward", flushing_sigmoid))

    assert violated(VANISHING_TEST, dtype="float16") == {(suite.VANISHING, suite.SIGMOID.path)}


def saturating(limit):
    """Linear layers that stop at a largest value."""

    def replacement(healthy):
        return lambda self, inputs: healthy(self, inputs).clamp(-limit, limit)

    return replacement


@proves(suite.OVERFLOW)
def test_signals_that_stop_at_the_largest_value_are_seen(monkeypatch):
    plant(monkeypatch, Patch(torch.nn.Linear, "forward", saturating(65504.0)))

    assert violated(OVERFLOW_TEST, dtype="float16") == {(suite.OVERFLOW, suite.DOUBLING.path)}


def test_bfloat16_with_the_range_of_float16_is_seen(monkeypatch):
    def narrowing(healthy):
        return lambda self, inputs: healthy(self, inputs).half().to(inputs.dtype)

    plant(monkeypatch, Patch(torch.nn.Linear, "forward", narrowing))

    assert violated(OVERFLOW_TEST, dtype="bfloat16") == {(suite.OVERFLOW, suite.DOUBLING.path)}
    assert violated(VANISHING_TEST, dtype="bfloat16") == {(suite.VANISHING, suite.SIGMOID.path)}


def test_bfloat16_with_the_normal_range_of_float16_is_seen_by_its_zeros(monkeypatch):
    """Subnormal numbers are flushed: signals fall to 2**-14 in some 20 of 72 layers, to 2**-24 now and then in none."""

    def narrowing(healthy):
        def forward(self, inputs):
            outputs = healthy(self, inputs).half()
            return outputs.masked_fill(outputs.abs() < 2.0**-14, 0.0).to(inputs.dtype)

        return forward

    plant(monkeypatch, Patch(torch.nn.Linear, "forward", narrowing))

    assert violated(ZERO_TEST, dtype="bfloat16") == {(suite.ZEROS, suite.GELU.path)}


def test_a_target_that_fails_is_a_counterexample():
    def failing(*_arguments, **_options):
        raise RuntimeError("not here")

    target = target_of(kaiming_normal_=failing, normal_=failing)

    assert violated(PRODUCT_TEST, target, path="linear_default")
    assert violated(OVERFLOW_TEST, target, dtype="float16")
    assert violated(NETWORK_TEST, target, path="high_relu(64, inputs=64)")


@pytest.mark.large_draws
def test_networks_under_autocast_keep_enough_directions_to_see_what_they_state(seed):
    """Rounding hides directions of the inputs (layer.worth_keeping): one in ten at least is left."""
    subject = suite.on(
        suite.GELU, CPU, "bfloat16", path=str(ReducedNetwork("autocast", "relu", suite.LAYERS, suite.INPUTS))
    )

    evidence = gather_under(subject, 1, seed, suite.RESOLUTION, TORCH)

    assert (evidence.forward.degrees >= 256 * 64 / 10).all()
    assert {question.family.rsplit(".", 1)[1] for question in network_questions(subject)} == {"scale", "layer"}


def test_products_of_healthy_layers_stay_far_within_their_bounds(seed):
    subject = suite.on(suite.GELU, CPU, shape=suite.SHAPE, path="linear_default")

    assert max(product.error for product in products(subject, seed, TORCH)) < 0.2


# Settings of an accelerator: none is there, but its flags are


OF_CUDA = {name: setting for name, setting in settings("cuda").items() if setting.exists}


@pytest.mark.parametrize("name", OF_CUDA)
def test_a_setting_of_cuda_leaves_every_flag_as_it_was(name):
    before = flags()

    with OF_CUDA[name].context():
        within = flags()

    assert flags() == before
    assert within != before or name in ("default", "highest", "half_sums_reduced"), "all but what is the default"


def test_exact_products_are_those_of_the_settings_that_forbid_anything_else():
    before = flags()

    with exactly("cuda"):
        within = flags()
    with OF_CUDA["tf32_off"].context(), OF_CUDA["half_sums_full"].context():
        assert within == flags()

    assert within["cudnn.allow_tf32"] is False
    assert flags() == before
    with exactly("cpu"), exactly("xpu"):
        assert flags() == before


@pytest.mark.parametrize(("name", "sums"), [("half_sums_reduced", True), ("half_sums_full", False)])
@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_a_setting_of_half_types_casts_to_the_subjects(name, sums, dtype):
    subject = Subject("kaiming_normal_", (8, 8), dtype, nonlinearity="relu", device="cuda", path=f"linear_{name}")

    found = setting_of(subject)

    assert (found.linear, found.convolution, found.sums) == (dtype, dtype, sums)
    assert found.says.endswith(f"torch.autocast('cuda', torch.{dtype})")


@pytest.mark.parametrize(("sums", "beyond"), [(False, True), (True, False)])
def test_sums_in_a_half_type_are_allowed_only_where_they_are_stated(monkeypatch, sums, beyond):
    """A product whose sum was rounded to bfloat16 after each term."""

    def rounding(inputs, weight):
        total = torch.zeros(len(inputs), len(weight), dtype=torch.bfloat16)
        for term in range(inputs.shape[1]):
            total = total + (inputs[:, term, None] * weight[None, :, term]).to(torch.bfloat16)
        return total

    no_context = contextlib.nullcontext
    stated = replace(settings("cuda")["half_sums_full"], linear="bfloat16", sums=sums, context=no_context)
    monkeypatch.setattr(precision, "setting_of", lambda _subject: stated)
    monkeypatch.setattr(torch.nn.functional, "linear", rounding)
    subject = Subject("kaiming_normal_", (8, 256), "bfloat16", nonlinearity="relu", path="linear_autocast")

    outputs = products(subject, fresh_seed(), torch.nn.init)[0]

    assert (outputs.error > 1) == beyond
