"""Arguments and results of modules as plain values."""

import collections
import dataclasses
import json

import pytest
import torch

from fixtures.model.values import NotPlain, named_tensors, packed, unpacked


def test_what_is_packed_comes_back_through_json_and_runs_no_code():
    kept = {}

    def keep(tensor):
        kept[name := f"t{len(kept)}"] = tensor
        return name

    mask = torch.zeros(1, dtype=torch.bool)
    given = ((torch.ones(2), [1, 2.5, None]), {"mask": mask, "dtype": torch.bfloat16, "s": "x"})

    found = unpacked(json.loads(json.dumps(packed(given, keep))), kept.__getitem__)

    assert found[0][1] == [1, 2.5, None]
    assert isinstance(found, tuple)
    assert torch.equal(found[0][0], torch.ones(2))
    assert found[1]["dtype"] is torch.bfloat16
    assert found[1]["s"] == "x"
    assert found[1]["mask"].dtype is torch.bool


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": object()}, [lambda: 0], collections.namedtuple("P", "x")(1)])
def test_what_only_code_could_bring_back_is_refused_by_name(value):
    with pytest.raises(NotPlain, match=r"^argument 3 is a "):
        packed(value, lambda tensor: "", "argument 3")


def test_tensors_are_named_by_their_place():
    @dataclasses.dataclass
    class Output:
        logits: torch.Tensor
        hidden: tuple

    one = torch.zeros(1)
    found = named_tensors(Output(one, (one, {"a": one, "b": 3})))

    assert list(found) == ["logits", "hidden.0", "hidden.1.a"]
    assert list(named_tensors(one)) == [""]
    assert list(named_tensors((one,))) == [""]
    assert named_tensors(3) == {}


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (3, 0, 1, 2), (0, 1, 2, 3)])
def test_tensors_come_back_in_the_layout_that_they_had(order):
    kept = {}

    def keep(tensor):
        kept["t"] = tensor.clone(memory_format=torch.contiguous_format)
        return "t"

    given = torch.arange(120.0).reshape(2, 3, 4, 5).permute(order)
    found = unpacked(json.loads(json.dumps(packed(given, keep))), kept.__getitem__)

    assert torch.equal(found, given)
    assert found.stride() == given.stride()


def test_what_has_gaps_or_overlaps_comes_back_dense():
    kept = {}
    for given in (torch.arange(12.0).reshape(3, 4)[:, :2].t(), torch.ones(1, 4).expand(3, 4)):
        assert set(packed(given, lambda tensor: kept.setdefault("t", "t"))) == {"tensor"}
