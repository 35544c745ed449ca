"""The suites' options: what is accepted, what is used where nothing is said, and one line on what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from fixtures.record.choices import ACCELERATORS, DEVICES
from fixtures.record.file_names import RUNS
from fixtures.target.device import unavailable
from suites.framework import settings
from suites.framework.settings import ROOT, add_options, read_settings
from suites.machinery.chance import SAME_SEED
from suites.machinery.making.suite_run import given


def test_what_is_used_where_nothing_is_said():
    found = read_settings(given())

    assert (found.tier, found.target, found.false_alarm_rate) == ("quick", "torch.nn.init", 1e-6)
    assert found.devices[0] == "cpu"
    assert found.run_dir.parent == (ROOT / RUNS)
    assert found.plan is None


@SAME_SEED
def test_a_seed_is_fresh_unless_one_is_given():
    assert read_settings(given()).seed != read_settings(given()).seed
    assert read_settings(given(seed="17")).seed == 17


@SAME_SEED
def test_a_salt_is_fresh_unless_one_is_given_whatever_the_seed():
    assert read_settings(given(seed="17")).salt != read_settings(given(seed="17")).salt
    assert read_settings(given(salt="17")).as_options()["salt"] == 17


def test_what_was_added_is_recorded_and_a_requirement():
    assert read_settings(given()).added == ()
    assert read_settings(given(added=["timm==1.0", "own @ https://host.test/own.whl"])).added == (
        "timm==1.0",
        "own @ https://host.test/own.whl",
    )
    with pytest.raises(pytest.UsageError, match=r"^--added timm=1: no requirement \([^\n]*\)$"):
        read_settings(given(added=["timm=1"]))


def test_devices_that_are_not_there_are_left_out_with_the_reason(monkeypatch):
    monkeypatch.setattr(settings, "unavailable", lambda device: None if device in ("cpu", "cuda") else f"no {device}")

    found = read_settings(given())

    assert found.devices == ("cpu", "cuda")
    assert found.absent_devices == {name: f"no {name}" for name in ACCELERATORS if name != "cuda"}


def test_devices_are_taken_in_the_order_given_and_once_each(monkeypatch):
    monkeypatch.setattr(settings, "unavailable", lambda device: None)

    assert read_settings(given(device="cuda, cpu,cuda")).devices == ("cuda", "cpu")


def test_a_missing_device_tells_which_torch_looked_for_it():
    assert unavailable("cpu") is None
    assert unavailable("tpu") == f"unknown device 'tpu'; {', '.join(DEVICES)} are accepted"
    if not torch.cuda.is_available():
        assert unavailable("cuda") == f"torch {torch.__version__} finds no cuda device here"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tier": "nope"}, "--tier nope: quick, full, soak are accepted"),
        ({"seed": "x"}, "--seed x: an integer is accepted"),
        ({"seed": "1.5"}, "--seed 1.5: an integer is accepted"),
        ({"seed": "-1"}, "--seed -1: a non-negative integer is accepted"),
        ({"salt": "-1"}, "--salt -1: a non-negative integer is accepted"),
        ({"false_alarm_rate": "x"}, "--false-alarm-rate x: a number is accepted"),
        ({"false_alarm_rate": "0"}, "--false-alarm-rate 0.0: a probability between 0 and 1 is accepted"),
        ({"false_alarm_rate": "nan"}, "--false-alarm-rate nan: a probability between 0 and 1 is accepted"),
        ({"device": "tpu"}, f"--device tpu: unknown device 'tpu'; {', '.join(DEVICES)} are accepted"),
        ({"device": " ,"}, f"--device: {', '.join(DEVICES)} are accepted, separated by commas"),
    ],
)
def test_what_is_refused_says_what_is_accepted(options, says):
    with pytest.raises(pytest.UsageError) as refusal:
        read_settings(given(**options))

    assert str(refusal.value) == says


class Group:
    """An option group of pytest's parser, as far as options are registered with it."""

    def __init__(self, *names):
        self.options = [SimpleNamespace(names=lambda name=name: [name]) for name in names]

    def addoption(self, name, **_):
        self.options.append(SimpleNamespace(names=lambda: [name]))


def test_an_option_that_another_plugin_owns_is_left_to_it():
    ours = Group()
    parser = SimpleNamespace(_groups=[Group("--device")], _anonymous=Group(), getgroup=lambda name: ours)

    add_options(parser)

    names = [option.names()[0] for option in ours.options]
    assert "--device" not in names
    assert {"--tier", "--seed", "--run-dir", "--false-alarm-rate", "--target", "--plan"} <= set(names)
