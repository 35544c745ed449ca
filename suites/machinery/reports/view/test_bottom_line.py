"""The verdict in one sentence says whether to upgrade, and counts what was found."""

import pytest

from fixtures.record.claim import Verdict
from reports.verdict.gate import gate
from reports.view.bottom_line import bottom_line
from suites.machinery.making.runs import claim, contract, failure, plan, run, violated
from suites.machinery.making.times import guard, pairing, regressed, timed, unclear

KNOWN = violated("weights.marginal.location", known="known")
SOUND, BROKEN = claim(), violated()


def said(before, after, *times, guards=(), **fields):
    clock = pairing(*times, guards=guards) if times else None
    return bottom_line(gate(run(*before), run(*after, torch="2.14.1+cpu", **fields), pairing=clock))


@pytest.mark.parametrize(
    ("before", "after", "times", "sentence"),
    [
        ([SOUND], [SOUND], [], "You may upgrade: no claim got worse; speed was not measured."),
        (
            [SOUND, KNOWN],
            [SOUND, KNOWN],
            [timed("a"), timed("b")],
            "You may upgrade: no claim got worse, 1 claim violated on both sides; none of 2 workloads is slower.",
        ),
        (
            [SOUND, KNOWN],
            [BROKEN, claim("weights.marginal.location")],
            [timed("a"), regressed("b"), regressed("c"), unclear("d")],
            "Do not upgrade: 1 claim got worse, 1 got better; 2 of 4 workloads are slower, 1 undecided.",
        ),
        (
            [SOUND],
            [SOUND],
            [unclear("a")],
            "Not decided: no claim got worse; none of 1 workload is slower, 1 undecided.",
        ),
        (
            [SOUND],
            [SOUND],
            [timed("a", required=False)],
            "Not decided: no claim got worse; speed could not be measured.",
        ),
    ],
)
def test_it_says_whether_to_upgrade_and_counts_what_was_found(before, after, times, sentence):
    assert said(before, after, *times) == sentence


def test_times_beside_a_guard_that_moved_say_nothing():
    assert said([SOUND], [SOUND], regressed(), guards=[guard(moved=True)]).endswith(
        "; the times say nothing, for a guard moved."
    )


def test_a_run_that_failed_is_named():
    planned = plan([SOUND.id, contract().id])
    sentence = said([SOUND, contract()], [contract(Verdict.VIOLATED, "NaN")], plan=planned, failure=failure())

    assert sentence == "Do not upgrade: the candidate did not finish; 1 claim got worse; speed was not measured."
