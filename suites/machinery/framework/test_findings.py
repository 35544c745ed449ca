"""Findings: what a test records, how it ends, and the words that a user reads."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest

from fixtures.record.claim import Claim, Effect, Reading, Unit, Verdict
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.rules.known_violations import Known
from suites.framework.findings import Findings, explain

SUBJECT = Subject("kaiming_normal_", (256, 128), nonlinearity="relu")
OF_STD = Unit.STD

SCALE = Question("weights.marginal.scale", "the std of the weights is 0.125")
BOUNDS = Question("weights.marginal.bounds", "no weight lies outside the bounds")


def findings(*questions, known=(), torch_version="2.13.0"):
    case = Case(family="weights.marginal", subject=SUBJECT, draws=1000, resolution=0.1)
    return Findings(case, questions, 7, torch_version, known, rerun="python -m pytest this")


def reading(p, percent=-0.7, n=1000):
    return Reading(n=n, p=p, effect=Effect(percent, OF_STD, 0.02), detectable=Effect(0.2, OF_STD))


def found(p, **options):
    """Findings with one statistical claim whose p-value is p on every look."""
    made = findings(replace(SCALE, read=lambda drawn: reading(p, n=drawn)), **options)
    made.judge(lambda draws, seed: draws)
    return made


def known(**fields):
    usual = {
        "id": "low-scale",
        "releases": "<2.12",
        "claims": ("weights.marginal.*",),
        "subject": {"dtype": ("float32",)},
        "effect": "0.7 % low",
        "effects": {"*.scale": (-1.0, 0.0)},
        "reason": "few bits",
        "reference": "https://example.org/1",
    }
    return Known(**usual | fields)


MILDER = known(effects={"*": (-0.4, 0.0)})


# Judging


def test_evidence_is_gathered_once_where_all_claims_hold():
    asked = []
    made = findings(*[replace(SCALE, read=lambda drawn: reading(0.5))] * 2)
    screen = made.judge(lambda *drawn: asked.append(drawn) or "evidence")

    assert screen == "evidence"
    assert asked == [(1000, made.seed("screen"))]


def test_the_confirmation_is_drawn_once_with_four_times_the_draws_and_a_seed_of_its_own():
    asked = []
    made = findings(*[replace(question, read=lambda drawn: reading(1e-5)) for question in (SCALE, BOUNDS)])
    made.judge(lambda *drawn: asked.append(drawn))

    assert asked == [(1000, made.seed("screen")), (4000, made.seed("confirm"))]
    assert made.seed("screen") != made.seed("confirm")


def test_each_question_is_read_from_its_own_reading_at_the_confirmation():
    p_values = {1000: 1e-5, 4000: 1e-9}
    rising, steady = replace(SCALE, read=lambda n: reading(p_values[n])), replace(BOUNDS, read=lambda n: reading(0.3))
    made = findings(rising, steady)
    made.judge(lambda draws, seed: draws)

    assert [claim.verdict for claim in made.claims] == [Verdict.VIOLATED, Verdict.HOLDS]
    assert [claim.p for claim in made.claims] == [1e-9, 0.3]


def test_a_p_value_too_small_for_floating_point_is_recorded_as_1e_300():
    assert found(0.0).claims[0].p == 1e-300


@pytest.mark.parametrize("size", [math.inf, -math.inf, math.nan])
def test_an_effect_that_is_not_finite_is_left_out_and_the_claim_survives_its_file(size):
    made = findings(replace(SCALE, read=lambda drawn: reading(0.0, percent=size)))
    made.judge(lambda draws, seed: draws)
    (claim,) = made.claims

    assert (claim.verdict, claim.effect) == (Verdict.VIOLATED, None)
    assert msgspec.json.decode(msgspec.json.encode(claim), type=Claim) == claim


def test_the_time_of_a_test_is_shared_among_its_claims():
    made = findings()
    made.exact(SCALE, None, tried=3)
    made.exact(BOUNDS, None, tried=3)

    one, other = made.finished()
    assert one.seconds == other.seconds > 0


# How a test ends


def test_a_test_whose_claims_all_hold_passes():
    found(0.5).conclude()


def test_a_violation_fails_the_test_with_the_numbers_and_the_way_to_see_it_again():
    with pytest.raises(pytest.fail.Exception) as failure:
        found(1e-20).conclude()

    assert failure.value.msg == (
        "kaiming_normal_-fan_in-relu-256x128-float32-cpu: violated: the std of the weights is 0.125\n"
        "  weights.marginal.scale: -0.7% of the promised std, p = 1e-20 "
        "(1,000 draws; 0.2% of the promised std would be seen)\n"
        "  rerun: python -m pytest this"
    )


def test_a_known_violation_is_an_expected_failure_that_names_it():
    made = found(1e-20, known=(known(),), torch_version="2.6.0")

    assert made.claims[0].known == "low-scale"
    with pytest.raises(pytest.xfail.Exception, match="known: low-scale"):
        made.conclude()


@pytest.mark.parametrize(
    "entry",
    [
        known(releases="<2"),
        known(claims=("weights.gain",)),
        known(subject={"dtype": ("x",)}),
        known(effects={"*": (-0.4, 0.0)}),
    ],
)
def test_a_violation_that_no_entry_covers_is_none_that_is_known(entry):
    with pytest.raises(pytest.fail.Exception):
        found(1e-20, known=(entry,), torch_version="2.6.0").conclude()


def test_one_unknown_violation_among_known_ones_fails_the_test():
    made = found(1e-20, known=(known(claims=("*.scale",)),), torch_version="2.6.0")
    made.exact(BOUNDS, "a weight of 7", tried=9)

    with pytest.raises(pytest.fail.Exception, match="a weight of 7") as failure:
        made.conclude()
    assert "the std of" not in failure.value.msg


def test_nothing_but_missing_evidence_is_a_visible_skip():
    made = findings(SCALE, BOUNDS)
    made.no_evidence("torch 2.13.0 finds no cuda device here")

    assert [(claim.verdict, claim.n) for claim in made.claims] == [(Verdict.NO_EVIDENCE, 0)] * 2
    with pytest.raises(pytest.skip.Exception, match=r"no evidence: torch 2\.13\.0 finds no cuda"):
        made.conclude()


def test_some_evidence_is_no_skip():
    made = findings(SCALE, BOUNDS)
    made.no_evidence("too few draws", [SCALE])
    made.exact(BOUNDS, None, tried=9)

    made.conclude()


# Words


def violated(**fields):
    """A violated claim as it is explained."""
    claim = found(1e-20).claims[0]
    return Claim(**{name: getattr(claim, name) for name in claim.__struct_fields__} | fields)


def second_line(claim):
    return explain(claim).splitlines()[1]


def test_a_violation_is_explained_with_effect_p_value_draws_and_power():
    assert second_line(violated()) == (
        "  weights.marginal.scale: -0.7% of the promised std, p = 1e-20 "
        "(1,000 draws; 0.2% of the promised std would be seen)"
    )


def test_the_smallest_p_value_is_shown_as_a_bound():
    assert ", p < 1e-300 (" in second_line(violated(p=1e-300))


def test_a_violation_without_stated_power_or_finite_effect_says_what_there_is():
    assert second_line(violated(detectable=None)).endswith("p = 1e-20 (1,000 draws)")
    assert second_line(violated(effect=None)).startswith("  weights.marginal.scale: no finite effect, p = 1e-20")


def test_a_counterexample_is_explained_in_its_own_words():
    claim = violated(p=None, effect=None, note="3 of 9 elements are NaN or infinite")

    assert explain(claim).splitlines()[1:] == ["  3 of 9 elements are NaN or infinite"]


def test_a_confirmed_violation_tells_both_looks():
    p_values = {1000: 1e-5, 4000: 1e-9}
    made = findings(replace(SCALE, read=lambda n: reading(p_values[n], n=n)))
    made.judge(lambda draws, seed: draws)

    assert explain(made.claims[0]).splitlines()[1:] == [
        "  weights.marginal.scale: -0.7% of the promised std, p = 1e-09 "
        "(4,000 draws; 0.2% of the promised std would be seen)",
        "  p = 1.0e-05 at the screen, confirmed on fresh draws",
    ]


def test_an_effect_is_joined_to_its_unit():
    assert str(Effect(-0.6543, OF_STD)) == "-0.654% of the promised std"
    assert str(Effect(3.3, Unit.KS)) == "3.3 KS distance"


def test_an_effect_without_its_standard_error_is_a_family_that_is_not_finished():
    made = findings(replace(SCALE, read=lambda drawn: Reading(n=drawn, p=0.5, effect=Effect(0.1, OF_STD))))

    with pytest.raises(
        ValueError, match=r"weights\.marginal\.scale: the effect of a statistical claim states its standard"
    ):
        made.judge(lambda draws, seed: draws)


def test_a_claim_is_answered_as_the_question_of_its_family():
    made = findings(SCALE, BOUNDS)

    assert made.asked(Question(BOUNDS.family, "lies within the bounds")) is BOUNDS


def test_an_exact_claim_has_no_reading():
    with pytest.raises(TypeError, match="an exact claim is answered by a counterexample"):
        findings(SCALE).judge(lambda draws, seed: draws)
