"""The intervals of the paired clock hold at the stated rate, whatever the noise; what is slower is stopped.

Simulated restarts, fresh ones each run, by the run's --seed.
"""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from fixtures.clock.estimate import (
    DEFAULT_MARGIN,
    FAMILY,
    FIRST_LOOK,
    Estimate,
    contrasts,
    error_of_look,
    estimate,
    false_end,
    false_regression,
    half_width,
    is_look,
    looks,
    restarts_that_would_decide,
)
from fixtures.clock.session import SLICES
from suites.machinery.chance import ALARM, SURE, no_more_seldom, no_oftener, within_chance

pytestmark = SURE

SESSIONS = 100_000
"""Of one workload: 333 of them may miss at the level of 15 workloads, and 450 would be noticed."""

LOOKS = tuple(itertools.islice(looks(), 5))
REQUIRED = 15

SPREADS = (0.02, 0.05, 0.10, 0.17)
"""Between restarts; the largest is what a small training step had where the clock was conceived."""

SPOILT = 0.05
OFF = math.log(1.3)


def gaussian(generator, sd, size):
    return generator.normal(0, sd, size)


def heavy_tailed(generator, sd, size):
    return generator.standard_t(3, size) * sd / math.sqrt(3)


def spoilt_to_one_side(generator, sd, size):
    """A restart in twenty is 30 % off; the truth is where the others are."""
    return gaussian(generator, sd, size) + OFF * (generator.random(size) < SPOILT)


def spoilt_to_both_sides(generator, sd, size):
    return gaussian(generator, sd, size) + OFF * (generator.random(size) < SPOILT) * generator.choice((-1, 1), size)


NOISES = (gaussian, heavy_tailed, spoilt_to_one_side, spoilt_to_both_sides)


def intervals(log_ratios, workloads):
    """Lower and upper ends by look, [looks, sessions] each, of log ratios [sessions, restarts]."""
    ends = []
    for restarts in LOOKS:
        centre, sd = log_ratios[:, :restarts].mean(1), log_ratios[:, :restarts].std(1, ddof=1)
        half = half_width(1.0, restarts, workloads) * sd
        ends.append((centre - half, centre + half))
    return np.array(ends).transpose(1, 0, 2)


def outcomes(log_ratios, workloads):
    """Outcomes of sessions that look until all is clear: regressed or not, clear or not."""
    low, high = intervals(log_ratios, workloads)
    limit = math.log1p(DEFAULT_MARGIN)
    regressed, no_slower = low > limit, high <= limit
    first_clear = (regressed | no_slower).argmax(0)
    return regressed[first_clear, np.arange(len(log_ratios))], (regressed | no_slower).any(0)


def procedure(generator, noise, sd, truth, count):
    """Number of `count` workloads, each one of REQUIRED, that are stopped: regressed and confirmed on fresh workers."""
    size = (count, LOOKS[-1])
    screened, _ = outcomes(math.log(truth) + noise(generator, sd, size), REQUIRED)
    confirmed, _ = outcomes(math.log(truth) + noise(generator, sd, size), 1)
    return int((screened & confirmed).sum())


def test_simulated_sessions_are_judged_as_real_ones(generator):
    log_ratios = gaussian(generator, 0.03, (1, LOOKS[-1])) + 0.05
    low, high = intervals(log_ratios, REQUIRED)

    for look, restarts in enumerate(LOOKS):
        found = estimate(log_ratios[0, :restarts], REQUIRED)
        assert (math.log(found.low), math.log(found.high)) == pytest.approx((low[look, 0], high[look, 0]))


def test_all_looks_together_spend_no_more_than_the_family():
    assert LOOKS == (6, 9, 14, 21, 32)
    assert [restarts for restarts in range(33) if is_look(restarts)] == [*LOOKS]
    assert sum(map(error_of_look, itertools.islice(looks(), 100))) <= FAMILY
    one, two = map(error_of_look, LOOKS[:2])

    assert (one, two) == pytest.approx((FAMILY / 2, FAMILY / 6))
    assert error_of_look(FIRST_LOOK + 1) == two  # where time was up before the next look was due


