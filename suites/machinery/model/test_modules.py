"""Modules one by one: what they are fed and asked, and their errors against float64."""

import copy
import itertools
import types

import msgspec
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fixtures.model import numbers as numbers_module
from fixtures.model.allowance import allowed, departure
from fixtures.model.carried import Keeper
from fixtures.model.modules import Manner, called_modules, figures, manner_of, passed, projections, sender, source_of
from fixtures.model.numbers import Condition, numbers_of, plan_of
from fixtures.model.results import AS_IT_IS, OUT_OF_TIME, ROOT
from fixtures.statistics.pvalues import chi_squared_p
from suites.machinery.chance import SURE, within_chance

pytestmark = SURE


class Inner(nn.Module):
    """A module with functional code in its forward, which takes a keyword and returns a dict."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x, *, scale=1.0):
        """[n, 6] -> {"y": [n, 6]}."""
        return {"y": scale * functional.gelu(self.linear(x))}


class Outer(nn.Module):
    """Calls one module twice, another never, and one in place."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 6)
        self.inner = Inner()
        self.idle = nn.Linear(2, 2)
        self.relu = nn.ReLU(inplace=True)
        self.norm = nn.BatchNorm1d(6)
        self.dropout = nn.Dropout(0.5)

    def forward(self, tokens):
        """[n] -> [n, 6]."""
        x = self.inner(self.embedding(tokens), scale=2.0)["y"]
        return self.dropout(self.norm(self.relu(self.inner(x)["y"])))


@pytest.fixture
def outer():
    return Outer()


@pytest.fixture
def asked(outer):
    return asked_of(outer, torch.arange(8))


def asked_of(model, inputs):
    keeper = Keeper()
    modules, left_out = plan_of(model, ((inputs,), {}), keeper, compiled=False)
    return {one.path: one for one in modules}, left_out, keeper


def numbers(outer, asked, *others):
    modules, _, keeper = asked
    exact = copy.deepcopy(outer).double()
    found = numbers_of(
        outer,
        exact,
        list(modules.values()),
        keeper.kept.__getitem__,
        [Condition(AS_IT_IS, everywhere=True), *others],
        60.0,
    )
    return {(one.path, one.mode): one for one in found.modules}


def test_modules_are_asked_in_the_order_of_their_first_call(asked):
    modules, left_out, _ = asked

    assert list(modules) == ["", "embedding", "inner", "inner.linear", "relu", "norm", "dropout"]
    assert any("idle" in line and "never called" in line for line in left_out)


def test_training_is_asked_only_where_it_differs_and_draws_nothing(asked):
    modules, left_out, _ = asked

    assert {path: one.modes for path, one in modules.items()} == {
        "": ("eval",),
        "embedding": ("eval",),
        "inner": ("eval",),
        "inner.linear": ("eval",),
        "relu": ("eval",),
        "norm": ("eval", "train"),
        "dropout": ("eval",),
    }
    assert any("dropout" in line and "draw random numbers" in line for line in left_out)


def test_buffers_are_left_as_they_were(outer, asked):
    numbers(outer, asked)

    assert int(outer.norm.num_batches_tracked) == 0
    assert torch.equal(outer.norm.running_mean, torch.zeros(6))


def test_every_module_is_asked_forward_and_backward(outer, asked):
    found = numbers(outer, asked)

    names = {path: [tensor.name for tensor in one.tensors] for (path, _), one in found.items()}
    assert names[ROOT][:2] == ["output", "gradient of embedding.weight"]
    assert names["inner"] == ["output", "gradient of input", "gradient of linear.weight", "gradient of linear.bias"]
    assert names["embedding"] == ["output", "gradient of weight"]
    assert not [one.unasked for one in found.values() if one.unasked]


def test_rounding_is_a_few_units_and_a_fault_stands_out(outer, asked, monkeypatch):
    healthy = numbers(outer, asked)
    gelu = functional.gelu
    monkeypatch.setattr(functional, "gelu", lambda x: gelu(x) * (1 + 1e-5 * (x.dtype == torch.float32)))
    faulty = numbers(outer, asked)

    def error(found, path):
        return next(t for t in found[path, "eval"].tensors if t.name == "output").errors[AS_IT_IS].relative

    assert error(healthy, "inner") < 10
    assert 100 < error(faulty, "inner") < 250  # 1e-5 is 168 units
    assert error(faulty, "inner.linear") == error(healthy, "inner.linear")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_product_of_half_types_that_is_three_percent_off_is_more_than_rounding_allows(dtype, monkeypatch):
    """Its sums are of a thousand terms, and kept in float32."""
    model, inputs = nn.Sequential(nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 10)).to(dtype), torch.randn(8, 1024)
    asked = asked_of(model, inputs.to(dtype))
    healthy = numbers(model, asked)
    linear = functional.linear
    monkeypatch.setattr(
        functional, "linear", lambda x, *others: linear(x, *others) * (1 if x.dtype == torch.float64 else 1.03)
    )
    faulty = numbers(model, asked)

    for path in (ROOT, "0", "2"):
        before, after = (found[path, "eval"].tensors[0] for found in (healthy, faulty))
        assert before.name == "output"
        assert after.errors[AS_IT_IS].relative > allowed(before).relative


