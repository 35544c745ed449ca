"""Screen, then confirm: every way through the judgement, and its error rates as exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from scipy import stats

from fixtures.record.claim import Reading, Verdict
from fixtures.statistics import judgement
from fixtures.statistics.judgement import CERTAIN, CONFIRM, CONFIRMATION_FACTOR, MISS, SCREEN, judge

JUST_BELOW = 1 - 1e-9


def reading(p, n=1000, broken=None):
    return Reading(n=n, p=p, broken=broken)


def unasked():
    raise AssertionError("the confirmation was drawn without need")


def judged(p, confirmed):
    """The judgement of two p-values, and whether the second was asked for."""
    asked = []

    def confirm():
        asked.append(confirmed)
        return reading(confirmed, n=4000)

    return judge(reading(p), confirm), bool(asked)


@pytest.mark.parametrize("p", [1.0, 0.5, SCREEN])
def test_a_claim_that_passes_the_screen_holds_without_a_second_look(p):
    result = judge(reading(p), unasked)

    assert (result.verdict, result.reading.p, result.note) == (Verdict.HOLDS, p, None)


@pytest.mark.parametrize("p", [CERTAIN * JUST_BELOW, 1e-300, 0.0])
def test_a_claim_that_fails_beyond_doubt_is_violated_without_a_second_look(p):
    result = judge(reading(p), unasked)

    assert (result.verdict, result.reading.p, result.note) == (Verdict.VIOLATED, p, None)


@pytest.mark.parametrize("p", [SCREEN * JUST_BELOW, 1e-7, CERTAIN])
def test_a_claim_that_trips_and_is_confirmed_is_violated_by_the_confirmation(p):
    result, asked = judged(p, CONFIRM * JUST_BELOW)

    assert asked
    assert (result.verdict, result.reading.n) == (Verdict.VIOLATED, 4000)
    assert result.note == f"p = {p:.1e} at the screen, confirmed on fresh draws"


@pytest.mark.parametrize("confirmed", [CONFIRM, SCREEN, 1.0])
def test_a_claim_that_trips_and_is_not_confirmed_holds_and_says_so(confirmed):
    result, asked = judged(1e-5, confirmed)

    assert asked
    assert (result.verdict, result.reading.p) == (Verdict.HOLDS, confirmed)
    assert result.note == "p = 1.0e-05 at the screen, not confirmed on fresh draws"


def test_a_contract_without_a_counterexample_holds():
    assert judge(reading(None), unasked).verdict is Verdict.HOLDS


@pytest.mark.parametrize("p", [None, 1.0, math.nan])
def test_a_counterexample_violates_whatever_the_p_value(p):
    result = judge(reading(p, broken="3 of 9 are NaN"), unasked)

    assert (result.verdict, result.note) == (Verdict.VIOLATED, "3 of 9 are NaN")


@pytest.mark.parametrize(("p", "n"), [(math.nan, 9), (-1e-9, 9), (1.001, 9), (math.inf, 9), (0.5, 0), (0.5, -1)])
def test_broken_input_has_no_verdict(p, n):
    with pytest.raises(ValueError, match=r"needs samples and a p-value in \[0, 1\], not n="):
        judge(reading(p, n), unasked)


@pytest.mark.parametrize(("p", "n"), [(math.nan, 9), (None, 9), (0.5, 0)])
def test_a_broken_confirmation_has_no_verdict(p, n):
    with pytest.raises(ValueError, match="needs samples and a p-value"):
        judge(reading(1e-6), lambda: reading(p, n))


def test_a_healthy_claim_is_violated_with_chance_two_in_a_million_million():
    screen, confirm, certain = (Fraction(level) for level in (SCREEN, CONFIRM, CERTAIN))

    exact = (screen - certain) * confirm + certain

    assert exact <= Fraction(judgement.FALSE_ALARM_PER_CLAIM) <= 2 * Fraction("1e-12") * Fraction(1 + 1e-15)


def test_a_run_of_a_hundred_thousand_claims_raises_a_false_alarm_once_in_five_million_runs():
    assert judgement.false_alarm_rate(100_000) == pytest.approx(1 / 5e6)
    assert judgement.false_alarm_rate(0) == 0.0


def shift_test(z, draws):
    """Chance that a two-sided Gaussian test at a level trips, the mean shifted by z standard errors of the screen."""

    def trips(level):
        edge = stats.norm.isf(level / 2)
        shift = z * math.sqrt(draws)
        return stats.norm.sf(edge - shift) + stats.norm.cdf(-edge - shift)

    return trips


def test_the_stated_deviates_are_missed_once_in_a_million_by_the_screen_which_decides():
    screen, confirmation = shift_test(judgement.DEVIATES, 1)(SCREEN), shift_test(judgement.DEVIATES, 4)(CONFIRM)

    assert 1 - screen == pytest.approx(MISS, rel=1e-6)
    assert 1 - confirmation < 1e-12 * MISS or confirmation == 1.0


def test_chernoff_and_ks_deviates_leave_the_statistic_room_to_stray():
    edge = judgement.CHERNOFF_DEVIATES - stats.norm.isf(MISS)
    assert 2 * math.exp(-(edge**2) / 2) == pytest.approx(SCREEN)

    # What the screen asks for, and what an empirical CDF strays from its own law with chance MISS (DKW, one side).
    asked = math.sqrt(math.log(2 / SCREEN) / 2)
    assert math.exp(-2 * (judgement.KS_DEVIATES - asked) ** 2) == pytest.approx(MISS)


@pytest.mark.parametrize(
    ("scale_error", "millions"), [(0.01, 0.3733), (0.002, 9.332), (0.0005, 149.3), (0.00005, 14_931)]
)
def test_draws_to_resolve_a_scale_error(scale_error, millions):
    assert judgement.draws_to_resolve(scale_error) == pytest.approx(millions * 1e6, rel=1e-3)


def test_the_confirmation_draws_more_than_the_screen():
    # CONFIRM asks for 5.73 deviates where the screen asked for 3.89: twice the information, at least, keeps the power.
    deviates = stats.norm.isf(CONFIRM / 2) / stats.norm.isf(SCREEN / 2)

    assert deviates**2 <= CONFIRMATION_FACTOR


def test_a_reading_that_could_not_see_its_fault_never_holds():
    judgement = judge(Reading(n=10, p=0.5, blind="too few draws"), confirm=unasked)

    assert (judgement.verdict, judgement.note) == (Verdict.NO_EVIDENCE, "too few draws")


def test_a_reading_that_could_not_see_its_fault_may_still_violate():
    assert judge(Reading(n=10, p=1e-13, blind="too few draws"), confirm=unasked).verdict is Verdict.VIOLATED


def test_what_could_not_have_been_seen_is_not_refuted_by_fresh_draws_either():
    blind = Reading(n=40, p=0.5, blind="too few draws")

    judgement = judge(Reading(n=10, p=1e-5), confirm=lambda: blind)

    assert judgement.verdict is Verdict.NO_EVIDENCE
    assert (judgement.note or "").startswith("too few draws; p = 1.0e-05 at the screen")
