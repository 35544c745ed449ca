"""The paired clock's times in the verdict."""

from __future__ import annotations

import msgspec
import pytest

from fixtures.clock.results import Guard, Memory
from fixtures.rules.policy import Severity, default_policy
from reports.comparison.changes import Incomparable
from reports.verdict.gate import gate
from reports.verdict.reasons import Outcome
from reports.verdict.speed import speed_findings
from suites.machinery.making.runs import claim, run
from suites.machinery.making.times import BYTES, broken, pairing, regressed, timed, unclear

SPEED = default_policy().speed


def verdict_of(*workloads, policy=None, **fields):
    return gate(run(claim()), run(claim(), torch="2.14.1+cpu"), policy=policy, pairing=pairing(*workloads, **fields))


def policy_with(**fields):
    policy = default_policy()
    return msgspec.structs.replace(policy, speed=msgspec.structs.replace(policy.speed, **fields))


MOVED = Guard(name="guard/python", ratio=1.3, low=1.2, high=1.4, moved=True)


@pytest.mark.parametrize(
    ("workloads", "outcome"),
    [
        ([timed()], Outcome.PASS),
        ([timed(), regressed()], Outcome.STOP),
        ([timed(), unclear()], Outcome.NO_EVIDENCE),
        ([regressed(), unclear()], Outcome.STOP),
        ([timed(), timed(ratio=0.3, outcome="improved")], Outcome.NOTICE),
        ([timed(), regressed(required=False)], Outcome.NOTICE),
        ([timed(), broken()], Outcome.STOP),
        ([regressed(required=False)], Outcome.NO_EVIDENCE),
    ],
)
def test_required_workloads_decide(workloads, outcome):
    assert verdict_of(*workloads).outcome == outcome


def test_what_could_not_be_decided_is_one_reason_with_a_line_for_each():
    (reason,) = verdict_of(timed(), *(unclear(f"init/{name}") for name in "abcd")).reasons

    assert reason.names == ("init/a", "init/b", "init/c", "init/d")
    assert reason.text == "too noisy to decide in the time there was: init/a, init/b, init/c and 1 more"
    assert reason.details[3] == "init/d: sd 9.0 % from restart to restart; 40 restarts would decide"


def test_a_regression_is_told_with_its_interval():
    (reason,) = verdict_of(timed(), regressed()).reasons

    assert (reason.kind, reason.names) == ("speed.regressed", ("init/slow",))
    assert reason.text == "init/slow is slower: takes 6.00 [5.88, 6.12] times as long"


def test_where_a_guard_moved_no_time_counts_for_either_side():
    verdict = verdict_of(timed(), regressed(), guards=[MOVED])

    assert verdict.outcome is Outcome.NO_EVIDENCE
    assert [reason.kind for reason in verdict.reasons] == ["speed.guard"]
    assert "guard/python: 1.30 [1.20, 1.40]" in verdict.reasons[0].text


def test_what_cannot_be_run_does_not_hang_on_the_clock():
    assert verdict_of(broken(), guards=[MOVED]).outcome is Outcome.STOP


def test_a_wider_margin_makes_a_regression_fine_and_a_narrower_one_makes_it_unclear():
    slow = regressed(ratio=1.2, confirmation=(1.2, 1.12, 1.28))

    assert verdict_of(slow).outcome is Outcome.STOP
    assert verdict_of(slow, policy=policy_with(margin=0.3)).outcome is Outcome.PASS
    assert verdict_of(slow, policy=policy_with(margins={"init/*": 0.3})).outcome is Outcome.PASS
    # The interval lies above 1.15 as a whole, but that of the fresh workers does not.
    assert verdict_of(slow, policy=policy_with(margin=0.15)).outcome is Outcome.NO_EVIDENCE


def test_a_wider_margin_does_not_make_good_that_a_side_raised_now_and_then():
    raised = msgspec.structs.replace(timed(), outcome="no evidence", notes=("the candidate cannot run it (1 of 7)",))

    assert verdict_of(raised, policy=policy_with(margin=0.5)).outcome is Outcome.NO_EVIDENCE


def test_what_was_fine_is_not_beside_a_narrower_margin():
    of_another_matter = ("a call allocates more: 2 bytes instead of 1",)
    near = timed(ratio=1.05, notes=of_another_matter)
    (finding,) = speed_findings(pairing(near), policy_with(margin=0.03).speed)

    assert (finding.kind, finding.text) == (
        "speed.unclear",
        "init/a: undecided by the margin of this policy",
    )


@pytest.mark.parametrize(
    ("required", "by_default", "outcome"),
    [(("init/*",), True, Outcome.NOTICE), (("init/*", "train/*"), False, Outcome.STOP)],
)
def test_a_policy_says_what_is_required(required, by_default, outcome):
    slow = regressed("train/x", required=by_default)

    assert verdict_of(timed(), slow, policy=policy_with(required=required)).outcome is outcome


def test_more_memory_is_a_notice_and_less_is_nothing():
    less, more = Memory(None, BYTES), Memory(None, 2 * BYTES)
    (finding,) = speed_findings(pairing(timed(memory={"baseline": less, "candidate": more})), SPEED)

    assert finding.kind == "speed.memory"
    assert finding.text == "init/a: a call allocates 2 097 152 bytes instead of 1 048 576"
    named = timed("init/trunc_normal_/8x8/float32", memory={"baseline": less, "candidate": more})
    (finding,) = speed_findings(pairing(named), SPEED)
    assert finding.text.startswith("init/trunc_normal_/8x8/float32: "), "a workload keeps its name"
    assert speed_findings(pairing(timed(memory={"baseline": more, "candidate": less})), SPEED) == []
    assert speed_findings(pairing(timed(memory={})), SPEED) == []


@pytest.mark.parametrize(("blames", "kind"), [("stop", "speed.broken"), ("no evidence", "speed.unclear")])
def test_a_session_that_a_worker_ended_is_told_with_its_output(blames, kind):
    dead = pairing(verdict=blames, reason="the worker of the candidate died", failure=("Segmentation fault",))
    (finding,) = speed_findings(dead, SPEED)

    assert (finding.kind, finding.workload, finding.details) == (kind, None, ("Segmentation fault",))


def test_without_a_clock_nothing_is_said_unless_the_policy_asks():
    assert gate(run(claim()), run(claim())).reasons == ()
    asking = policy_with(missing=Severity.NO_EVIDENCE)
    (reason,) = gate(run(claim()), run(claim()), policy=asking).reasons

    assert (reason.outcome, reason.text) == (Outcome.NO_EVIDENCE, "speed was not measured")


def test_times_of_other_torches_are_refused():
    with pytest.raises(Incomparable, match=r"the times are those of torch 2\.13\.0\+cpu, and the baseline's run is of"):
        gate(run(claim(), torch="2.6.0"), run(claim(), torch="2.14.1+cpu"), pairing=pairing(timed()))