@pytest.mark.parametrize("workloads", [1, REQUIRED])
@pytest.mark.parametrize("sd", SPREADS)
@pytest.mark.parametrize("noise", NOISES)
def test_intervals_of_all_looks_cover_the_truth_at_the_stated_rate(generator, noise, sd, workloads):
    low, high = intervals(noise(generator, sd, (SESSIONS, LOOKS[-1])), workloads)

    missed = int(((low > 0) | (high < 0)).any(0).sum())

    assert no_oftener(missed, SESSIONS, FAMILY / workloads), missed


@pytest.mark.draws(10 * ALARM, "five looks, and two sides of each")
@pytest.mark.parametrize("workloads", [1, REQUIRED])
def test_gaussian_intervals_of_each_look_miss_as_often_as_it_may(generator, workloads):
    """All looks together miss more rarely than they may, being of the same restarts: a quarter of it is slack."""
    low, high = intervals(gaussian(generator, 0.05, (SESSIONS, LOOKS[-1])), workloads)

    for restarts, missed in zip(LOOKS, ((low > 0) | (high < 0)).sum(1), strict=True):
        assert no_oftener(missed, SESSIONS, error_of_look(restarts) / workloads), (restarts, missed)
        assert no_more_seldom(missed, SESSIONS, error_of_look(restarts) / workloads), (restarts, missed)


def test_a_level_that_is_not_kept_is_noticed(generator):
    """The same check on intervals a sixth too narrow."""
    low, high = intervals(gaussian(generator, 0.05, (SESSIONS, LOOKS[-1])), REQUIRED)
    middle, half = (low + high) / 2, (high - low) / 2 * 5 / 6

    missed = int((abs(middle) > half).any(0).sum())

    assert not no_oftener(missed, SESSIONS, FAMILY / REQUIRED)


@pytest.mark.large_draws
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("sd", SPREADS)
def test_the_same_torch_is_never_stopped(generator, noise, sd):
    stopped = procedure(generator, noise, sd, 1.0, SESSIONS)

    # By the levels alone it could be 2e-4. Screen and confirmation would each have to miss by the whole margin, too: of
    # 2 million sessions with each noise and sd none was stopped, which at 1e-5 happens with chance exp(-20).
    assert no_oftener(stopped, SESSIONS, 1e-5), stopped


def regressed_without_margin(generator, noise, workloads):
    """Sessions with an interval above 1 at some look: what is left where the margin is nothing beside the noise."""
    low, _ = intervals(noise(generator, 1.0, (SESSIONS, LOOKS[-1])), workloads)
    return int((low > 0).any(0).sum())


@pytest.mark.parametrize("workloads", [1, REQUIRED])
@pytest.mark.parametrize("noise", [gaussian, heavy_tailed])
def test_noise_beside_which_the_margin_is_nothing_seems_slower_no_oftener_than_stated(generator, noise, workloads):
    """On fresh workers again: the two stages are independent, and their chances multiply."""
    found = regressed_without_margin(generator, noise, workloads)

    assert no_oftener(found, SESSIONS, false_end(workloads)), found


def test_a_stated_chance_that_is_too_small_is_noticed(generator):
    """The same check: noise does 0.65 to 0.69 of what is stated, and so 1.6 times of 0.4 of it."""
    found = regressed_without_margin(generator, gaussian, 1)

    assert not no_oftener(found, SESSIONS, 0.4 * false_end(1)), found


def test_the_chance_of_a_false_regression_is_that_of_both_stages():
    assert sum(false_regression(REQUIRED) for _ in range(REQUIRED)) == pytest.approx((FAMILY / 2) ** 2)
    assert false_regression(REQUIRED, family=0.01) == pytest.approx(false_regression(REQUIRED) / 25)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("truth", "largest_sd", "share"), [(2.0, 0.10, 0.995), (1.5, 0.05, 0.995), (1.5, 0.10, 0.98)])
def test_what_is_much_slower_is_stopped(generator, noise, truth, largest_sd, share):
    count = 10_000
    assert no_more_seldom(procedure(generator, noise, largest_sd, truth, count), count, share)


@pytest.mark.parametrize(("noise", "share"), [(gaussian, 0.9999), (heavy_tailed, 0.99), (spoilt_to_one_side, 0.85)])
def test_a_fifth_is_stopped_wherever_restarts_differ_by_two_percent(generator, noise, share):
    """Where a restart in twenty is 30 % off they differ by 6 %, and some sessions must end without a verdict."""
    count = 10_000
    assert no_more_seldom(procedure(generator, noise, 0.02, 1.2, count), count, share)


