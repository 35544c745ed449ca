"""Draws that ranks divide among them: the same whoever drew which, and judged as one run."""

from __future__ import annotations

import pytest

from fixtures.faults.registry import planted_faults
from fixtures.record.claim import Verdict
from fixtures.record.kinds import Divided
from fixtures.record.subject import Subject
from fixtures.sharded.divided import SEEDS, draw_divided, drawn_by
from fixtures.target.target import TORCH, load_target
from suites.machinery.chance import CLAIM, FAR_MISS, SURE
from suites.machinery.making.merged_sketches import same
from suites.machinery.making.ranks import answers_of_ranks
from suites.sharded import test_draws as divided

pytestmark = pytest.mark.subprocess

SUBJECT = Subject("kaiming_normal_", (64, 32), "float32", "fan_in", "relu", path=str(Divided()))


@SURE
@pytest.mark.parametrize("draws", [1, 3 * SUBJECT.numel, 9 * SUBJECT.numel + 1])
def test_what_is_drawn_depends_on_no_number_of_ranks(draws, world, fresh_seed):
    merged = world.ask("draws", draw_divided, SUBJECT, draws, fresh_seed, TORCH)

    assert same(merged, drawn_by(0, 1, SUBJECT, draws, fresh_seed, TORCH))
    assert draws <= merged.counts.sum() < draws + SUBJECT.numel


@SURE
def test_the_last_seed_is_followed_by_the_first():
    last, first = (drawn_by(0, 1, SUBJECT, 1, seed, TORCH) for seed in (SEEDS - 1, 0))

    assert same(drawn_by(0, 2, SUBJECT, 2 * SUBJECT.numel, SEEDS - 1, TORCH), last)
    assert same(drawn_by(1, 2, SUBJECT, 2 * SUBJECT.numel, SEEDS - 1, TORCH), first)


@pytest.mark.draws(2 * FAR_MISS, "a quarter more than is resolved, in two subjects")
def test_half_a_percent_of_scale_is_seen_where_it_is(world):
    faulty = load_target(planted_faults()["half_percent_scale"].planted)

    claims = list(answers_of_ranks(divided.test_all_draws_together_follow_the_law, world, None, bool, faulty))

    violated = {(claim.family, claim.subject.dtype) for claim in claims if claim.verdict is Verdict.VIOLATED}
    assert ("sharded.law.scale", "float32") in violated
    assert {dtype for _, dtype in violated} == {"float32"}


@pytest.mark.draws(5 * len(divided.ASKED) * CLAIM, "claims of healthy draws")
def test_healthy_draws_pass(world):
    claims = list(answers_of_ranks(divided.test_all_draws_together_follow_the_law, world, None, bool))

    assert {claim.verdict for claim in claims} == {Verdict.HOLDS}