class Beside(nn.ModuleDict):
    """Modules of one input, by their names."""

    def forward(self, x):
        return [module(x)["y"] for module in self.values()]


@pytest.mark.large_draws
def test_a_fault_in_every_dtype_moves_the_projections_of_the_reference(generator, monkeypatch):
    """The signs are of a module's name, and these names are drawn anew.

    The square of a sum s x under random signs, |x| = 1, has mean 1 and variance 2 (1 - sum of x**4): it is chi-squared
    with one degree of freedom, or closer to its mean.
    """
    model = Beside({f"inner_{name}": Inner() for name in generator.integers(2**62, size=16)})
    asked = asked_of(model, torch.randn(8, 6))
    healthy = numbers(model, asked)
    gelu = functional.gelu
    monkeypatch.setattr(functional, "gelu", lambda x: gelu(x) * (1 + 1e-5))
    faulty = numbers(model, asked)

    pairs = [[found[name, "eval"].tensors[0] for found in (healthy, faulty)] for name in model]
    units = 1e-5 / 2**-24
    shares = [departure(before, after) / units for before, after in pairs]
    degrees = sum(len(before.projections) for before, _ in pairs)
    assert within_chance(chi_squared_p(np.mean(np.square(shares)) * degrees, degrees))
    assert {departure(before, before) for before, _ in pairs} == {0}


def test_a_module_that_raises_alone_is_named_and_the_others_are_asked(outer, asked, monkeypatch):
    monkeypatch.setattr(Inner, "forward", lambda self, x, scale=1.0: x.no_such_method())
    found = numbers(outer, asked)

    assert "no_such_method" in found["inner", "eval"].unasked
    assert found["norm", "eval"].unasked is None


def test_arguments_that_cannot_be_carried_are_named():
    class Taking(nn.Module):
        def forward(self, x, cache):
            return x if cache else -x

    class Giving(nn.Module):
        def __init__(self):
            super().__init__()
            self.taking = Taking()

        def forward(self, x):
            return self.taking(x, object())

    found = {one.path: one for one in called_modules(Giving(), ((torch.zeros(2),), {}), Keeper())}

    assert found["taking"].unasked == "argument 2 is a builtins.object"
    assert found[""].unasked is None


def test_gradients_that_are_sent_are_the_same_for_every_dtype_and_differ_between_modules():
    single, double = (sender("a")("output", torch.zeros(5, dtype=dtype)) for dtype in (torch.float32, torch.float64))

    assert torch.equal(single.double(), double)
    assert not torch.equal(single, sender("b")("output", torch.zeros(5)))


def test_figures_are_in_units_of_the_roundoff():
    true = torch.tensor([3.0, 4.0], dtype=torch.float64)
    unit = 2.0**-24

    found = figures(true * (1 + unit), true, unit)

    assert found.relative == pytest.approx(1)
    assert found.largest == pytest.approx(4 / (5 / 2**0.5))
    assert figures(true, true, unit) == type(found)(0.0, 0.0)
    assert figures(torch.tensor([3.0, float("nan")]), true, unit).relative is None
    assert figures(torch.ones(2), torch.zeros(2), unit).relative is None
    both = torch.tensor([1.0, float("inf")])
    assert figures(both, both.double(), unit) == type(found)(0.0, 0.0)


def test_projections_are_of_fixed_signs_and_have_the_norm_as_their_mean_square():
    values = np.linspace(-1, 1, 200_001)
    found = projections(values, "x")

    assert found == projections(values, "x")
    assert found != projections(values, "y")
    # A sum of eight squares lies within a factor of four of its mean but once in 2e4 names; this is one of them all.
    assert 0.25 < np.mean(np.square(found)) / np.square(values).sum() < 4


