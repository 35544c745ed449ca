"""A store of environments in which nothing is installed, for the tests of what is done with them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fixtures.environments.environment import Environment
from fixtures.environments.failures import Unusable
from fixtures.environments.sides import Wanted
from fixtures.record.failure import Failure


@dataclass(frozen=True)
class TorchOf(Environment):
    """An environment whose torch is what its folder says."""

    def import_torch(self, timeout: float) -> str:  # noqa: ARG002
        """The version that was asked for."""
        return self.folder.name


@dataclass
class FakeEnvironments:
    """Environments by release, each a folder with a file of 4096 bytes.

    Attributes:
        root: of the store.
        index: releases that an index has; None where none answers.
        built: releases whose environments were built, in order.
        most: environments that were there at one time.
    """

    root: Path
    index: Sequence[str] | None
    built: list[str] = field(default_factory=list)
    most: int = 0
    project: Any = field(default_factory=lambda: SimpleNamespace(releases=("2.2.2", "2.14.1")))

    @property
    def store(self) -> SimpleNamespace:
        """Store, of which only the folder matters."""
        return SimpleNamespace(root=self.root)

    def versions(self, package: str, *, pre: bool = False) -> tuple[str, ...]:
        """Releases of the index, nightlies among them where they are wanted."""
        assert package == "torch"
        if self.index is None:
            raise Unusable(Failure("install", "surroundings", "pip lists no versions of torch (exit status 1)"))
        return tuple(each for each in self.index if pre or "dev" not in each)

    def here(self) -> set[str]:
        """Releases whose environment is there."""
        return {folder.name for folder in self.root.glob("[0-9]*")}

    def has(self, group: str, wanted: Wanted) -> bool:
        """Test whether a release's environment is there."""
        assert group == "suites"
        return wanted.text in self.here()

    def remove(self, group: str, wanted: Wanted) -> bool:
        """Remove a release's environment."""
        if self.has(group, wanted):
            (self.root / wanted.text / "bin" / "python").unlink()
            (self.root / wanted.text / "bin").rmdir()
            (self.root / wanted.text).rmdir()
        return True

    @contextlib.contextmanager
    def hold(self, group: str, wanted: Wanted | None = None) -> Iterator[Environment]:
        """The environment of a release, or that of the reports, which is the one that runs the tests."""
        if wanted is None:
            assert group == "reports"
            yield Environment(sys.executable, (sys.executable,), {"PYTHONPATH": str(Path.cwd())})
            return
        if wanted.text not in self.here():
            if wanted.text not in (self.index or ()):
                reason = f"torch=={wanted.text} was not found: pip has nothing to install"
                raise Unusable(Failure("install", "surroundings", reason))
            self.make(wanted.text)
            self.built.append(wanted.text)
        self.most = max(self.most, len(self.here()))
        python = str(self.root / wanted.text / "bin" / "python")
        yield TorchOf(python, (python,), {})

    def make(self, release: str) -> None:
        """Build an environment."""
        folder = self.root / release / "bin"
        folder.mkdir(parents=True)
        (folder / "python").write_bytes(b"x" * 4096)
