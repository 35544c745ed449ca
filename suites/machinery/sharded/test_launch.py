"""Ranks that torchrun has started: one set of questions, one record, one exit code."""

from __future__ import annotations

import pytest

from fixtures.record import file_names, run_folder
from fixtures.record.claim import Verdict
from fixtures.record.plan import Plan
from suites.machinery.chance import CLAIM
from suites.machinery.making import preloaded

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--local-ranks-filter", "0")
ASKED = ("-m", "pytest", "suites/sharded", "-q", "-p", "no:cacheprovider", "-p", "no:benchmark", "--device", "cpu")


@pytest.mark.draws(20 * CLAIM, "claims of healthy shards")
@pytest.mark.subprocess
def test_torchrun_starts_one_run_whose_record_is_rank_0s(tmp_path):
    selected = ("-k", "by_hand and test_shards", "--run-dir", tmp_path)

    ended = preloaded.run(*TORCHRUN, *ASKED, *selected, GLOO_SOCKET_IFNAME="lo")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    claims = run_folder.read_claims(tmp_path / file_names.CLAIMS).values()
    planned = run_folder.read_record(tmp_path / file_names.PLAN, Plan).claims
    assert [claim.id for claim in claims] == [*planned]
    assert {claim.subject.path for claim in claims} == {"sharded_by_hand(2)"}
    assert {claim.verdict for claim in claims} == {Verdict.HOLDS}
    assert ended.stdout.count("kaiming gate =") == 1, "one rank's summary alone is shown"
