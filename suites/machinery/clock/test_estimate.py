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
    MIXTURE,
    QUIET,
    Estimate,
    contrasts,
    estimate,
    false_end,
    false_regression,
    fewest_restarts,
    half_width,
    margin_in_reach,
    relative_logs,
    restarts_that_would_decide,
)
from fixtures.clock.restart import SLICES
from suites.machinery.chance import ALARM, SURE, no_more_seldom, no_oftener, within_chance

pytestmark = SURE

SESSIONS = 100_000
"""Of one workload: 313 of them may miss at the level of 16 workloads, and 430 would be noticed."""

REQUIRED = 16
RESTARTS = range(fewest_restarts(1), 33)
"""After each of which is looked at what there is; a gate's clock makes no more of them."""

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
    """Lower and upper ends after each of RESTARTS from the first that says something on.

    [restarts, sessions] each, of log ratios [sessions, restarts].
    """
    restarts = np.array([count for count in RESTARTS if count >= fewest_restarts(workloads)])
    sums, squares = log_ratios.cumsum(1).T[restarts - 1], (log_ratios**2).cumsum(1).T[restarts - 1]
    centre = sums / restarts[:, None]
    sd = np.sqrt((squares - sums * centre) / (restarts[:, None] - 1))
    half = sd * [[half_width(1.0, count, workloads)] for count in restarts]
    return centre - half, centre + half


def outcomes(log_ratios, workloads):
    """Outcomes of sessions that look until all is clear: regressed or not, clear or not."""
    low, high = intervals(log_ratios, workloads)
    limit = math.log1p(DEFAULT_MARGIN)
    regressed, no_slower = low > limit, high <= limit
    first_clear = (regressed | no_slower).argmax(0)
    return regressed[first_clear, np.arange(len(log_ratios))], (regressed | no_slower).any(0)


def procedure(generator, noise, sd, truth, count):
    """Number of `count` workloads, each one of REQUIRED, that are stopped: regressed and confirmed on fresh workers."""
    size = (count, RESTARTS[-1])
    screened, _ = outcomes(math.log(truth) + noise(generator, sd, size), REQUIRED)
    confirmed, _ = outcomes(math.log(truth) + noise(generator, sd, size), 1)
    return int((screened & confirmed).sum())


def test_simulated_sessions_are_judged_as_real_ones(generator):
    log_ratios = gaussian(generator, 0.03, (1, RESTARTS[-1])) + 0.05
    low, high = intervals(log_ratios, REQUIRED)

    found = [estimate(log_ratios[0, :restarts], REQUIRED) for restarts in RESTARTS]
    ends = [(math.log(one.low), math.log(one.high)) for one in found if one is not None]

    assert np.array(ends) == pytest.approx(np.hstack([low, high]))


@pytest.mark.large_draws
@pytest.mark.parametrize("workloads", [1, 3, REQUIRED])
def test_an_interval_ends_where_the_likelihood_ratio_is_one_over_the_level(workloads):
    """By the densities of Student's statistic: under the alternative it is Student's, times sqrt(1 + n g)."""
    for restarts in range(fewest_restarts(workloads), 200):
        t = half_width(1.0, restarts, workloads) * math.sqrt(restarts)
        student = stats.t(restarts - 1)
        wide = stats.t(restarts - 1, scale=math.sqrt(1 + restarts * MIXTURE))

        assert wide.logpdf(t) - student.logpdf(t) == pytest.approx(math.log(workloads / FAMILY))


@pytest.mark.parametrize("workloads", [1, 3, REQUIRED])
def test_too_few_restarts_say_nothing_and_each_one_more_says_more(workloads):
    """The ratio of densities has a limit, however large t is: where it is too low for the level nothing can be said."""
    fewest = fewest_restarts(workloads)
    widths = [half_width(0.05, restarts, workloads) for restarts in range(2, 300)]

    assert widths[: fewest - 2] == [math.inf] * (fewest - 2)
    assert all(one > other for one, other in itertools.pairwise(widths[fewest - 2 :]))
    assert estimate([0.1] * (fewest - 1), workloads) is None
    limits = [(1 + restarts * MIXTURE) ** ((restarts - 1) / 2) for restarts in (fewest - 1, fewest)]
    assert limits[0] <= workloads / FAMILY < limits[1]


def test_the_mixture_suits_what_ten_to_fourteen_restarts_decide(monkeypatch):
    chosen = {restarts: half_width(1.0, restarts, REQUIRED) for restarts in (6, 10, 14, 50)}
    least = dict.fromkeys(chosen, math.inf)
    for mixture in np.geomspace(0.1, 100, 200):
        monkeypatch.setattr("fixtures.clock.estimate.MIXTURE", mixture)
        least = {restarts: min(width, half_width(1.0, restarts, REQUIRED)) for restarts, width in least.items()}

    assert {restarts for restarts in chosen if chosen[restarts] <= 1.01 * least[restarts]} == {10, 14}
    assert chosen[6] <= 1.25 * least[6]
    assert chosen[50] <= 1.05 * least[50]


@pytest.mark.large_draws
@pytest.mark.parametrize("workloads", [1, REQUIRED])
@pytest.mark.parametrize("sd", SPREADS)
@pytest.mark.parametrize("noise", NOISES)
def test_intervals_after_all_restarts_cover_the_truth_at_the_stated_rate(generator, noise, sd, workloads):
    low, high = intervals(noise(generator, sd, (SESSIONS, RESTARTS[-1])), workloads)

    missed = int(((low > 0) | (high < 0)).any(0).sum())

    assert no_oftener(missed, SESSIONS, FAMILY / workloads), missed


