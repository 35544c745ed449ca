"""The fault matrix on disk: which planted fault was seen by which family of claims."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from fixtures.record.atomic_file import write_atomically
from fixtures.record.run_folder import RecordError
from fixtures.record.safe_text import Ambiguous, cleaned

STOPPED, PASSED = 1, 0
"""Exit codes of a suite that saw a violation, and of one that saw none."""


class FaultOutcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Outcome of one planted fault.

    Attributes:
        fault: its name.
        suite: folder of the suite that was run.
        expected: families that must see it; none where nothing is planted.
        code: exit code of the suite.
        seen: violated claims by family.
        seconds: of the whole process.
        tail: last lines of its output.
    """

    fault: str
    suite: str
    expected: tuple[str, ...]
    code: int
    seen: dict[str, int]
    seconds: float
    tail: tuple[str, ...]

    @property
    def as_it_should(self) -> bool:
        """True where all families saw it that must; or where it passed and nothing is planted."""
        if not self.expected:
            return self.code == PASSED
        return self.code == STOPPED and self.seen.keys() >= {*self.expected}

    def seen_by(self, family: str) -> int:
        """Claims that saw the fault, of all families with this second level."""
        return sum(count for name, count in self.seen.items() if second_level(name) == family)

    def is_due_in(self, family: str) -> bool:
        """Tell whether a family with this second level must see the fault."""
        return family in map(second_level, self.expected)


def second_level(family: str) -> str:
    """The second level, e.g. "marginal" of "weights.marginal.scale"; a name without levels is its own."""
    return ".".join(family.split(".")[1:2]) or family


def write_faults(path: Path, outcomes: Sequence[FaultOutcome]) -> None:
    """Write the matrix as indented JSON."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(outcomes), indent=1) + b"\n")


def read_faults(path: Path) -> tuple[FaultOutcome, ...]:
    """Read and validate a matrix.

    Raises:
        RecordError: missing, unreadable, or not a fault matrix.
    """
    try:
        return msgspec.convert(cleaned(msgspec.json.decode(path.read_bytes())), tuple[FaultOutcome, ...])
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Ambiguous) as error:
        raise RecordError(f"{path}: not a fault matrix of Kaiming Gate ({error})") from None
