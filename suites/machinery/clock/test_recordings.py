"""The clock's arithmetic on recorded blocks and restarts of real torches.

`blocks-2.13.0-beside-itself.json`: restarts of three workers while other work filled the machine, each with the seconds
of every slice by the running clock and by the wall clock; in every second restart glibc's allocator kept what was
freed, as it does in the clock's workers. `sessions.jsonl`: the calibration in fixtures/clock/README.md, as `nox -s
calibrate` appended it to its file; without the guards, memory and notes, and rounded to five decimals.
`sessions-of-one-palindrome.jsonl`: the same of a clock that timed once per restart, on one core, and looked after 6, 9,
14, 21, 32 restarts: other noise, which the intervals have to cover as well; and what other tools said beside it.
"""

import json
import math
import statistics
from collections import Counter
from pathlib import Path

import pytest

from fixtures.clock.estimate import FAMILY, contrasts, estimate, fewest_restarts, relative_logs
from fixtures.clock.slow_downs import asked_for
from fixtures.rules.policy import default_policy
from suites.machinery.clock.calibration import EXCHANGED_SETS, PARTS, exchanged_alarms, records, tables

pytestmark = [
    pytest.mark.large_draws,
    pytest.mark.draws(0, "recorded sessions, taken apart in one way, which is written down"),
]

RECORDINGS = Path(__file__).with_name("recordings")
BLOCKS = json.loads((RECORDINGS / "blocks-2.13.0-beside-itself.json").read_text(encoding="utf-8"))
SESSIONS = RECORDINGS / "sessions.jsonl"
EARLIER = RECORDINGS / "sessions-of-one-palindrome.jsonl"

RUNNING, WALL = 0, 1
ROLES = ("baseline", "candidate", "repeat")
WORKLOADS = tuple(BLOCKS[0]["blocks"])


def spread(workload, allocator, clock):
    """Root mean square of what must be zero, as the noise of one worker beside another."""
    squares = []
    for restart in BLOCKS:
        if restart["allocator"] != allocator:
            continue
        palindromes = [
            {role: [[one[clock] for one in block] for block in both] for role, both in each.items()}
            for each in restart["blocks"][workload]
        ]
        found = [contrasts([relative_logs(palindrome)], *ROLES) for palindrome in palindromes]
        ratio, repeat = (
            statistics.median(getattr(one, of) for one in found) for of in ("log_ratio", "repeat_log_ratio")
        )
        squares += [ratio**2 * 4 / 3, repeat**2]  # variances of 3/2 and 2 workers
    return math.sqrt(sum(squares) / len(squares))


@pytest.mark.parametrize("workload", WORKLOADS[:4])
def test_an_allocator_that_keeps_what_was_freed_makes_restarts_alike(workload):
    assert spread(workload, "kept", RUNNING) < spread(workload, "default", RUNNING) / 1.5


def test_the_running_clock_does_not_see_other_processes():
    disturbed = {workload: spread(workload, "kept", WALL) / spread(workload, "kept", RUNNING) for workload in WORKLOADS}

    assert disturbed["construct/deep"] > 3
    assert disturbed["guard/python"] > 1.5
    assert min(disturbed.values()) > 0.95


SAME, PLANTED = (records(SESSIONS, part) for part in ("same", "planted"))
SAME_EARLIER, PLANTED_EARLIER = (records(EARLIER, part) for part in ("same", "planted"))


def restarts_of(part, name, workload):
    (run,) = (run for run in records(EARLIER, part) if run["name"] == name)
    (found,) = (one for one in run["workloads"] if one["name"] == workload)
    return found["log_ratios"]


def missed(run, of, truth):
    """Workloads of a session with an interval, after any of its restarts, that does not hold the truth."""
    missing = []
    workloads = len(run["workloads"])
    for workload in run["workloads"]:
        values = workload[of]
        for restarts in range(fewest_restarts(workloads), len(values) + 1):
            found = estimate(values[:restarts], workloads)
            if not found.low <= truth(workload["name"]) <= found.high:
                missing.append((workload["name"], restarts))
    return missing


def factor_of(workload):
    return asked_for(workload)[1]


@pytest.mark.parametrize(
    ("workload", "outcome"),
    [
        ("init/trunc_normal_/1024x1024/float32", "regressed"),
        ("init/kaiming_normal_/1024x1024/bfloat16", "improved"),
    ],
)
def test_what_is_known_of_real_releases_is_found(workload, outcome):
    found = estimate(restarts_of("releases", "2.6.0 -> 2.13.0", workload), 15)

    assert found.outcome(default_policy().speed.margin_of(workload)) == outcome


@pytest.mark.parametrize("runs", [SAME, SAME_EARLIER], ids=["now", "earlier"])
def test_recorded_restarts_of_the_same_torch_stop_nothing_whichever_of_the_workers_is_the_candidates(runs):
    alarms, sets = exchanged_alarms(runs)

    assert sets == EXCHANGED_SETS
    assert alarms < FAMILY * sets / 100


@pytest.mark.parametrize(
    ("runs", "of", "truth"),
    [
        ([*SAME, *SAME_EARLIER], "log_ratios", factor_of),
        ([*SAME, *SAME_EARLIER], "repeat_log_ratios", factor_of),
        ([*PLANTED, *PLANTED_EARLIER], "log_ratios", factor_of),
    ],
    ids=["same", "same-repeat", "planted"],
)
def test_all_intervals_of_a_session_hold_together_as_often_as_is_stated(runs, of, truth):
    assert sum(bool(missed(run, of, truth)) for run in runs) <= FAMILY * len(runs)


def test_intervals_that_cover_say_something():
    """Covering is no feat of one that covers everything: a slow-down beyond the margin is told from none."""
    for run in PLANTED:
        told = {name for name, _ in missed(run, "log_ratios", lambda _: 1.0)}
        assert {one["name"] for one in run["workloads"] if factor_of(one["name"]) >= 1.3} <= told


def test_the_same_torch_is_never_slower():
    assert len(SAME) >= 12
    assert len(SAME_EARLIER) == 40
    assert {run["verdict"] for run in [*SAME, *SAME_EARLIER]} <= {"pass", "no evidence"}


def test_planted_slow_downs_are_stopped():
    found = [workload for run in PLANTED for workload in run["workloads"]]
    outcomes = {factor: {one["outcome"] for one in found if factor_of(one["name"]) == factor} for factor in (1.3, 1.5)}

    assert outcomes == {1.3: {"regressed"}, 1.5: {"regressed"}}


def test_every_table_can_be_printed():
    assert len(list(tables(SESSIONS))) >= 3
    assert len(list(tables(EARLIER))) == 5


def test_the_table_of_planted_slow_downs_counts_by_workload_and_factor():
    (table,) = (table for table in tables(SESSIONS) if table.title == "Planted slow-downs")
    columns = {column.header: list(column.cells) for column in table.columns}
    cases = Counter(asked_for(workload["name"]) for run in PLANTED for workload in run["workloads"])

    assert columns["truth"] == [f"{truth:g}" for _, truth in sorted(cases)]
    assert columns["runs"] == [str(cases[case]) for case in sorted(cases)]
    assert columns["covered"] == [f"{cases[case]} of {cases[case]}" for case in sorted(cases)]


def test_a_file_that_was_cut_off_goes_on(tmp_path):
    whole = SESSIONS.read_text(encoding="utf-8")
    (tmp_path / "cut.jsonl").write_text(whole[:-20], encoding="utf-8")
    count = sum(len(records(SESSIONS, part)) for part in PARTS)

    assert sum(len(records(tmp_path / "cut.jsonl", part)) for part in PARTS) == count - 1