@pytest.mark.parametrize("truth", [1.2, 1.5, 2.0])
def test_what_is_slower_is_never_passed(generator, truth):
    log_ratios = math.log(truth) + spoilt_to_both_sides(generator, 0.10, (SESSIONS, LOOKS[-1]))
    regressed, clear = outcomes(log_ratios, REQUIRED)

    assert no_oftener(int((clear & ~regressed).sum()), SESSIONS, FAMILY / REQUIRED)


def palindrome(seconds_of):
    """Contrasts of a restart whose slices take seconds_of(role, when); `when` counts slices of all workers."""
    there = ["baseline", "candidate", "repeat"]
    blocks = {role: [] for role in there}
    for place, role in enumerate((*there, *reversed(there))):
        blocks[role].append([seconds_of(role, place * SLICES + index) for index in range(SLICES)])
    return contrasts(blocks, "baseline", "candidate", "repeat")


TRUTH = {"baseline": 1.0, "candidate": 1.5, "repeat": 1.0}


def test_a_drift_of_the_machine_cancels():
    found = palindrome(lambda role, when: TRUTH[role] * math.exp(0.0125 * when))

    # A third slower at the end than at the beginning.
    assert (found.log_ratio, found.repeat_log_ratio) == pytest.approx((math.log(1.5), 0))


def test_half_of_a_block_may_be_disturbed(generator):
    """A lower quartile of four slices takes the two shortest; three in a block would show."""
    chosen = [generator.choice(SLICES, SLICES // 2, replace=False) for _ in range(6)]
    disturbed = {block * SLICES + index for block, slices in enumerate(chosen) for index in slices}
    found = palindrome(lambda role, when: TRUTH[role] * (3.0 if when in disturbed else 1.0))

    assert (found.log_ratio, found.repeat_log_ratio) == pytest.approx((math.log(1.5), 0))


def test_a_slow_second_baseline_worker_moves_the_guard():
    found = palindrome(lambda role, when: 1.3 if role == "repeat" else 1.0)

    assert found.repeat_log_ratio == pytest.approx(math.log(1.3))
    assert found.log_ratio == pytest.approx(-math.log(1.3) / 2)


def test_guard_and_comparison_are_uncorrelated(generator):
    """Were they not, a session whose guard is quiet would say less of its comparison."""
    count = 2000
    logs = generator.normal(0, 0.05, (count, 3))
    found = [contrasts(dict(zip(TRUTH, ([[math.exp(one)]] for one in log), strict=True)), *TRUTH) for log in logs]
    correlation = np.corrcoef([one.log_ratio for one in found], [one.repeat_log_ratio for one in found])[0, 1]

    assert within_chance(2 * stats.norm.sf(abs(correlation) * math.sqrt(count)))


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (1.11, 1.3, "regressed"),
        (1.09, 1.3, "no evidence"),
        (0.95, 1.09, "fine"),
        (0.85, 1.11, "no evidence"),
        (0.85, 1.05, "fine"),
        (0.5, 0.92, "fine"),
        (0.5, 0.9, "improved"),
    ],
)
def test_only_a_whole_interval_decides(low, high, outcome):
    assert Estimate(math.sqrt(low * high), low, high, 5, 0.01).outcome(DEFAULT_MARGIN) == outcome


def test_how_many_restarts_would_decide_is_what_does():
    found = Estimate(1.02, 0.5, 2.0, 5, 0.08)
    needed = restarts_that_would_decide(found, REQUIRED, DEFAULT_MARGIN)
    standard = stats.norm.isf((np.arange(needed) + 0.5) / needed)
    log_ratios = math.log(1.02) + 0.08 * (standard - standard.mean()) / standard.std(ddof=1)

    assert estimate(log_ratios, REQUIRED).outcome(DEFAULT_MARGIN) == "fine"
    assert is_look(needed)


def test_what_lies_on_the_margin_is_never_decided():
    assert restarts_that_would_decide(Estimate(1.1, 1.0, 1.2, 5, 0.05), REQUIRED, DEFAULT_MARGIN) is None


def test_one_restart_has_no_interval():
    with pytest.raises(ValueError, match="two restarts"):
        estimate([0.1], 1)
