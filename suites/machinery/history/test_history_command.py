"""`nox -s history` with a store in which nothing is installed: what is asked, kept, left alone and removed."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from fixtures.history import command, historian
from fixtures.history.historian import Historian
from fixtures.history.kept_records import kept_record
from fixtures.history.options import HistoryError, parse_options
from fixtures.record import file_names
from fixtures.record.compression import packed
from fixtures.record.failure import Failure
from fixtures.record.file_names import HISTORY, ROOT
from fixtures.record.release_record import read_release, record_path, recorded_releases
from reports.commands import command_line
from reports.releases.history import read_history
from suites.machinery.making.environments import FakeEnvironments
from suites.machinery.making.releases import KEY, answering, write_history
from suites.machinery.making.runs import claim, contract, failure, write

pytestmark = pytest.mark.draws(0, "frameworks and suites are stand-ins that draw nothing")

INDEX = ("2.14.1", "2.13.0", "2.6.0", "2.5.1", "2.5.0", "2.2.2")
CLAIMS = claim(), contract()


class Suites:
    """Stand-in for the suites: each release answers, is interrupted, or crashes.

    Attributes:
        plans: that were handed in, by release; None where there was none.
    """

    def __init__(self):
        self.plans = {}
        self.ends = {}

    def __call__(self, environment, folder, _suites, options, **_limits):
        release = environment.folder.name
        given = dict(zip(options[::2], options[1::2], strict=True))
        assert given.items() >= {"--tier": "quick", "--device": "cpu"}.items()
        self.plans[release] = json.loads(Path(given["--plan"]).read_bytes()) if "--plan" in given else None
        if isinstance(end := self.ends.get(release), BaseException):
            raise end
        write(folder, answering(release, *CLAIMS))
        if isinstance(end, Failure):
            (folder / file_names.MANIFEST).unlink()
            (folder / file_names.FAILURE).write_text(json.dumps(msgspec.to_builtins(end)))


@pytest.fixture
def suites(monkeypatch):
    """Stand-in for the suites, and for the subprocess of the reports."""
    stand_in = Suites()
    monkeypatch.setattr(historian, "run_suite", stand_in)
    monkeypatch.setattr(
        historian.Environment, "run_on_terminal", lambda self, root, module, *words: command_line.run(list(words))
    )
    return stand_in


@pytest.fixture
def make(tmp_path, suites):  # noqa: ARG001 - nothing is run in earnest
    """Run the command with an index and what follows `--`; returns the environments."""
    environments = FakeEnvironments(tmp_path / "store", INDEX)
    (tmp_path / "store").mkdir()

    def history(*words, key=KEY):
        Historian(environments, tmp_path, key, parse_options(words)).record_all()
        return environments

    history.environments, history.folder = environments, tmp_path / HISTORY
    return history


def test_each_release_is_asked_by_one_plan_and_recorded(make, suites):
    environments = make("--releases", "2.5.0..2.13.0")
    found = read_history(make.folder, ())

    assert [release.name for release in found.releases] == ["2.5.0", "2.5.1", "2.6.0", "2.13.0"]
    assert [release.run.torch_version for release in found.releases] == ["2.5.0", "2.5.1", "2.6.0", "2.13.0"]
    assert all(len(release.run.claims) == 2 for release in found.releases)
    # The newest draws the plan, and hands it to the others.
    assert environments.built == ["2.13.0", "2.6.0", "2.5.1", "2.5.0"]
    plan = json.loads(msgspec.json.encode(found.questions[KEY].plan))
    assert suites.plans == {"2.13.0": None} | dict.fromkeys(["2.6.0", "2.5.1", "2.5.0"], plan)


def test_one_environment_lies_on_the_disk_at_a_time(make):
    environments = make("--releases", "2.5.0..2.13.0")
    record = read_release(record_path(make.folder, "2.6.0"))

    assert environments.most == 1
    assert not [*environments.root.iterdir()]
    assert 0 < record.cost.gigabytes < 1e-3


def test_an_environment_that_was_there_stays(make):
    make.environments.make("2.6.0")
    environments = make("--releases", "2.5.1,2.6.0")

    assert environments.here() == {"2.6.0"}
    assert read_release(record_path(make.folder, "2.6.0")).cost.build_seconds == 0


def test_a_release_with_a_record_is_not_asked_again(make):
    make("--releases", "2.6.0")
    make("--releases", "2.5.1,2.6.0")
    assert make.environments.built == ["2.6.0", "2.5.1"]

    make("--releases", "2.6.0", "--again")
    assert make.environments.built == ["2.6.0", "2.5.1", "2.6.0"]


def test_what_another_process_records_meanwhile_is_left_to_it(make, suites, monkeypatch):
    def meanwhile(*arguments, **options):
        suites(*arguments, **options)
        write_history(make.folder, {"2.5.1": answering("2.5.1", *CLAIMS)})

    monkeypatch.setattr(historian, "run_suite", meanwhile)
    make("--releases", "2.5.0..2.6.0")

    assert make.environments.built == ["2.6.0", "2.5.0"]


def test_other_suites_ask_again(make):
    make("--releases", "2.6.0")
    make("--releases", "2.6.0", key="other")

    assert make.environments.built == ["2.6.0", "2.6.0"]
    assert read_history(make.folder, ()).release("2.6.0").record.key == "other"


@pytest.mark.parametrize("kept", [b"", b"{}", b"\xfd7zXZ\x00 cut off"])
def test_a_damaged_record_is_made_anew(make, kept):
    make("--releases", "2.6.0")
    packed(record_path(make.folder, "2.6.0")).write_bytes(kept)
    make("--releases", "2.6.0")

    assert make.environments.built == ["2.6.0", "2.6.0"]
    assert read_release(record_path(make.folder, "2.6.0")).answers


def test_what_was_interrupted_goes_on_where_it_was(make, suites):
    suites.ends["2.5.1"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        make("--releases", "2.5.0..2.13.0")

    assert recorded_releases(make.folder) == ("2.13.0", "2.6.0")
    assert not make.environments.here()

    del suites.ends["2.5.1"]
    make("--releases", "2.5.0..2.13.0")
    assert make.environments.built == ["2.13.0", "2.6.0", "2.5.1", "2.5.1", "2.5.0"]


def test_what_a_killed_command_has_built_is_removed_by_the_next(make):
    """A killed process removes nothing; its note says whose the environment is."""
    make.environments.make("2.6.0")
    (make.environments.root / "history-2.6.0.built").touch()
    make("--releases", "2.6.0")

    assert not [*make.environments.root.iterdir()]


def test_a_release_that_does_not_install_is_a_record_that_says_why(make):
    make("--releases", "2.1.0,2.6.0")
    record = read_release(record_path(make.folder, "2.1.0"))

    assert record.failure.reason == "torch==2.1.0 was not found: pip has nothing to install"
    assert not record.answers
    # Perhaps it was the index: it is asked once more.
    make("--releases", "2.1.0,2.6.0")
    assert make.environments.built == ["2.6.0"]


def test_a_run_that_crashed_is_a_record_that_says_so(make, suites):
    suites.ends["2.5.1"] = failure()
    make("--releases", "2.5.1,2.6.0")
    run = read_history(make.folder, ()).release("2.5.1").run

    assert run.failure.reason == "crashed (SIGSEGV)"
    assert len(run.claims) == 2
    # It is the release's own fault, and would crash again.
    make("--releases", "2.5.1")
    assert make.environments.built == ["2.6.0", "2.5.1"]


def test_a_network_that_is_down_takes_no_answers_away(make, capfd):
    make("--releases", "2.6.0")
    make.environments.index = ("2.13.0",)
    make("--releases", "2.6.0", "--again")

    assert read_release(record_path(make.folder, "2.6.0")).answers
    assert "its earlier record stays" in capfd.readouterr().out


def test_without_options_it_is_the_newest_patch_of_each_minor_release(make):
    make()

    assert recorded_releases(make.folder) == ("2.13.0", "2.14.1", "2.2.2", "2.5.1", "2.6.0")


def test_the_newest_torch_is_gated_by_the_release_before_it(make, capfd):
    make.environments.index = (*INDEX, "2.15.0.dev20261101")
    code = Historian(make.environments, make.folder.parents[1], KEY, parse_options(["--newest"])).gate_newest()

    assert code == 0
    assert make.environments.built == ["2.15.0.dev20261101", "2.14.1"]
    assert "torch 2.14.1 -> 2.15.0.dev20261101" in capfd.readouterr().out

    make.environments.index = ("2.6.0",)
    with pytest.raises(HistoryError, match="no release before the newest torch"):
        Historian(make.environments, make.folder.parents[1], KEY, parse_options(["--newest"])).gate_newest()


def test_no_index_is_said_in_one_line(make):
    make.environments.index = None

    for words in ([], ["--releases", "2.2.0..2.6.0"]):
        with pytest.raises(HistoryError, match="which releases there are, no index says: pip lists no versions"):
            make(*words)
    make("--releases", "2.6.0")
    assert read_release(record_path(make.folder, "2.6.0")).failure.stage == "install"


def test_damaged_questions_end_it_in_one_line(make, tmp_path):
    make("--releases", "2.6.0")
    packed(make.folder / f"questions-{KEY}.json").write_bytes(b"cut off")

    with pytest.raises(HistoryError, match="the questions cannot be read: damaged"):
        make("--releases", "2.5.1")
    assert not [*(tmp_path / "store").glob("2*")]


def test_a_record_that_cannot_be_kept_is_told_and_others_are_made(make, capfd):
    write_history(make.folder, {"2.6.0": answering("2.6.0", claim("weights.other.scale"))})

    with pytest.raises(HistoryError, match=r"without a record: 2\.5\.1"):
        make("--releases", "2.1.0,2.5.1")
    out, err = capfd.readouterr()
    assert f"makes claims that no other release makes, such as {CLAIMS[0].id}" in err
    assert "2.5.1 has no record; its run is " in out
    assert "2.1.0" in recorded_releases(make.folder)
    assert not make.environments.here()


def test_what_is_known_of_a_record_without_reading_all_of_it(tmp_path):
    write_history(tmp_path, {"2.6.0": answering("2.6.0", *CLAIMS)})
    kept = kept_record(tmp_path, "2.6.0")

    assert (kept.key, kept.answered, kept.blames) == (KEY, True, None)
    assert kept.is_settled(KEY)
    assert not kept.is_settled("other")
    assert kept_record(tmp_path, "2.5.1") is None


def test_wrong_options_are_refused_before_anything_is_looked_at(capfd):
    assert command.run_history(["--releases", "new"], root=ROOT) == 2
    assert "history: --releases 'new': 'new' is no release" in capfd.readouterr().out
