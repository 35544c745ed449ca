"""Claims where ranks cannot answer: a rank that fails violates its case's, and what torch lacks is no evidence."""

from __future__ import annotations

import pytest

from fixtures.record.claim import Verdict
from fixtures.sharded.world import Fallen
from fixtures.target.target import TORCH, load_target
from suites.framework.exact_claims import Inconclusive
from suites.machinery.chance import SURE
from suites.machinery.making.answers import answers
from suites.sharded import test_checkpoints as checkpoints
from suites.sharded import test_networks as networks
from suites.sharded import test_orthogonal as orthogonal
from suites.sharded import test_weights as weights

TESTS = (
    weights.test_shards_together_are_one_weight,
    weights.test_a_fixed_seed_has_one_whole,
    orthogonal.test_the_whole_is_orthogonal,
    networks.test_ranks_train_as_one_process,
    checkpoints.test_a_checkpoint_has_the_same_bits_in_another_layout,
)


def failing_with(error):
    def ask(*_arguments):
        raise error

    return ask


@SURE
@pytest.mark.parametrize("test", TESTS)
def test_a_rank_that_fails_violates_every_claim_of_its_case(test):
    ask = failing_with(Fallen("rank 2 of 4 was ended by SIGKILL"))

    claims = list(answers(test, load_target(TORCH), ask=ask))

    assert {(claim.verdict, claim.counterexample) for claim in claims} == {
        (Verdict.VIOLATED, "rank 2 of 4 was ended by SIGKILL")
    }


@SURE
@pytest.mark.parametrize("test", TESTS)
def test_what_torch_lacks_is_no_evidence(test):
    claims = list(answers(test, load_target(TORCH), ask=failing_with(Inconclusive("this release lacks it"))))

    assert {(claim.verdict, claim.note) for claim in claims} == {(Verdict.NO_EVIDENCE, "this release lacks it")}
