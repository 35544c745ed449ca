"""The printed chance of a false alarm: the sum over what was tested and may stop, whatever part of the gate it is."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from fixtures.clock.estimate import FAMILY, false_end, false_regression
from fixtures.rules.policy import Severity, default_policy
from fixtures.statistics.judgement import CERTAIN, FALSE_ALARM_PER_CLAIM, SCREEN
from reports.commands import command_line
from reports.comparison.false_alarms import FAILURES, FalseAlarms, Part, PromiseBroken, in_words
from reports.drift.effects import PREFIX
from reports.renderers.markdown import gate_markdown
from reports.verdict.gate import gate
from reports.verdict.reasons import Outcome
from suites.machinery.chance import SURE
from suites.machinery.making.counts import BFLOAT16, FLOAT32, counts, sketched
from suites.machinery.making.runs import claim, contract, plan, run, undecided, violated, write
from suites.machinery.making.times import broken, guard, pairing, timed, unclear
from suites.machinery.making.views import view_of

pytestmark = SURE

ROWS = [f"{PREFIX}a/kaiming/{row}" for row in ("accuracy", "convergence")]
SEEDS = 20


def policy_with(**tables):
    """The default policy with some kinds at another severity: policy_with(drift={"effect": Severity.STOP})."""
    policy = default_policy()
    laid = {name: msgspec.structs.replace(getattr(policy, name), **fields) for name, fields in tables.items()}
    return msgspec.structs.replace(policy, **laid)


STOP, NOTICE = Severity.STOP, Severity.NOTICE


def redrawn(about=FLOAT32, *claims, seed, salt):
    """A run whose core subject was drawn anew: another stream of the same law."""
    return sketched(about, *claims, paired=counts(about, seed=seed), salted=counts(about, seed=seed + 1), salt=salt)


def with_rows(seed):
    draws = np.random.default_rng(seed)
    return replace(run(claim()), sketches={name: draws.random(SEEDS) for name in ROWS})


def chance(before, after, policy=None, times=None):
    return gate(before, after, policy=policy, pairing=times).false_alarms


# Claims


def test_a_claim_counts_where_the_candidate_may_violate_it_by_chance():
    before = run(claim(), claim("weights.marginal.shape"), contract())
    found = chance(before, run(claim(), undecided(family="weights.marginal.shape"), contract()))

    assert found.claims == Part(tests=1, chance=FALSE_ALARM_PER_CLAIM)
    assert found.total == found.claims.chance


def test_claims_that_stop_nothing_have_no_chance_of_a_false_alarm():
    quiet = policy_with(conformance=dict.fromkeys(("new", "worse"), NOTICE))

    assert chance(run(claim()), run(claim()), quiet).claims == Part(tests=0, chance=0.0)


def test_a_claim_is_counted_once_however_many_kinds_of_violation_stop():
    strict = policy_with(conformance=dict.fromkeys(("unregistered", "registered", "unresolved"), STOP))

    assert chance(run(claim()), run(claim()), strict) == chance(run(claim()), run(claim()))


# Drift


def test_one_stream_on_both_sides_is_not_tested():
    paired = counts()

    assert chance(*(sketched(FLOAT32, claim(), paired=paired) for _ in range(2))).drift == Part(tests=0, chance=0.0)


def test_a_law_is_one_test_that_may_stop():
    found = chance(redrawn(seed=1, salt=1), redrawn(seed=3, salt=2))

    assert found.drift == Part(tests=1, chance=CERTAIN)


def test_laws_that_were_not_compared_were_not_tested():
    assert chance(redrawn(seed=1, salt=1), redrawn(seed=3, salt=1)).drift.tests == 0


def test_a_grid_counts_where_the_policy_lets_it_stop():
    sides = redrawn(BFLOAT16, seed=1, salt=1), redrawn(BFLOAT16, seed=3, salt=2)

    assert chance(*sides).drift == Part(tests=1, chance=CERTAIN)
    assert chance(*sides, policy_with(drift={"grid": STOP})).drift == Part(tests=2, chance=2 * CERTAIN)


def test_the_law_of_a_subject_that_violates_a_claim_counts_as_the_policy_treats_it():
    known = violated(subject=FLOAT32)
    sides = redrawn(FLOAT32, known, seed=1, salt=1), redrawn(FLOAT32, known, seed=3, salt=2)

    assert chance(*sides).drift.tests == 0
    assert chance(*sides, policy_with(drift={"law_of_violated": STOP})).drift.tests == 1


def test_a_policy_that_lets_effects_stop_at_the_level_of_a_notice_breaks_the_promise():
    """Twenty seeds cannot show anything at a level that fits into 1e-6."""
    sides = with_rows(1), with_rows(2)
    assert chance(*sides).drift.tests == 0

    with pytest.raises(PromiseBroken) as caught:
        chance(*sides, policy_with(drift={"effect": STOP}))

    assert str(caught.value) == (
        "this policy stops two healthy torches with chance 2.0e-04, more than the 1e-06 that the runs promised: let "
        "less stop under [drift], or accept more (--false-alarm-rate)"
    )


def test_runs_that_promised_less_may_be_stopped_by_an_effect():
    sides = [replace(side, plan=plan([claim().id], false_alarm_rate=1e-3)) for side in (with_rows(1), with_rows(2))]

    found = chance(*sides, policy_with(drift={"effect": STOP}))

    assert found.drift == Part(tests=2, chance=2 * SCREEN)


def test_rows_that_are_the_same_or_of_too_few_seeds_were_not_tested():
    strict = policy_with(drift={"effect": STOP})
    few = [replace(side, sketches={ROWS[0]: side.sketches[ROWS[0]][:10]}) for side in (with_rows(1), with_rows(2))]

    assert chance(with_rows(1), with_rows(1), strict).drift.tests == 0
    assert chance(*few, strict).drift.tests == 0


def test_a_broken_promise_is_one_line_and_no_evidence(tmp_path, capsys):
    folders = [str(write(tmp_path / name, with_rows(seed))) for seed, name in enumerate("ab")]
    policy = tmp_path / "policy.toml"
    policy.write_text('[drift]\neffect = "stop"\n')

    code = command_line.run(["gate", *folders, "--policy", str(policy)])

    shown = capsys.readouterr()
    assert (code, shown.out) == (2, "")
    assert shown.err.startswith("error: this policy stops two healthy torches with chance 2.0e-04, more than the ")
    assert shown.err.count("\n") == 1


# Speed


def speed(*workloads, policy=None, **fields):
    return chance(run(claim()), run(claim(), torch="2.14.1+cpu"), policy, pairing(*workloads, **fields)).speed


def test_speed_that_was_not_measured_stops_nothing():
    assert chance(run(claim()), run(claim())).speed == Part(tests=0, chance=0.0)


def test_each_required_workload_that_was_timed_may_seem_slower():
    workloads = timed("init/a"), unclear("init/b"), timed("init/c", required=False), broken("init/d")

    assert speed(*workloads) == Part(tests=2, chance=pytest.approx(2 * false_regression(4)))


def test_all_workloads_together_have_the_chance_of_the_family_twice():
    found = speed(*(timed(f"init/{number}") for number in range(15)))

    assert found.chance == pytest.approx((FAMILY / 2) ** 2)


def test_a_session_is_held_to_the_family_error_that_it_states():
    assert speed(timed(), family_error=0.01).chance == pytest.approx(false_regression(1, 0.01))


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("optional", false_regression(2)),
        ("improved", false_end(2)),
        ("guard", 2 * false_end(2)),
        ("broken", 0.0),
        ("memory", 0.0),
    ],
)
def test_what_else_the_policy_lets_stop_is_added(kind, more):
    workloads = timed("init/a"), timed("init/c", required=False)

    usual, strict = (
        speed(*workloads, guards=[guard()], policy=policy) for policy in (None, policy_with(speed={kind: STOP}))
    )

    assert strict.chance == pytest.approx(usual.chance + more)


def test_where_the_unclear_stops_noise_alone_decides():
    found = chance(
        run(claim()), run(claim(), torch="2.14.1+cpu"), policy_with(speed={"unclear": STOP}), pairing(timed(), timed())
    )

    assert (found.speed.chance, found.total) == (1.0, 1.0)


def test_speed_stops_nothing_where_the_policy_says_so():
    assert speed(timed(), policy=policy_with(speed={"regressed": NOTICE})) == Part(tests=0, chance=0.0)


# All together


def test_the_total_is_the_sum_of_what_was_tested():
    before = redrawn(FLOAT32, claim(subject=FLOAT32), seed=1, salt=1)
    after = replace(redrawn(FLOAT32, claim(subject=FLOAT32), seed=3, salt=2))
    verdict = gate(before, after, pairing=pairing(timed(), candidate={"torch": after.torch_version}))

    assert verdict.outcome in (Outcome.PASS, Outcome.NOTICE)
    found = verdict.false_alarms
    assert found.total == pytest.approx(FALSE_ALARM_PER_CLAIM + CERTAIN + false_regression(1))
    assert found.total == found.claims.chance + found.drift.chance + found.speed.chance


def test_what_has_no_chance_is_named_as_the_policy_treats_it():
    quiet = policy_with(drift={"numbers": NOTICE})
    strict = policy_with(conformance={"lost": STOP}, completeness={"unanswered": STOP})
    numbers = "numbers of training, judged by measured rounding"

    assert chance(run(claim()), run(claim())).uncovered == (numbers, FAILURES)
    assert chance(run(claim()), run(claim()), quiet).uncovered == (FAILURES,)
    assert chance(run(claim()), run(claim()), strict).uncovered == (
        "claims that the candidate could not judge",
        numbers,
        "claims without an answer",
        FAILURES,
    )


def test_the_parts_are_told_in_one_line_and_what_is_not_in_it_in_another():
    found = FalseAlarms(
        claims=Part(tests=5026, chance=1.0052e-8),
        drift=Part(tests=0, chance=0.0),
        speed=Part(tests=15, chance=6.3e-4),
        model=Part(tests=0, chance=0.0),
        total=6.3001e-4,
        uncovered=("a", "b"),
    )

    assert in_words(found) == (
        "two healthy torches are stopped with chance 6.3e-04 at most: claims 1.0e-08 (5 026 tests), drift 0 (0 tests), "
        "speed 6.3e-04 (15 tests)",
        "not in it: a; b",
    )


def test_markdown_has_both():
    text = gate_markdown(view_of(run(claim()), run(claim())))

    assert "False alarm: two healthy torches are stopped with chance 2.0e-12 at most: claims 2.0e-12" in text
    assert f"{FAILURES}.</sub>" in text
