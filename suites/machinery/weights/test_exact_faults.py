"""Every exact claim about an initializer sees the fault that it exists for, and nothing where there is none."""

from __future__ import annotations

import itertools
import math
import threading
import warnings
from types import SimpleNamespace

import pytest
import torch
from hypothesis import Phase
from torch.nn import init

from fixtures.record.claim import Verdict
from fixtures.statistics.laws import KAIMING
from suites.framework import exact_claims
from suites.machinery.chance import SURE
from suites.machinery.making.answers import answers, target_of, violation
from suites.machinery.proofs import proves
from suites.weights import test_abilities as abilities
from suites.weights import test_autograd as autograd
from suites.weights import test_calculate_gain as gains
from suites.weights import test_contract as contract
from suites.weights import test_determinism as determinism
from suites.weights import test_digests as digests
from suites.weights import test_fan as fans
from suites.weights import test_gain as scaling
from suites.weights import test_layouts as layouts

pytestmark = SURE

MODULES = (abilities, autograd, gains, contract, determinism, digests, fans, scaling, layouts)
ASKING = [
    pytest.param(test, id=name)
    for module in MODULES
    for name, test in vars(module).items()
    if any(mark.name == "asks" for mark in getattr(test, "pytestmark", ()))
]

PLANTED = []
"""Who must see what: (family, test, target)."""