@pytest.mark.large_draws
def test_a_level_that_is_not_kept_is_noticed(generator):
    """The same check on intervals a quarter too narrow: 1140 of 100,000 miss, and 430 would be too many."""
    low, high = intervals(gaussian(generator, 0.05, (SESSIONS, RESTARTS[-1])), REQUIRED)
    middle, half = (low + high) / 2, (high - low) / 2 * 3 / 4

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
    """Sessions with an interval above 1 after some restart, as where the margin is nothing beside the noise."""
    low, _ = intervals(noise(generator, 1.0, (SESSIONS, RESTARTS[-1])), workloads)
    return int((low > 0).any(0).sum())


@pytest.mark.large_draws
@pytest.mark.parametrize("workloads", [1, REQUIRED])
@pytest.mark.parametrize("noise", [gaussian, heavy_tailed])
def test_noise_beside_which_the_margin_is_nothing_seems_slower_no_oftener_than_stated(generator, noise, workloads):
    """On fresh workers again: the two stages are independent, and their chances multiply."""
    found = regressed_without_margin(generator, noise, workloads)

    assert no_oftener(found, SESSIONS, false_end(workloads)), found


@pytest.mark.large_draws
def test_a_stated_chance_that_is_too_small_is_noticed(generator):
    """The same check: noise does half of what is stated, 1260 of 100,000, and 925 would be too many for 0.3 of it."""
    found = regressed_without_margin(generator, gaussian, 1)

    assert not no_oftener(found, SESSIONS, 0.3 * false_end(1)), found


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


@pytest.mark.large_draws
@pytest.mark.parametrize("truth", [1.2, 1.5, 2.0])
def test_what_is_slower_is_never_passed(generator, truth):
    log_ratios = math.log(truth) + spoilt_to_both_sides(generator, 0.10, (SESSIONS, RESTARTS[-1]))
    regressed, clear = outcomes(log_ratios, REQUIRED)

    assert no_oftener(int((clear & ~regressed).sum()), SESSIONS, FAMILY / REQUIRED)


def palindrome(seconds_of):
    """Contrasts of a restart whose slices take seconds_of(role, when); `when` counts slices of all workers."""
    there = ["baseline", "candidate", "repeat"]
    blocks = {role: [] for role in there}
    for place, role in enumerate((*there, *reversed(there))):
        blocks[role].append([seconds_of(role, place * SLICES + index) for index in range(SLICES)])
    return contrasts([relative_logs(blocks)], "baseline", "candidate", "repeat")


TRUTH = {"baseline": 1.0, "candidate": 1.5, "repeat": 1.0}


def blocks_of(logs):
    """A palindrome of one slice of each role, whose log times these are."""
    return {role: [[math.exp(log)]] for role, log in zip(TRUTH, logs, strict=True)}


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


@pytest.mark.large_draws
@pytest.mark.draws(2 * ALARM, "the estimate, and what it is better than")
def test_a_role_that_is_disturbed_now_and_then_is_not_slower_for_it(generator):
    """Each of them is, and by its own chance; the median of ratios is 27 standard errors off."""
    count, palindromes = 20_000, 6
    logs = generator.exponential(0.05, (count, palindromes, 3))
    ratios = logs[..., 1] - (logs[..., 0] + logs[..., 2]) / 2
    found = [contrasts([relative_logs(blocks_of(log)) for log in restart], *TRUTH).log_ratio for restart in logs[:1000]]

    def deviates(values):
        return abs(np.mean(values)) * math.sqrt(len(values)) / np.std(values)

    assert within_chance(2 * stats.norm.sf(deviates(found)))
    assert not within_chance(2 * stats.norm.sf(deviates(np.median(ratios, axis=1))))


def test_a_slow_second_baseline_worker_moves_the_guard():
    found = palindrome(lambda role, when: 1.3 if role == "repeat" else 1.0)

    assert found.repeat_log_ratio == pytest.approx(math.log(1.3))
    assert found.log_ratio == pytest.approx(-math.log(1.3) / 2)


@pytest.mark.large_draws
def test_guard_and_comparison_are_uncorrelated(generator):
    """Were they not, a session whose guard is quiet would say less of its comparison."""
    count = 2000
    logs = generator.normal(0, 0.05, (count, 3))
    found = [contrasts([relative_logs(blocks_of(log))], *TRUTH) for log in logs]
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
    outcomes_after = []
    for restarts in (needed - 1, needed):
        standard = stats.norm.isf((np.arange(restarts) + 0.5) / restarts)
        log_ratios = math.log(1.02) + 0.08 * (standard - standard.mean()) / standard.std(ddof=1)
        outcomes_after.append(estimate(log_ratios, REQUIRED).outcome(DEFAULT_MARGIN))

    assert outcomes_after == ["no evidence", "fine"]


def test_a_margin_is_in_reach_where_it_is_decided_if_nothing_has_changed():
    reach = margin_in_reach(20, REQUIRED)

    assert restarts_that_would_decide(Estimate(1.0, 0.5, 2.0, 5, QUIET), REQUIRED, 1.001 * reach) == 20
    assert margin_in_reach(fewest_restarts(REQUIRED) - 1, REQUIRED) == math.inf


def test_what_lies_on_the_margin_is_never_decided():
    assert restarts_that_would_decide(Estimate(1.1, 1.0, 1.2, 5, 0.05), REQUIRED, DEFAULT_MARGIN) is None
