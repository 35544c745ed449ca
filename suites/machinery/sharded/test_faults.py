"""Every claim about sharded weights sees the fault that it exists for, planted on every rank."""

from __future__ import annotations

import pytest

from fixtures.faults.sharded import FAULTS
from fixtures.record.claim import Verdict
from suites.machinery.chance import CLAIM, SURE
from suites.machinery.making.ranks import answers_of_ranks
from suites.sharded import test_checkpoints as checkpoints
from suites.sharded import test_networks as networks
from suites.sharded import test_orthogonal as orthogonal
from suites.sharded import test_weights as weights
from suites.sharded.subjects import SHAPE

pytestmark = pytest.mark.subprocess

ROWS = "sharded_rows(4, seeds='by_rank')"
CHECKPOINT = checkpoints.test_a_checkpoint_has_the_same_bits_in_another_layout
SHARDS = weights.test_shards_together_are_one_weight

SHOWN = {
    "shard-one-row-early": (SHARDS, ROWS),
    "shards-mirror-each-other": (SHARDS, ROWS),
    "one-replica-differs": (SHARDS, "sharded_replicas(4)"),
    "shard-element-unwritten": (SHARDS, ROWS),
    "fan-of-the-shard": (SHARDS, ROWS),
    "shards-shifted": (SHARDS, ROWS),
    "equal-layers": (SHARDS, "sharded_fsdp(4, seeds='by_rank')"),
    "initialized-twice": (SHARDS, ROWS),
    "seed-ignored": (weights.test_a_fixed_seed_has_one_whole, "sharded_by_hand(4)"),
    "generator-ignored": (SHARDS, "sharded_rows(4, seeds='generator')"),
    "shards-overlap": (SHARDS, ROWS),
    "gathered-through-bfloat16": (networks.test_ranks_train_as_one_process, "network_fsdp(4)"),
    "gradients-a-thousandth-large": (networks.test_ranks_train_as_one_process, "network_fsdp(4)"),
    "sgd-steps-twice": (networks.test_ranks_train_as_one_process, "network_fsdp(4)"),
    "loaded-through-bfloat16": (CHECKPOINT, "checkpoint_rows_to_columns(4)"),
    "orthogonal-1-percent": (orthogonal.test_the_whole_is_orthogonal, ROWS),
    "orthogonal-is-identity": (orthogonal.test_the_whole_is_orthogonal, ROWS),
}
"""Fault -> test that must see it, and the path of a subject that shows it."""


def asked_about(path):
    """The float32 subject by this path, where there are several the square one of Kaiming's normal weights."""

    def wanted(subject):
        if subject.path != path or subject.dtype != "float32":
            return False
        return subject.name not in KAIMING_AND_OTHERS or (subject.name, subject.shape) == ("kaiming_normal_", SHAPE)

    return wanted


KAIMING_AND_OTHERS = ("kaiming_normal_", "kaiming_uniform_", "trunc_normal_")
"""Initializers of which one test asks in the same layouts."""


def test_every_fault_is_shown():
    assert SHOWN.keys() == FAULTS.keys()


@SURE
@pytest.mark.parametrize("name", SHOWN)
def test_a_fault_is_seen_by_every_family_that_must_see_it(name, world):
    test, path = SHOWN[name]

    claims = list(answers_of_ranks(test, world, name, asked_about(path)))

    violated = {claim.family for claim in claims if claim.verdict is Verdict.VIOLATED}
    assert {*FAULTS[name].families} <= violated


@pytest.mark.draws(40 * CLAIM, "claims of healthy shards")
@pytest.mark.parametrize("path", [ROWS, "sharded_by_hand(4)", "sharded_replicas(4)"])
def test_healthy_shards_pass(path, world):
    claims = list(answers_of_ranks(SHARDS, world, None, asked_about(path)))

    assert {claim.verdict for claim in claims} == {Verdict.HOLDS}