def seen_by(*sights):
    """Plant a fault in both Kaiming initializers; `sights` are pairs of a claim and the test that must violate it.

    The fault is called instead of the initializer: fill, tensor, options, where `fill` is the healthy one.
    """

    def plant(fault):
        def initializer(fill):
            def planted(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
                options = {"a": a, "mode": mode, "nonlinearity": nonlinearity, "generator": generator}
                return fault(fill, tensor, SimpleNamespace(**options))

            return planted

        target = target_of(**{name: initializer(getattr(init, name)) for name in KAIMING})
        see_planted(fault.__name__, target, *sights)
        return fault

    return plant


def see_planted(name, target, *sights):
    for claim, test in sights:
        family = getattr(claim, "family", claim)
        one = f"{name}-{family.removeprefix('weights.')}"
        PLANTED.append(pytest.param(family, test, target, id=one, marks=proves(family)))


# Memory: where a tensor lies and what lies beside it.

WRITTEN = (layouts.WRITTEN, layouts.test_every_element_is_written)
PLACE = (layouts.PLACE, layouts.test_a_weight_stays_where_and_what_it_is)
NEIGHBOURS = (layouts.NEIGHBOURS, layouts.test_what_lies_beside_a_weight_is_left_alone)


@seen_by(WRITTEN, ("weights.marginal.written", layouts.test_weights_of_every_layout_follow_the_promised_law))
def no_op_on_non_contiguous(fill, tensor, options):
    return fill(tensor, **vars(options)) if tensor.is_contiguous() else tensor


@seen_by(WRITTEN, PLACE)
def fills_a_contiguous_copy(fill, tensor, options):
    return fill(tensor.contiguous(), **vars(options))


@seen_by(PLACE, (autograd.NO_GRAPH, autograd.test_autograd_takes_no_notice))
def returns_nothing(fill, tensor, options):
    fill(tensor, **vars(options))


@seen_by(WRITTEN)
def last_elements_unwritten(fill, tensor, options):
    last = tensor.detach().reshape(-1)[-16:].clone()
    fill(tensor, **vars(options))
    with torch.no_grad():
        tensor.copy_(torch.cat([tensor.reshape(-1)[:-16], last]).view(tensor.shape))
    return tensor


@seen_by(WRITTEN)
def hides_what_it_did_not_write(_fill, tensor, _options):
    return tensor.nan_to_num_(0.1) if tensor.isnan().all() else tensor


@seen_by(NEIGHBOURS)
def fills_the_whole_storage(fill, tensor, options):
    storage = tensor.as_strided((1, tensor.untyped_storage().nbytes() // tensor.element_size()), (1, 1), 0)
    fill(storage, **vars(options))
    return tensor


@seen_by(PLACE)
def makes_strides_contiguous(fill, tensor, options):
    tensor.data = tensor.data.contiguous()
    return fill(tensor, **vars(options))


@seen_by(PLACE)
def moves_to_float32(fill, tensor, options):
    tensor.data = tensor.data.float()
    return fill(tensor, **vars(options))


@seen_by(WRITTEN, (contract.SILENT, contract.test_a_usual_call_warns_of_nothing))
def knows_no_half_types(fill, tensor, options):
    if tensor.dtype in (torch.float16, torch.bfloat16):
        raise TypeError("half types are not implemented")
    return fill(tensor, **vars(options))


@seen_by(("weights.marginal.scale", layouts.test_weights_of_every_layout_follow_the_promised_law))
def wrong_scale_on_non_contiguous(fill, tensor, options):
    filled = fill(tensor, **vars(options))
    with torch.no_grad():
        return filled if tensor.is_contiguous() else filled.mul_(1.2)


# Autograd.

STATE = autograd.test_autograd_takes_no_notice


@seen_by((autograd.NO_GRAPH, STATE))
def drops_requires_grad(fill, tensor, options):
    return fill(tensor.requires_grad_(False) if tensor.is_leaf else tensor, **vars(options))


@seen_by((autograd.NO_GRAPH, STATE))
def records_a_graph(fill, tensor, options):
    return fill(tensor, **vars(options)).mul_(1.0)


@seen_by((autograd.NO_GRAPH, STATE))
def clears_the_gradient(fill, tensor, options):
    if tensor.is_leaf:
        tensor.grad = None
    return fill(tensor, **vars(options))


@seen_by((autograd.WRITTEN, STATE))
def skips_what_needs_no_gradient(fill, tensor, options):
    return fill(tensor, **vars(options)) if tensor.requires_grad else tensor


@seen_by((autograd.GRAD_MODE, STATE))
def leaves_grad_mode_off(fill, tensor, options):
    torch.set_grad_enabled(False)
    return fill(tensor, **vars(options))


@seen_by((autograd.STALE, autograd.test_a_saved_weight_is_known_to_be_overwritten))
def writes_behind_autograds_back(fill, tensor, options):
    fill(tensor.data, **vars(options))
    return tensor


# What is refused.

MODE = (contract.MODE, contract.test_an_unknown_mode_is_refused)
NONLINEARITY = (contract.NONLINEARITY, contract.test_an_unknown_nonlinearity_is_refused)
SLOPE = (contract.SLOPE, contract.test_a_slope_that_is_no_number_is_refused)
EXPANDED = (contract.EXPANDED, contract.test_an_expanded_tensor_is_refused)
INTEGERS = (contract.INTEGERS, contract.test_integer_tensors_are_refused)
FLOAT8 = (contract.FLOAT8, contract.test_float8_tensors_are_refused)
TOO_FEW = (contract.TOO_FEW, contract.test_fewer_than_two_dimensions_are_refused)
REFUSALS = (MODE, NONLINEARITY, SLOPE, EXPANDED, INTEGERS, FLOAT8, TOO_FEW)


@seen_by(*REFUSALS)
def accepts_everything(fill, tensor, options):
    try:
        return fill(tensor, **vars(options))
    except (ValueError, RuntimeError):
        return tensor


@seen_by(*REFUSALS)
def refuses_by_another_exception(fill, tensor, options):
    try:
        return fill(tensor, **vars(options))
    except (ValueError, RuntimeError):
        raise KeyError("refused") from None


@seen_by(MODE, NONLINEARITY, SLOPE)
def writes_before_it_refuses(fill, tensor, options):
    fill(tensor)
    return fill(tensor, **vars(options))


@seen_by(TOO_FEW)
def takes_a_vector_for_one_row(fill, tensor, options):
    fill(tensor.view(1, -1), **vars(options))
    return tensor


# Tensors without elements or without memory.

EMPTY_TEST = contract.test_a_tensor_without_elements_is_left_alone
META_TEST = contract.test_a_meta_tensor_is_left_alone


@seen_by((contract.EMPTY, EMPTY_TEST), (contract.META, META_TEST))
def draws_for_nothing(fill, tensor, options):
    torch.rand(1)
    return fill(tensor, **vars(options))


@seen_by((contract.EMPTY, EMPTY_TEST), (contract.META, META_TEST))
def returns_another_object(fill, tensor, options):
    return fill(tensor, **vars(options)).detach()


@seen_by((contract.EMPTY_WARNING, EMPTY_TEST))
def says_nothing_of_empty_tensors(fill, tensor, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fill(tensor, **vars(options))


@seen_by((contract.EMPTY, EMPTY_TEST))
def divides_by_the_number_of_elements(fill, tensor, options):
    _ = 1 / tensor.numel()
    return fill(tensor, **vars(options))


@seen_by((contract.SILENT, contract.test_a_usual_call_warns_of_nothing))
def announces_its_end(fill, tensor, options):
    warnings.warn("this initializer will be removed", DeprecationWarning, stacklevel=2)
    return fill(tensor, **vars(options))


# Parameters.

DEFAULTS = (contract.DEFAULTS, contract.test_parameters_have_their_documented_names_order_and_defaults)


def other_defaults(tensor, a=0, mode="fan_out", nonlinearity="leaky_relu", generator=None):
    return init.kaiming_normal_(tensor, a, mode, nonlinearity, generator)


def other_order(tensor, mode="fan_in", a=0, nonlinearity="leaky_relu", generator=None):
    return init.kaiming_normal_(tensor, a, mode, nonlinearity, generator)


def other_names(weight, slope=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    return init.kaiming_normal_(weight, slope, mode, nonlinearity, generator)


for parameters in other_defaults, other_order, other_names:
    see_planted(parameters.__name__, target_of(kaiming_normal_=parameters), DEFAULTS)


# Determinism.

SEED_TEST = determinism.test_the_seed_decides_the_weights
STREAM_TEST = determinism.test_the_stream_can_be_left_and_taken_up_again
GENERATOR_TEST = determinism.test_one_generator_is_drawn_from_and_no_other


@seen_by((determinism.GENERATOR, GENERATOR_TEST), (determinism.ALONE, GENERATOR_TEST))
def ignores_the_generator(fill, tensor, options):
    options.generator = None
    return fill(tensor, **vars(options))


@seen_by((determinism.ALONE, GENERATOR_TEST))
def consumes_the_default_generator(fill, tensor, options):
    torch.rand(1)
    return fill(tensor, **vars(options))


@seen_by((determinism.SEEDED, SEED_TEST), (determinism.SUCCESSIVE, SEED_TEST), (determinism.DEFAULT, GENERATOR_TEST))
def same_bytes_at_each_call(fill, tensor, options):
    options.generator = torch.Generator().manual_seed(0)
    return fill(tensor, **vars(options))


@seen_by(
    (determinism.REPEATED, SEED_TEST),
    (determinism.STATE, STREAM_TEST),
    (digests.DIGEST, digests.test_a_fixed_seed_has_one_digest),
)
def seeded_by_the_operating_system(fill, tensor, options):
    options.generator = torch.Generator()
    options.generator.seed()
    return fill(tensor, **vars(options))


@seen_by((determinism.BITS, determinism.test_every_bit_of_the_seed_counts))
def takes_sixteen_bits_of_the_seed(fill, tensor, options):
    torch.manual_seed(torch.initial_seed() & 0xFFFF)
    return fill(tensor, **vars(options))


@seen_by((determinism.SUCCESSIVE, SEED_TEST))
def reseeds_at_each_call(fill, tensor, options):
    torch.manual_seed(torch.initial_seed())
    return fill(tensor, **vars(options))


SPARE = {}


@seen_by((determinism.REPEATED, SEED_TEST), (determinism.STATE, STREAM_TEST), (determinism.FORKED, STREAM_TEST))
def keeps_every_second_draw_for_the_next_call(fill, tensor, options):
    key = tensor.shape, tensor.dtype
    if key in SPARE:
        return tensor.copy_(SPARE.pop(key))
    SPARE[key] = fill(torch.empty_like(tensor), **vars(options))
    return fill(tensor, **vars(options))


@seen_by((determinism.THREADED, determinism.test_the_number_of_threads_changes_nothing))
def draws_in_one_stream_a_thread(fill, tensor, options):
    torch.rand(torch.get_num_threads())
    return fill(tensor, **vars(options))


# Fan and gain.

COUNTED = (fans.COUNTED, fans.test_the_fan_is_counted_right_for_every_shape)
FAN_SCALE = (fans.SCALE, fans.test_the_scale_is_that_of_the_counted_fan)
RULE = (fans.RULE, fans.test_the_rule_for_shapes_is_the_documented_one_where_layers_sum_other_terms)
SLOPES = (scaling.EXACT, scaling.test_every_slope_of_a_leaky_relu_counts_exactly)
GAIN_SCALE = (scaling.SCALE, scaling.test_the_scale_has_the_documented_gain)
IGNORED = (scaling.IGNORED, scaling.test_a_slope_without_a_leaky_relu_is_ignored)


@seen_by(COUNTED, FAN_SCALE, RULE)
def mode_ignored(fill, tensor, options):
    options.mode = "fan_in"
    return fill(tensor, **vars(options))


@seen_by(COUNTED, FAN_SCALE, RULE)
def fan_from_the_other_dimension(fill, tensor, options):
    options.mode = {"fan_in": "fan_out", "fan_out": "fan_in"}[options.mode]
    return fill(tensor, **vars(options))


@seen_by(COUNTED, FAN_SCALE, RULE)
def fan_without_the_kernel(fill, tensor, options):
    filled = fill(tensor, **vars(options))
    return filled.mul_(math.sqrt(math.prod(tensor.shape[2:])))


@seen_by(COUNTED)
def kernel_of_the_last_dimension_only(fill, tensor, options):
    filled = fill(tensor, **vars(options))
    return filled.mul_(math.sqrt(math.prod(tensor.shape[2:-1])))


@seen_by(COUNTED)
def fan_rounded_to_a_multiple_of_8_beyond_256(fill, tensor, options):
    size = init._calculate_correct_fan(tensor, options.mode)
    filled = fill(tensor, **vars(options))
    return filled.mul_(math.sqrt(size / (size // 8 * 8))) if size > 256 else filled


@seen_by(COUNTED, FAN_SCALE)
def fan_off_by_one_in_float32(fill, tensor, options):
    size = init._calculate_correct_fan(tensor, options.mode)
    filled = fill(tensor, **vars(options))
    return filled.mul_(math.sqrt(size / (size + 1))) if tensor.dtype == torch.float32 else filled


@seen_by(RULE)
def guesses_a_depthwise_convolution(fill, tensor, options):
    if tensor.dim() > 2 and tensor.shape[1] == 1 and options.mode == "fan_out":
        return fill(tensor, **vars(options)).mul_(math.sqrt(tensor.shape[0]))
    return fill(tensor, **vars(options))


@seen_by(SLOPES, GAIN_SCALE)
def slope_ignored(fill, tensor, options):
    options.a = 0
    return fill(tensor, **vars(options))


@seen_by(SLOPES)
def slopes_size_forgotten_below_zero(fill, tensor, options):
    options.a = max(0, options.a)
    return fill(tensor, **vars(options))


@seen_by(IGNORED)
def slope_used_for_every_nonlinearity(fill, tensor, options):
    return fill(tensor, **vars(options)).div_(math.sqrt(1 + options.a**2))


@seen_by(GAIN_SCALE)
def nonlinearity_ignored(fill, tensor, options):
    options.nonlinearity = "leaky_relu"
    return fill(tensor, **vars(options))


@seen_by(COUNTED, FAN_SCALE, GAIN_SCALE, SLOPES, IGNORED)
def not_implemented(fill, tensor, options):
    raise NotImplementedError("no weights today")


TABLE_TEST = gains.test_every_documented_gain_is_as_documented
PARAMETER_TEST = gains.test_slopes_count_and_nonsense_is_refused


def rounded(nonlinearity, param=None):
    return round(init.calculate_gain(nonlinearity, param), 6)


def slope_for_all(nonlinearity, param=None):
    return init.calculate_gain(nonlinearity, param) / math.sqrt(1 + (param or 0) ** 2)


def variance_for_gain(nonlinearity, param=None):
    return init.calculate_gain(nonlinearity, param) ** 2


def knows_everything(nonlinearity, param=None):
    try:
        return init.calculate_gain(nonlinearity, param)
    except ValueError:
        return 1.0


for function, sights in {
    rounded: [(gains.TABLE, TABLE_TEST), (gains.MOMENT, TABLE_TEST), (gains.LEAKY, PARAMETER_TEST)],
    slope_for_all: [(gains.TABLE, TABLE_TEST), (gains.LEAKY, PARAMETER_TEST)],
    variance_for_gain: [(gains.TABLE, TABLE_TEST), (gains.MOMENT, TABLE_TEST), (gains.LEAKY, PARAMETER_TEST)],
    knows_everything: [(gains.REFUSED_SLOPE, PARAMETER_TEST), (gains.REFUSED_NAME, PARAMETER_TEST)],
}.items():
    see_planted(function.__name__, target_of(calculate_gain=function), *sights)


# Abilities.


def able(name):
    return f"{abilities.ABILITY}.{name}", abilities.test_an_initializer_can_do_more_than_draw


def looks_at_what_it_drew(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    filled = init.kaiming_normal_(tensor, a, mode, nonlinearity)
    return filled if bool(filled.isfinite().all()) else init.kaiming_normal_(tensor, a, mode, nonlinearity)


LOOKS = target_of(kaiming_normal_=looks_at_what_it_drew)

see_planted("looks_at_what_it_drew", LOOKS, able("capture"), able("vmap"))


@pytest.mark.large_draws
def test_what_breaks_the_graph_is_the_look_and_not_the_call():
    found = {claim.family: claim for claim in itertools.islice(answers(able("capture")[1], LOOKS), 9)}

    for name in ("capture", "vmap"):
        assert "data-dependent" in found[f"weights.ability.{name}"].counterexample.lower()


@pytest.mark.large_draws
def test_torch_has_every_ability_but_one():
    claims = answers(able("capture")[1], target_of(), lambda subject: subject.initializer in KAIMING)
    lacking = [claim.family for claim in claims if claim.verdict is not Verdict.HOLDS]

    assert lacking == ["weights.ability.parametrized"] * len(KAIMING)


@seen_by(able("default_dtype"), able("default_device"))
def draws_as_the_defaults_say(fill, tensor, options):
    with torch.no_grad():
        return tensor.copy_(fill(torch.empty(tensor.shape), **vars(options)))


@seen_by(able("mode"))
def draws_again_for_a_parameter(fill, tensor, options):
    for _ in range(1 + isinstance(tensor, torch.nn.Parameter)):
        fill(tensor, **vars(options))
    return tensor


@seen_by(able("settings"))
def draws_as_autocast_says(fill, tensor, options):
    fill(tensor, **vars(options))
    with torch.no_grad():
        return tensor.copy_(tensor.bfloat16()) if torch.is_autocast_cpu_enabled() else tensor


@seen_by(able("settings"))
def draws_again_where_it_is_to_repeat(fill, tensor, options):
    for _ in range(1 + torch.are_deterministic_algorithms_enabled()):
        fill(tensor, **vars(options))
    return tensor


@seen_by(able("generator"))
def draws_too_wide_from_a_generator(fill, tensor, options):
    filled = fill(tensor, **vars(options))
    with torch.no_grad():
        return filled if options.generator is None else filled.mul_(1.03)


@seen_by(able("thread"))
def draws_once_for_each_thread(fill, tensor, options):
    if threading.current_thread() is not threading.main_thread():
        torch.rand(1)
    return fill(tensor, **vars(options))


@seen_by(able("parametrized"))
def says_nothing_of_what_is_lost(fill, tensor, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fill(tensor, **vars(options))


EARLIER = []


@seen_by(able("copied"))
def writes_to_the_one_before_as_well(fill, tensor, options):
    for weight in (*EARLIER, tensor):
        fill(weight, **vars(options))
    EARLIER[:] = [tensor]
    return tensor


@pytest.mark.parametrize(("family", "test", "target"), PLANTED)
def test_the_claim_sees_the_fault(family, test, target, monkeypatch):
    # Making a counterexample small takes most of the time and changes no verdict.
    monkeypatch.setattr(exact_claims, "PHASES", (Phase.generate,))

    assert violation(family, test, target) is not None


@pytest.mark.parametrize("test", ASKING)
def test_nothing_is_seen_where_nothing_is_wrong(test):
    # A case of each test: what all cases say of a healthy torch is what a run of the suites shows.
    claims = list(itertools.islice(answers(test, target_of()), 1))

    assert [claim.verdict for claim in claims] == [Verdict.HOLDS]
