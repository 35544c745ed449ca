"""Stages of a session: what each asks, what it needs, how long it takes and how it is run. Standard library alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fixtures.environments.processes import usable_cores
from fixtures.record.choices import SUITES
from fixtures.record.file_names import TIMINGS
from fixtures.record.session import Missing

MOST_WORKERS = 4
"""Processes of a suite: each has a context of its own on the device, some hundred MB, and collects for itself."""

START_SECONDS = 20.0
"""Seconds for starting Python, importing torch and waking a device, and for writing what was found."""

BETWEEN_SECONDS = 2.0
"""Seconds until the next stage begins: one whose time is up is killed, with all that it started (one was seen)."""

PACKAGES = {
    "pytest": "pytest",
    "msgspec": "msgspec",
    "numpy": "numpy",
    "scipy": "scipy",
    "hypothesis": "hypothesis",
    "packaging": "packaging",
    "threadpoolctl": "threadpoolctl",
    "rich": "rich",
    "typer": "typer",
    "xdist": "pytest-xdist",
    "sklearn": "scikit-learn",
}
"""Module that is imported -> package that brings it."""

OF_SUITES = ("pytest", "msgspec", "numpy", "scipy", "hypothesis", "packaging", "threadpoolctl")

LESS_WITHOUT = {
    "xdist": "the suites run in one process each, which takes longer",
    "sklearn": "the tutorial's table, which is the processor's, has no evidence",
}
"""Modules that no stage needs, and what becomes of a session without them."""

DIGESTS = ("suites/weights/test_digests.py", "suites/weights/test_module_digests.py")


@dataclass(frozen=True)
class Options:
    """Options of a session that its stages are handed.

    Attributes:
        device: by torch's name.
        seed: of all that is drawn.
    """

    device: str
    seed: int


@dataclass(frozen=True)
class Stage:
    """One stage, a process of its own.

    Attributes:
        name: of the stage and of its folder.
        asks: what it asks, in words.
        needs: modules without which it is left out.
        least: seconds below which it is not begun: what it takes on a device that is there.
        most: seconds that it is given at most.
        command: arguments of Python: options, its folder, seconds that it has.
    """

    name: str
    asks: str
    needs: tuple[str, ...]
    least: float
    most: float
    command: Callable[[Options, Path, float], Sequence[str]]


def _pytest(options: Options, folder: Path, paths: Sequence[str], devices: str) -> list[str]:
    # Plugins that the interpreter may bring: pytest-benchmark warns where it meets pytest-xdist, and a warning is an
    # error here.
    command = ["-m", "pytest", *paths, "-q", "-p", "no:cacheprovider", "-p", "no:benchmark"]
    if find_spec("xdist"):
        command += ["-n", str(min(len(usable_cores()), MOST_WORKERS))]
    return [*command, "--device", devices, "--seed", str(options.seed), "--run-dir", str(folder)]


def _suite(name: str, least: float, most: float) -> Stage:
    """A suite at the quick tier; the digests of the weights are a stage of their own, and are asked once."""
    ignored = [f"--ignore={file}" for file in DIGESTS if file.startswith(f"suites/{name}/")]

    def command(options: Options, folder: Path, _seconds: float) -> list[str]:
        return _pytest(options, folder, [f"suites/{name}", *ignored], options.device)

    return Stage(name, f"suites/{name} on the device", OF_SUITES, least, most, command)


def _digests(options: Options, folder: Path, _seconds: float) -> list[str]:
    devices = dict.fromkeys(("cpu", options.device))
    return _pytest(options, folder, DIGESTS, ",".join(devices))


def _measured(what: str) -> Callable[[Options, Path, float], list[str]]:
    """A measurement of measurement.py, which ends by itself within the seconds that it is given."""

    def command(options: Options, folder: Path, seconds: float) -> list[str]:
        given = ("--device", options.device, "--seed", str(options.seed), "--into", str(folder))
        within = max(1.0, seconds - START_SECONDS)
        return ["-m", "suites.accelerator.measurement", what, *given, "--seconds", f"{within:.1f}"]

    return command


CLOCKED = "train/tutorial/step/*/float32"
"""Pattern of the paired clock's workloads: steps of training by SGD and Adam, on which two processes must agree."""


def _clock(options: Options, folder: Path, seconds: float) -> list[str]:
    """The paired clock with the interpreter at hand on both sides: how far two processes on one device differ."""
    first = max(1.0, (seconds - START_SECONDS) / 2)
    both = ("--baseline", sys.executable, "--candidate", sys.executable)
    limit = ("--clock-limit", f"{first:.0f},{max(1.0, seconds - START_SECONDS):.0f}")
    written = ("--json", str(folder / TIMINGS), "--seed", str(options.seed))
    return ["-m", "fixtures.clock", *both, "--device", options.device, "--workloads", CLOCKED, *limit, *written]


OF_MANY = ("sharded",)
"""Suites that ask several devices at once, a rank each; a session asks one."""


def _of_suites() -> dict[str, Stage]:
    seconds = {"weights": (60, 180), "propagation": (60, 180), "training": (40, 100), "operations": (20, 80)}
    assert seconds.keys() == {*SUITES} - {*OF_MANY}
    return {name: _suite(name, *limits) for name, limits in seconds.items()}


def stages() -> tuple[Stage, ...]:
    """All stages, in their order: what says most about a device first, for its time may end at any moment.

    Seconds: the suites take 10 to 60 s on two cores without an accelerator (`nox -s suites`), and three times that is
    given where there is time; what measures ends when its time is up, and twenty seconds show a rate.
    """
    suites = _of_suites()
    digests = Stage("digests", "digests of fixed seeds, CPU beside the device", OF_SUITES, 20, 45, _digests)
    return (
        suites["weights"],
        digests,
        Stage("sketch", "weights judged where they lie", OF_SUITES, 30, 50, _measured("sketch")),
        suites["propagation"],
        suites["training"],
        suites["operations"],
        Stage("large", "one tensor of more than 2^31 elements", OF_SUITES, 25, 120, _measured("large")),
        Stage("timings", "every initializer and every step of training", (), 45, 150, _measured("timings")),
        Stage("clock", "two processes on one device", ("msgspec", "rich", "typer"), 60, 75, _clock),
    )


def missing(asked: Sequence[Stage]) -> tuple[Missing, ...]:
    """Packages that the interpreter at hand lacks, and what is left out for each."""
    found = []
    for module, package in PACKAGES.items():
        if find_spec(module) is not None:
            continue
        without = [stage.name for stage in asked if module in stage.needs]
        if without:
            found.append(Missing(package, ", ".join(without)))
        elif module in LESS_WITHOUT:
            found.append(Missing(package, LESS_WITHOUT[module], needed=False))
    return tuple(found)


def lacks(stage: Stage) -> list[str]:
    """Packages that a stage needs and the interpreter at hand lacks."""
    return [PACKAGES[module] for module in stage.needs if find_spec(module) is None]


def allotted(stage: Stage, left: float, later: Sequence[Stage]) -> float:
    """Seconds that a stage gets; where they are less than its least it is left out.

    All but what those after it need at least: they stand in the order of what they say about a device.

    Args:
        stage: that is to begin.
        left: seconds of the session.
        later: stages after it that can be run.
    """
    return min(stage.most, left - sum(BETWEEN_SECONDS + other.least for other in later))
