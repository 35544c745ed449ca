"""Every entry of the table sees faults in values, gradients and memory, at the edge of what it resolves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fixtures.faults.operations import overwriting, scaled, unwritten
from fixtures.operations.operation import SPACES, Draw, asked, laid_out, truth
from fixtures.operations.table import OPERATIONS, found_in
from suites.machinery.chance import SURE, fresh_seed

EDGE = {"float32": 2.0**-12, "bfloat16": 2.0**-2}
"""Relative faults that every entry sees: 4096 and 128 roundings; most see ten (number.py says what is counted)."""

SETTINGS = 200
"""Settings that are drawn until one shows a fault. Some cannot, such as the softmax of one number: of the worst entry
13 of 25. Were it nine of ten, all of these would be such with chance 7e-10; three of four, 1e-25."""

EVERY = [
    (name, dtype)
    for name in OPERATIONS
    if name != "conv_of_padding"  # is about zeros; its sums in bfloat16 are too long
    for dtype in EDGE
]


@pytest.fixture
def seeds():
    """Seeds of draws, as many as are asked for."""
    rng = np.random.default_rng(fresh_seed())
    return iter(lambda: int(rng.integers(2**63)), None)


def found_with(name: str, dtype: str, change, seed: int):
    """Draw a setting, change its call, and ask it."""
    operation = OPERATIONS[name]
    if not operation.exists():
        pytest.skip("this release of torch lacks the operation")
    draw = Draw(seed, dtype, operation.spaces[0])
    setting = operation.draw(draw)
    return asked(change(setting), draw, "cpu", operation.differentiable)


def calling(fault):
    """Change a setting's call as a fault of the registry would change torch's."""
    return lambda setting: replace(setting, run=fault(setting.run))


@SURE
@pytest.mark.large_draws
@pytest.mark.parametrize(("name", "dtype"), EVERY)
def test_values_that_are_too_large_are_seen(name, dtype, seeds):
    fault = calling(scaled(1 + EDGE[dtype], 1.0))

    assert any(found_with(name, dtype, fault, next(seeds)).values.strain > 1 for _ in range(SETTINGS))


@SURE
@pytest.mark.large_draws
@pytest.mark.parametrize(("name", "dtype"), [each for each in EVERY if OPERATIONS[each[0]].differentiable])
def test_gradients_that_are_too_large_are_seen(name, dtype, seeds):
    fault = calling(scaled(1.0, 1 + EDGE[dtype]))

    assert any(found_with(name, dtype, fault, next(seeds)).gradients.strain > 1 for _ in range(SETTINGS))


@pytest.mark.draws(0, "settings that were found")
@pytest.mark.parametrize(
    ("name", "dtype", "space", "seed"),
    [
        ("softsign", "float16", "ordinary", 161347664),  # a subnormal step: 1.6 times the bound that there was
        ("softsign", "float16", "ordinary", 2395598669),
        ("normalize", "float16", "mixed", 662382265),  # a step overflows
        ("normalize", "float16", "mixed", 28080381),  # nine roundings to the half type
        ("normalize", "float16", "ordinary", 21135418),
        ("batch_norm", "bfloat16", "small", 2104110339),  # not contiguous, and so step by step: 0.995 of it
    ],
)
def test_what_a_healthy_torch_once_violated_is_within_its_bound(name, dtype, space, seed):
    found = found_in(name, seed, dtype, space, "cpu")

    assert max(found.values.strain, found.gradients.strain) <= 1


@SURE
@pytest.mark.parametrize("name", OPERATIONS)
def test_nearly_every_element_has_a_bound(name, seeds):
    """An infinite one allows everything: masked attention had no other, and nothing saw that its mask was left out.

    What is left without one has a variance that is smaller than its error: that of one number, in one of 40 settings.
    """
    operation = OPERATIONS[name]
    bounds = []
    for _ in range(SETTINGS // 10):
        draw = Draw(next(seeds), "float32", operation.spaces[0])
        _, true = truth(operation.draw(draw), draw, operation.differentiable)
        bounds += [number.bound().ravel() for number in true]

    assert np.isinf(np.concatenate(bounds)).mean() < 0.2


@SURE
def test_an_element_that_nobody_wrote_is_seen(seeds):
    told = (found_with("linear", "float32", calling(unwritten), next(seeds)).memory or "" for _ in range(SETTINGS))

    assert any("output depends on what memory held" in words for words in told)


@SURE
def test_an_operand_that_is_overwritten_is_seen(seeds):
    found = found_with("layer_norm", "float32", calling(overwriting), next(seeds))

    assert "x was changed" in found.memory


@SURE
def test_another_shape_or_dtype_is_told(seeds):
    def flat(setting):
        return replace(setting, run=lambda *tensors: setting.run(*tensors).reshape(-1, 1, 1, 1, 1))

    def wide(setting):
        return replace(setting, run=lambda *tensors: setting.run(*tensors).double())

    with pytest.raises(AssertionError, match=r"the output is of shape \(\d+, 1, 1, 1, 1\), not"):
        found_with("gelu", "float32", flat, next(seeds))
    with pytest.raises(AssertionError, match=r"the output is in torch\.float64"):
        found_with("gelu", "float32", wide, next(seeds))


@SURE
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_inputs_are_what_the_dtype_holds(space, dtype):
    values = Draw(fresh_seed(), dtype, space).inputs(9, 40)
    kept = torch.from_numpy(values.copy()).to(getattr(torch, dtype)).double().numpy()

    assert np.array_equal(kept, values)
    assert np.isfinite(values).all()
    assert np.isfinite(torch.from_numpy(values**2).float().sum().item())


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided", "channels_last"])
def test_layouts_hold_the_same_values(layout):
    tensor = torch.arange(120.0).reshape(2, 3, 4, 5)
    placed = laid_out(tensor, layout)

    assert torch.equal(placed, tensor)
    assert (placed.stride() == tensor.stride()) == (layout == "contiguous")