def test_a_float64_without_a_kernel_is_replaced_by_the_baselines_own_numbers(outer, asked, monkeypatch):
    gelu = functional.gelu

    def single_only(x):
        if x.dtype == torch.float64:
            raise RuntimeError("no kernel")
        return gelu(x)

    monkeypatch.setattr(functional, "gelu", single_only)
    found = numbers(outer, asked, Condition("moved", moves=1, everywhere=True))

    assert found["inner", "eval"].reference == "float32 of the baseline"
    output = found["inner", "eval"].tensors[0]
    assert output.errors.keys() == {AS_IT_IS, "moved"}
    # Against the inputs as they are: what their last place moves it by is the baseline's own spread.
    assert output.errors["moved"].relative > 0 == output.errors[AS_IT_IS].relative
    assert found["inner.linear", "eval"].reference == "float64"


def test_a_cast_to_float32_inside_is_said(outer, asked, monkeypatch):
    gelu = functional.gelu
    monkeypatch.setattr(functional, "gelu", lambda x: gelu(x.float()).to(x.dtype))

    assert numbers(outer, asked)["inner", "eval"].reference == "float64 with float32 inside"


def test_the_source_is_a_file_and_a_line_without_folders():
    assert source_of(Inner()).startswith("test_modules.py:")
    assert source_of(nn.GELU()).startswith("torch/nn/modules/activation.py:")


def test_a_frozen_parameter_and_an_integer_input_have_no_gradient(outer):
    outer.embedding.weight.requires_grad_(False)
    found = passed(outer.embedding, ((torch.arange(3),), {}), "eval", sender("x"))

    assert list(found.tensors) == ["output"]
    assert manner_of(outer.embedding, ((torch.arange(3),), {})).modes == ("eval",)


def test_a_module_is_alike_in_both_modes_only_if_its_gradients_and_buffers_are():
    class Training(nn.Linear):
        def forward(self, x):
            return super().forward(x if not self.training else 2 * x - x.detach())

    arguments = ((torch.randn(4, 3),), {})

    assert manner_of(nn.Linear(3, 3), arguments).alike
    assert manner_of(Training(3, 3), arguments) == Manner(("eval", "train"), draws=False, alike=False)
    assert manner_of(nn.BatchNorm1d(3, momentum=0.0), arguments).modes == ("eval", "train")


def test_running_statistics_are_among_what_a_module_computes_in_training(outer, asked, monkeypatch):
    """Planted: a momentum of 0.2 for 0.1, which no output in training shows."""
    healthy = numbers(outer, asked)["norm", "train"]
    plain = functional.batch_norm
    monkeypatch.setattr(
        functional,
        "batch_norm",
        lambda x, mean, var, weight, bias, training, momentum, eps: plain(
            x, mean, var, weight, bias, training, 2 * momentum, eps
        ),
    )
    faulty = numbers(outer, asked)["norm", "train"]

    off = {
        before.name for before, after in zip(healthy.tensors, faulty.tensors, strict=True) if departure(before, after)
    }
    assert off == {"buffer running_mean", "buffer running_var"}


def test_what_runs_by_other_kernels_without_gradients_is_asked_without_them():
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    arguments = ((torch.randn(2, 3, 8),), {})

    found = passed(layer, arguments, "inference", sender("x"))

    assert "inference" in manner_of(layer, arguments).modes
    assert manner_of(layer.linear1, arguments).modes == ("eval",)
    assert list(found.tensors) == ["output"]
    assert not found.tensors["output"].requires_grad


def test_whole_numbers_that_a_module_changes_in_place_are_its_own():
    class Counting(nn.Module):
        def forward(self, x, steps):
            return x * steps.add_(1)

    steps = torch.zeros(1, dtype=torch.int64)
    passed(Counting(), ((torch.ones(3), steps), {}), "eval", sender("x"))

    assert steps.item() == 0


def test_what_the_baseline_has_no_answer_to_is_not_asked_again(outer, asked):
    modules, left_out, keeper = asked
    lost = {**modules, "norm": msgspec.structs.replace(modules["norm"], lost={"train": OUT_OF_TIME})}
    found = numbers(outer, (lost, left_out, keeper))

    assert found["norm", "train"].unasked == OUT_OF_TIME
    assert found["norm", "eval"].unasked is None


def test_when_the_time_is_over_leaves_come_first(outer, asked, monkeypatch):
    modules, _, keeper = asked
    seconds = itertools.count()
    monkeypatch.setattr(numbers_module, "time", types.SimpleNamespace(monotonic=lambda: next(seconds)))
    conditions = [Condition(AS_IT_IS, everywhere=True)]
    exact = copy.deepcopy(outer).double()
    found = numbers_of(outer, exact, list(modules.values()), keeper.kept.__getitem__, conditions, 7.5)

    out_of_time = {(one.path, one.mode) for one in found.modules if one.unasked == OUT_OF_TIME}
    assert out_of_time == {("inner", "eval")}  # leaves, and then the model itself, were asked before
