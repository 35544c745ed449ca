"""Models that ranks hold together, as a user builds them: sound ones, and ones with a mistake."""

from __future__ import annotations

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, empty


class Layers(nn.Module):
    """Two linear layers and a normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(128, 256), nn.LayerNorm(256), nn.Linear(256, 64)


def _reset(model: Layers, *names: str) -> Layers:
    for name in names:
        model.get_submodule(name).reset_parameters()  # type: ignore[operator]  # each has one
    return model


def _sharded() -> Layers:
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    with torch.device("meta"):
        model = Layers()
    for module in (model.first, model.norm, model.second, model):
        fully_shard(module, mesh=mesh)
    model.to_empty(device="cpu")
    return model


def _seed_by_rank() -> None:
    torch.manual_seed(torch.initial_seed() + distributed.get_rank())


def sound() -> Layers:
    """FSDP2 with a seed for each rank."""
    model = _sharded()
    _seed_by_rank()
    return _reset(model, "first", "norm", "second")


def equal_shards() -> Layers:
    """FSDP2 after one seed on all ranks."""
    return _reset(_sharded(), "first", "norm", "second")


def forgotten() -> Layers:
    """FSDP2 whose normalization nobody resets."""
    model = _sharded()
    _seed_by_rank()
    return _reset(model, "first", "second")


def _laid_out(placement: Shard | Replicate) -> nn.Linear:
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    layer = nn.Linear(256, 128, bias=False, device="meta")
    layer.weight = nn.Parameter(empty(128, 256, device_mesh=mesh, placements=[placement]))
    _seed_by_rank()
    return layer


def unequal_replicas() -> nn.Linear:
    """A replicated weight after a seed for each rank."""
    layer = _laid_out(Replicate())
    nn.init.kaiming_normal_(layer.weight)
    return layer


def fan_of_the_shard() -> nn.Linear:
    """A weight cut in columns, of which each rank initializes its part by itself."""
    layer = _laid_out(Shard(1))
    nn.init.kaiming_normal_(layer.weight.to_local())  # type: ignore[operator]  # a DTensor's
    return layer


def failing() -> nn.Module:
    """A model that rank 1 fails to build."""
    if distributed.get_rank() == 1:
        raise ValueError("no such layer")
    return _sharded()
