"""The suites' options: defined once, validated once, shown in the header, stored in the run."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import InvalidRequirement, Requirement

from fixtures.record.choices import DEVICES, TIERS
from fixtures.record.file_names import ROOT, RUNS
from fixtures.target.device import unavailable

DEFAULT_FALSE_ALARM_RATE = 1e-6
"""One false alarm in a million runs: with a few runs a day, none in the life of a project."""


@dataclass(frozen=True)
class Settings:
    """Options as they are in force.

    Attributes:
        seed: of the questions and of the draws that the claims are read from: one for both sides of a gate.
        salt: of the draws of core subjects by which two runs are compared: another in each run, or they would be no
            independent samples.
    """

    tier: str
    seed: int
    salt: int
    devices: tuple[str, ...]
    absent_devices: dict[str, str]
    run_dir: Path
    false_alarm_rate: float
    target: str
    fault: str | None
    plan: Path | None
    selection: str
    added: tuple[str, ...] = ()

    def as_options(self) -> dict[str, Any]:
        """The options, for the run record."""
        return {
            "tier": self.tier,
            "seed": self.seed,
            "salt": self.salt,
            "devices": list(self.devices),
            "false_alarm_rate": self.false_alarm_rate,
            "target": self.target,
            "fault": self.fault,
            "selection": self.selection,
        }


OPTIONS: dict[str, dict[str, str]] = {
    "--tier": {"metavar": "TIER", "help": f"how much is drawn: {', '.join(TIERS)} (default: quick)"},
    "--seed": {"metavar": "N", "help": "seed of the run (default: fresh, and printed)"},
    "--salt": {"metavar": "N", "help": "seed of draws that runs are compared by (default: fresh, and recorded)"},
    "--device": {"metavar": "DEV[,DEV]", "help": "devices to ask (default: cpu and what is available)"},
    "--run-dir": {"metavar": "DIR", "help": "folder for the run record (default: a new one in reports/runs)"},
    "--false-alarm-rate": {"metavar": "P", "help": f"most the run may promise (default: {DEFAULT_FALSE_ALARM_RATE})"},
    "--target": {"metavar": "MODULE", "help": "dotted name or file of what answers torch.nn.init's names"},
    "--fault": {"metavar": "NAME", "help": "plant this fault in torch itself first (fixtures/faults/registry.py)"},
    "--plan": {"metavar": "FILE", "help": "ask what this plan.json asks, instead of drawing a new one"},
    "--added": {
        "action": "append",
        "metavar": "REQ",
        "help": "record that this was installed beside torch; may be often",
    },
}


def add_options(parser: pytest.Parser) -> None:
    """Register the options; one that another plugin owns (pytest-playwright has --device) is read from there."""
    groups = [*getattr(parser, "_groups", []), getattr(parser, "_anonymous", None)]
    owned = {name for group in groups if group is not None for option in group.options for name in option.names()}
    group = parser.getgroup("kaiming gate")
    for name, keywords in OPTIONS.items():
        if name not in owned:
            group.addoption(name, default=None, **keywords)


def read_settings(config: pytest.Config) -> Settings:
    """Validate the options.

    Raises:
        pytest.UsageError: an option out of range, or a device that was asked for and is not there.
    """

    def given(name: str) -> Any:
        return config.getoption(name, default=None)

    tier = given("--tier") or "quick"
    if tier not in TIERS:
        raise pytest.UsageError(f"--tier {tier}: {', '.join(TIERS)} are accepted")
    seed, salt = (_seed(name, given(name)) for name in ("--seed", "--salt"))
    rate = _number("--false-alarm-rate", given("--false-alarm-rate"), float, DEFAULT_FALSE_ALARM_RATE)
    if not 0 < rate < 1:
        raise pytest.UsageError(f"--false-alarm-rate {rate}: a probability between 0 and 1 is accepted")
    plan = Path(given("--plan")).absolute() if given("--plan") else None
    devices, absent = _devices(given("--device"))
    label = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z-torch-{torch.__version__}"
    return Settings(
        tier=tier,
        seed=seed,
        salt=salt,
        devices=devices,
        absent_devices=absent,
        run_dir=Path(given("--run-dir") or ROOT / RUNS / label).absolute(),
        false_alarm_rate=rate,
        target=given("--target") or "torch.nn.init",
        fault=given("--fault"),
        plan=plan,
        selection=config.getoption("keyword", default=""),
        added=_requirements(given("--added") or ()),
    )


def _requirements(texts: Sequence[str]) -> tuple[str, ...]:
    for text in texts:
        try:
            Requirement(text)
        except InvalidRequirement as error:
            raise pytest.UsageError(f"--added {text}: no requirement ({str(error).splitlines()[0]})") from None
    return tuple(texts)


def _seed(name: str, text: Any) -> int:
    seed: int = _number(name, text, int, secrets.randbits(32))
    if seed < 0:
        raise pytest.UsageError(f"{name} {seed}: a non-negative integer is accepted")
    return seed


def _number(name: str, text: Any, kind: type[int] | type[float], default: float) -> Any:
    if text is None:
        return default
    try:
        return kind(text)
    except ValueError:
        accepted = "an integer" if kind is int else "a number"
        raise pytest.UsageError(f"{name} {text}: {accepted} is accepted") from None


def _devices(asked: str | None) -> tuple[tuple[str, ...], dict[str, str]]:
    """Devices to ask, and why others are left out."""
    if asked is None:
        reasons = {device: reason for device in DEVICES if (reason := unavailable(device))}
        return tuple(device for device in DEVICES if device not in reasons), reasons
    devices = tuple(dict.fromkeys(name.strip() for name in asked.split(",") if name.strip()))
    for device in devices:
        if reason := unavailable(device):
            raise pytest.UsageError(f"--device {device}: {reason}")
    if not devices:
        raise pytest.UsageError(f"--device: {', '.join(DEVICES)} are accepted, separated by commas")
    return devices, {}
