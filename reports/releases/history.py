"""The history: every recorded release, oldest first, read back as runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from fixtures.record.file_names import HISTORY
from fixtures.record.release_record import (
    Questions,
    ReleaseRecord,
    questions_path,
    read_questions,
    read_release,
    record_path,
    recorded_releases,
)
from fixtures.record.run_folder import RecordError, Run
from fixtures.rules.known_violations import Known
from reports.releases.expansion import expand


@dataclass(frozen=True)
class Release:
    """One release of the history.

    Attributes:
        record: what is kept of it.
        run: the same as a run; without claims where nothing was asked.
    """

    record: ReleaseRecord
    run: Run

    @property
    def name(self) -> str:
        """Name of the release, such as "2.13.0"."""
        return self.record.release


@dataclass(frozen=True)
class History:
    """Records of releases.

    Attributes:
        releases: oldest first.
        questions: by the key of the suites that asked.
    """

    releases: tuple[Release, ...]
    questions: dict[str, Questions]

    def release(self, name: str) -> Release:
        """The release of that name.

        Raises:
            RecordError: it has no record.
        """
        found = next((one for one in self.releases if one.name == name), None)
        if found is None:
            have = ", ".join(one.name for one in self.releases) or "none"
            raise RecordError(f"{name} has no record in {HISTORY} (those that have: {have})")
        return found


def read_history(folder: Path, known: Sequence[Known]) -> History:
    """Read all records of a folder.

    Args:
        folder: of the records; one that is not there holds none.
        known: violations that are registered today.

    Raises:
        RecordError: a file that cannot be trusted, or questions that are missing.
    """
    questions: dict[str, Questions] = {}
    releases = []
    for name in sorted(recorded_releases(folder), key=in_order):
        record = read_release(record_path(folder, name))
        if record.answers and record.key not in questions:
            questions[record.key] = read_questions(questions_path(folder, record.key))
        releases.append(Release(record, _run(record, questions, known)))
    return History(tuple(releases), questions)


def _run(record: ReleaseRecord, questions: dict[str, Questions], known: Sequence[Known]) -> Run:
    if record.answers:
        return expand(record, questions[record.key], known)
    return Run(Path(record.release), None, record.environment, {}, failure=record.failure, ended=False)


def in_order(release: str) -> tuple[Version, str]:
    """Sort key of releases; a name that is no version comes first."""
    try:
        return Version(release), release
    except InvalidVersion:
        return Version("0"), release
