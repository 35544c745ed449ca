"""The measurement of a speed chain: which pairs are timed, with how many environments, and what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.clock.results import write_pairing
from fixtures.history import historian
from fixtures.history.chain import Chain, links_of
from fixtures.history.historian import Historian
from fixtures.history.options import parse_options
from fixtures.history.version_key import TIMED_WITH
from fixtures.record.compression import packed
from fixtures.record.file_names import HISTORY
from fixtures.record.release_record import link_path
from reports.commands import command_line
from reports.releases.speed import read_links
from suites.machinery.making.chains import pairing
from suites.machinery.making.environments import FakeEnvironments

INDEX = ("2.2.2", "2.5.0", "2.5.1", "2.6.0", "2.13.0")


def test_neighbours_and_a_few_distant_pairs():
    assert links_of(INDEX) == (
        *(("2.2.2", "2.5.0"), ("2.5.0", "2.5.1"), ("2.5.1", "2.6.0"), ("2.6.0", "2.13.0")),
        *(("2.2.2", "2.5.1"), ("2.5.1", "2.13.0"), ("2.2.2", "2.13.0")),
    )
    assert links_of(INDEX[:4])[3:] == (("2.2.2", "2.5.1"), ("2.2.2", "2.6.0"))
    assert links_of(INDEX[:3]) == (("2.2.2", "2.5.0"), ("2.5.0", "2.5.1"))
    assert links_of(INDEX[:1]) == ()


class Clock:
    """Stand-in for the clock and the reports: times a pair, or writes nothing."""

    def __init__(self):
        self.timed, self.silent = [], set()

    def __call__(self, _environment, _root, module, *words):
        if module == "reports":
            return command_line.run(list(words))
        told = dict(zip(words[::2], words[1::2], strict=True))
        assert told.items() >= dict(zip(TIMED_WITH[::2], TIMED_WITH[1::2], strict=True)).items()
        pair = tuple(told[side].split("/")[-3] for side in ("--baseline", "--candidate"))
        self.timed.append(pair)
        if pair not in self.silent:
            write_pairing(Path(told["--json"]), pairing({"init/a": (0.0, 0.01, 0.0, 0.01, 0.0, 0.01)}))
        return 2


@pytest.fixture
def clock(monkeypatch):
    stand_in = Clock()
    monkeypatch.setattr(
        historian.Environment,
        "run_on_terminal",
        lambda self, root, module, *words: stand_in(self, root, module, *words),
    )
    return stand_in


@pytest.fixture
def measure(tmp_path, clock):  # noqa: ARG001 - nothing is timed in earnest
    (tmp_path / "store").mkdir()
    environments = FakeEnvironments(tmp_path / "store", INDEX)

    def chain(*words, key="clock"):
        Chain(Historian(environments, tmp_path, "suites", parse_options(["--speed", *words])), key).measure()
        return environments

    chain.folder = tmp_path / HISTORY
    return chain


def test_each_link_is_kept_and_two_environments_are_there_at_a_time(measure, clock):
    environments = measure("--releases", "2.2.2..2.13.0")

    assert sorted((link.older, link.newer) for link in read_links(measure.folder)) == sorted(links_of(INDEX))
    assert clock.timed == list(links_of(INDEX))
    assert environments.most == 2
    assert not [*environments.root.iterdir()]
    # A neighbour is built once for both of its links.
    assert environments.built[:5] == list(INDEX)


def test_what_was_measured_by_the_same_clock_is_not_measured_again(measure, clock):
    measure("--releases", "2.5.0,2.5.1,2.6.0")
    packed(link_path(measure.folder, "2.5.0", "2.5.1")).write_bytes(b"cut off")
    measure("--releases", "2.5.0,2.5.1,2.6.0")
    assert clock.timed == [("2.5.0", "2.5.1"), ("2.5.1", "2.6.0"), ("2.5.0", "2.5.1")]

    measure("--releases", "2.5.0,2.5.1", "--again")
    measure("--releases", "2.5.0,2.5.1", key="another clock")
    assert clock.timed[3:] == [("2.5.0", "2.5.1")] * 2


def test_a_release_that_cannot_be_had_is_said_and_passed_over(measure, clock, capfd):
    measure("--releases", "2.1.0,2.5.0,2.5.1")

    assert clock.timed == [("2.5.0", "2.5.1")]
    said = capfd.readouterr().out
    assert "2.1.0 -> 2.5.0: not measured, 2.1.0 cannot be had: torch==2.1.0 was not found" in said


def test_a_clock_that_does_not_end_leaves_no_link(measure, clock, capfd):
    clock.silent = {("2.5.0", "2.5.1")}
    environments = measure("--releases", "2.5.0,2.5.1,2.6.0")

    assert [(link.older, link.newer) for link in read_links(measure.folder)] == [("2.5.1", "2.6.0")]
    assert "2.5.0 -> 2.5.1: not measured, the clock did not end" in capfd.readouterr().out
    assert not environments.here()
