"""Bisection over releases: as few are asked as it takes, and what has no evidence is passed over."""

from __future__ import annotations

import json
import math
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.history import bisection
from fixtures.history.bisection import Changed, bisect, find, in_words, next_to_ask, states_of
from fixtures.history.historian import Historian
from fixtures.history.options import HistoryError, parse_options
from fixtures.record.file_names import HISTORY, ROOT
from suites.machinery.making.environments import FakeEnvironments
from suites.machinery.making.releases import KEY, answering, not_installed, write_history
from suites.machinery.making.runs import claim, violated

CLAIM = claim()
RELEASES = tuple(f"2.{minor}.0" for minor in range(2, 18))


class Torches:
    """Releases whose claim has these states; `asked` are those that were asked, in order."""

    def __init__(self, truth, known=()):
        self.truth, self.known, self.asked = truth, {release: truth[release] for release in known}, []

    def ask(self):
        return dict(self.known)

    def record(self, release):
        assert release not in self.known
        self.asked.append(release)
        self.known[release] = self.truth[release]


def mended_in(release, undecided=()):
    states = dict.fromkeys(RELEASES, "violated")
    states |= dict.fromkeys(RELEASES[RELEASES.index(release) :], "holds")
    return states | dict.fromkeys(undecided, "no evidence")


@pytest.mark.parametrize("release", RELEASES[1:])
def test_the_release_that_mended_a_claim_is_found_by_asking_few(release):
    torches = Torches(mended_in(release))
    (found,), _ = bisect(RELEASES, torches.ask, torches.record)

    assert found == Changed(RELEASES[RELEASES.index(release) - 1], release, ("violated", "holds"), ())
    # Both ends, and the halves of what lies between.
    assert len(torches.asked) <= 2 + math.ceil(math.log2(len(RELEASES)))


def test_releases_with_a_record_are_not_asked():
    torches = Torches(mended_in("2.12.0"), known=RELEASES)
    (found,), _ = bisect(RELEASES, torches.ask, torches.record)

    assert (found.before, found.after, torches.asked) == ("2.11.0", "2.12.0", [])


def test_a_release_without_evidence_is_passed_over():
    torches = Torches(mended_in("2.12.0", undecided=("2.2.0", "2.11.0", "2.12.0", "2.17.0")))
    (found,), _ = bisect(RELEASES, torches.ask, torches.record)

    assert found == Changed("2.10.0", "2.13.0", ("violated", "holds"), ("2.11.0", "2.12.0"))
    assert in_words(found) == ("violated in 2.10.0, holds in 2.13.0 (between them, without evidence: 2.11.0, 2.12.0)")


def test_each_of_two_changes_that_records_show_is_narrowed_down():
    truth = mended_in("2.6.0") | dict.fromkeys(RELEASES[12:], "violated")
    torches = Torches(truth, known=("2.2.0", "2.9.0", "2.17.0"))
    found, _ = bisect(RELEASES, torches.ask, torches.record)

    assert [(each.before, each.after) for each in found] == [("2.5.0", "2.6.0"), ("2.13.0", "2.14.0")]


def test_no_change_is_asked_of_the_ends_alone():
    torches = Torches(dict.fromkeys(RELEASES, "holds"))
    found, _ = bisect(RELEASES, torches.ask, torches.record)

    assert not found
    assert torches.asked == ["2.2.0", "2.17.0"]


def test_what_leaves_no_record_does_not_go_on_for_ever():
    with pytest.raises(HistoryError, match=r"2\.2\.0 was asked, and has no record"):
        bisect(RELEASES, dict, lambda release: None)


@pytest.mark.large_draws
@given(st.lists(st.sampled_from(["holds", "violated", "no evidence"]), min_size=2, max_size=16))
def test_every_change_that_is_found_is_one(states):
    truth = dict(zip(RELEASES, states, strict=False))
    torches = Torches(truth)
    found, known = bisect(tuple(truth), torches.ask, torches.record)

    for change in found:
        assert (truth[change.before], truth[change.after]) == change.states
        assert change.states[0] != change.states[1]
        assert {truth[release] for release in change.between} <= {"no evidence"}
    decided = [state for state in states if state != "no evidence"]
    assert bool(found) == (bool(decided) and decided[0] != decided[-1])
    assert next_to_ask(tuple(truth), known) is None


