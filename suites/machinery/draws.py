"""Notes of who draws random numbers, by NumPy, torch or Python, and of who starts processes.

Seeding counts as drawing: a test that holds for one seed has to hold for all of them, at a level that it names. A seed
from the operating system does not, as long as nothing is drawn from it.
"""

from __future__ import annotations

import functools
import random
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
import torch

from fixtures.record import (
    subject,  # noqa: F401 - what imports NumPy and SciPy does so before their classes are replaced
)
from fixtures.record.choices import SUITES
from fixtures.record.file_names import ROOT
from fixtures.target.seeds import seed_generators

PROGRAMS = (
    *(f"suites/{name}" for name in SUITES),
    "suites.audit",
    "fixtures.clock",
    "suites.machinery.faults.matrix",
)
"""What draws in a process of its own: an argument of the command that starts it, or how one begins."""

QUIET = ("uname",)
"""Programs that Python's platform module starts when it is first asked: no test's doing."""

LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "<")
MEASURING = (str(ROOT / "fixtures"), str(ROOT / "reports"), __file__)
"""Where a source of numbers is called for a test, whose own line is to be told."""


@dataclass
class Noted:
    """Places that drew, a line each, and the number of processes that were started."""

    draws: set[str] = field(default_factory=set)
    processes: int = 0

    def take(self, other: Noted) -> None:
        """Add what another has."""
        self.draws |= other.draws
        self.processes += other.processes


class Notes:
    """Draws and processes since the last `taken`."""

    def __init__(self) -> None:
        self._noted = Noted()
        self._states = _shared_generators()

    def taken(self) -> Noted:
        """Return what was noted, and begin anew."""
        noted, states = self._noted, _shared_generators()
        noted.draws |= {f"{name}'s shared generator" for name in states if states[name] != self._states[name]}
        self._noted, self._states = Noted(), states
        return noted

    def give(self, noted: Noted) -> None:
        """Put back what was taken for a while."""
        self._noted.take(noted)

    def draw(self, what: str, frame: FrameType | None) -> None:
        """Note a source of numbers and the line of ours that asked for it."""
        while frame is not None and not _is_a_tests(frame.f_code.co_filename):
            frame = frame.f_back
        place = f" at {frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}" if frame else ""
        self._noted.draws.add(what + place)

    def process(self) -> None:
        """Note that one is started."""
        self._noted.processes += 1


def _is_a_tests(file: str) -> bool:
    return not file.startswith((*LIBRARIES, *MEASURING))


def seed_shared(seed: int) -> None:
    """Seed the generators that every caller shares, so that who draws from them can be repeated."""
    random.seed(seed)
    np.random.seed(seed)
    seed_generators(seed)


def _shared_generators() -> dict[str, Any]:
    """States of the generators that every caller shares."""
    return {
        "torch": torch.random.get_rng_state().numpy().tobytes(),
        "numpy": [part.tobytes() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
    }


NOTES = Notes()


def _noting(name: str, healthy: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(healthy)
    def noted(*arguments: Any, **options: Any) -> Any:
        NOTES.draw(name, sys._getframe(1))
        return healthy(*arguments, **options)

    return noted


def _subclass(name: str, healthy: Any, *, of_libraries: bool = True) -> Any:
    """A class whose instances are noted; a class, since type annotations are made with it.

    Args:
        name: of the class.
        healthy: the class.
        of_libraries: whether instances that a library makes are, too.
    """

    def new(cls: Any, *arguments: Any, **options: Any) -> Any:
        caller = sys._getframe(1)
        if of_libraries or not caller.f_code.co_filename.startswith(LIBRARIES):
            NOTES.draw(name, caller)
        return healthy.__new__(cls, *arguments, **options)

    return type(healthy.__name__, (healthy,), {"__new__": new, "__doc__": healthy.__doc__})


def _noting_ours(name: str, healthy: Callable[..., Any]) -> Callable[..., Any]:
    """Note calls but those of libraries, which name temporary things by Python's shared generator."""

    @functools.wraps(healthy)
    def noted(*arguments: Any, **options: Any) -> Any:
        caller = sys._getframe(1)
        if not caller.f_code.co_filename.startswith(LIBRARIES):
            NOTES.draw(name, caller)
        return healthy(*arguments, **options)

    return noted


def _starts_a_process(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("os.fork", "os.posix_spawn", "os.system"):
        NOTES.process()
    if event == "subprocess.Popen":
        words = [str(word) for word in (arguments[1] if isinstance(arguments[1], list | tuple) else [arguments[1]])]
        if words[0] not in QUIET:
            NOTES.process()
        for program in PROGRAMS:
            if any(word == program or word.startswith(f"{program}/") for word in words):
                NOTES.draw(f"a process that runs {program}", sys._getframe(1))


def watch() -> None:
    """Note from now on, for as long as the process lives."""
    for module in (torch, torch.random):
        module.manual_seed = _noting("torch.manual_seed", module.manual_seed)
    torch.seed = _noting("torch.seed", torch.seed)
    np.random.default_rng = _noting("numpy.random.default_rng", np.random.default_rng)
    for name in ("random", "uniform", "gauss", "choice", "choices", "sample", "shuffle", "randrange", "randint"):
        setattr(random, name, _noting_ours(f"random.{name}", getattr(random, name)))
    np.random.RandomState = _subclass("numpy.random.RandomState", np.random.RandomState)
    # Libraries make some as they are imported, whenever that is: sympy one, when torch first looks at a meta tensor.
    random.Random = _subclass("random.Random", random.Random, of_libraries=False)  # type: ignore[misc]
    torch.Generator = _subclass("torch.Generator", torch.Generator)  # type: ignore[misc]
    sys.addaudithook(_starts_a_process)
