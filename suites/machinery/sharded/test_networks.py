"""Networks that ranks hold: nothing is looked at before the collective that writes it has ended."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from torch import distributed

from fixtures.record.subject import Subject
from fixtures.sharded import networks
from suites.machinery.chance import SURE

pytestmark = [SURE, pytest.mark.subprocess]

SUBJECT = Subject("nn.Linear", (64, 48), "float32", None, None, path="network_tensor_parallel(4)")


def types_of(found):
    """Types of the tensors in what a rank hands to all others."""
    if isinstance(found, torch.Tensor):
        return {type(found).__name__}
    return set().union(*map(types_of, found)) if isinstance(found, tuple) else set()


def gathered(subject, seed, copy):
    """Types of all tensors that this rank hands to all others in a step of training, by the name of a copier."""
    types = set()
    gather = distributed.all_gather_object

    def seen(into, own):
        types.update(types_of(own))
        gather(into, own)

    copier = {"settled": networks.settled, "a view": lambda tensor: tensor.detach().cpu()}[copy]
    with mock.patch.object(distributed, "all_gather_object", seen), mock.patch.object(networks, "settled", copier):
        networks.train_once(subject, seed)
    return types


def test_what_ranks_tell_each_other_is_complete(world, fresh_seed):
    assert world.ask("types", gathered, SUBJECT, fresh_seed, "settled") <= {"Tensor", "Parameter"}


def test_a_view_would_not_have_waited(world, fresh_seed):
    assert "AsyncCollectiveTensor" in world.ask("types", gathered, SUBJECT, fresh_seed, "a view")