class Answers:
    """Stand-in for the records: states by release, and which were asked for one."""

    def __init__(self, monkeypatch, tmp_path, truth, index):
        self.truth, self.asked, self.lines, self.known = truth, [], [], {}
        environments = type("Environments", (), {"versions": lambda _, __, pre: index(pre)})()
        environments.project = type("Project", (), {"releases": ("2.2.0",)})
        self.historian = Historian(environments, tmp_path, "key", parse_options([]))
        monkeypatch.setattr(Historian, "record", lambda _, release: self.record(release))
        monkeypatch.setattr(bisection, "states_of", lambda *_: dict(self.known))
        monkeypatch.setattr(bisection, "has_questions", lambda *_: True)
        monkeypatch.setattr(bisection, "say", self.lines.append)

    def record(self, release):
        self.asked.append(release)
        self.known[release] = self.truth[release]


def test_without_any_record_the_newest_is_asked_first_and_draws_the_plan(monkeypatch, tmp_path):
    answers = Answers(monkeypatch, tmp_path, mended_in("2.13.0"), lambda pre: RELEASES)
    monkeypatch.setattr(bisection, "has_questions", lambda *_: False)
    find("weights.a/b", answers.historian)

    assert answers.asked[:2] == ["2.17.0", "2.2.0"]
    assert len(answers.asked) == len({*answers.asked})


def test_between_two_releases_nightlies_are_asked(monkeypatch, tmp_path):
    nightlies = [f"2.13.0.dev202604{day:02}" for day in range(10, 18)]
    others = ["2.12.0.dev20260101", "2.14.0.dev20260801", "2.13.0rc1"]
    truth = mended_in("2.13.0") | dict.fromkeys(nightlies[:5], "violated") | dict.fromkeys(nightlies[5:], "holds")
    truth["2.13.0rc1"] = "holds"
    answers = Answers(monkeypatch, tmp_path, truth, lambda pre: (*RELEASES, *nightlies, *others) if pre else RELEASES)
    find("weights.a/b", answers.historian)

    assert answers.lines[-1] == "weights.a/b: violated in 2.13.0.dev20260414, holds in 2.13.0.dev20260415"
    assert not {*answers.asked} & {"2.12.0.dev20260101", "2.14.0.dev20260801"}


def test_an_index_without_nightlies_is_said_plainly(monkeypatch, tmp_path):
    answers = Answers(monkeypatch, tmp_path, mended_in("2.13.0"), lambda pre: RELEASES)
    find("weights.a/b", answers.historian)

    assert answers.lines[-2:] == [
        "weights.a/b: violated in 2.12.0, holds in 2.13.0",
        "no nearer: the index has no nightly between 2.12.0 and 2.13.0",
    ]


def test_a_claim_that_never_changed_is_said_so(monkeypatch, tmp_path):
    answers = Answers(monkeypatch, tmp_path, dict.fromkeys(RELEASES, "holds"), lambda pre: RELEASES)
    find("weights.a/b", answers.historian)

    assert answers.lines[-1] == "weights.a/b: holds from 2.2.0 to 2.17.0, no release changed it"


def told(folder, *words):
    """States of a claim, as the command asks the reports for them."""
    environments = FakeEnvironments(folder / "store", ())
    return states_of(CLAIM.id, Historian(environments, folder, KEY, parse_options(words)))


@pytest.mark.subprocess
def test_states_are_told_by_the_records(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    history = tmp_path / HISTORY
    write_history(history, {"2.5.1": answering("2.5.1", violated())}, key="earlier suites")
    write_history(history, {"2.6.0": answering("2.6.0", CLAIM), "2.1.0": not_installed("2.1.0")})
    assert told(tmp_path) == {"2.1.0": "no evidence", "2.5.1": "violated", "2.6.0": "holds"}


def test_records_of_other_suites_tell_nothing_where_all_are_to_be_asked_again(tmp_path, monkeypatch):
    said = json.dumps({"2.5.1": {"state": "violated", "key": "other"}, "2.6.0": {"state": "holds", "key": KEY}})
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), 0, said, ""))

    assert told(tmp_path) == {"2.5.1": "violated", "2.6.0": "holds"}
    assert told(tmp_path, "--again") == {"2.6.0": "holds"}


def test_a_claim_that_nobody_makes_is_refused_in_one_line(tmp_path, monkeypatch):
    said = "error: weights.a/b: no recorded release has such a claim\n"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), 2, "", said))

    with pytest.raises(HistoryError) as error:
        told(tmp_path)
    assert str(error.value) == "weights.a/b: no recorded release has such a claim"
