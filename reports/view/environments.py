"""The two environments side by side: what differs first, long values by what only one of them has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fixtures.record.environment import Environment
from fixtures.record.run_folder import Run

LONGEST = 120
"""Characters of a value that is shown whole; of a longer one (CPU flags, build settings) only what differs."""

MOST_PARTS = 40
"""Parts of a long value that are listed for one side."""

NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Fact:
    """One thing that both environments tell of themselves, or only one of them."""

    group: str
    name: str
    baseline: str
    candidate: str
    differs: bool


def facts(baseline: Run, candidate: Run) -> list[Fact]:
    """All facts of both sides, those that differ first, otherwise by group and in the order told."""
    sides = [_told(run.environment) for run in (baseline, candidate)]
    names = dict.fromkeys([*sides[0], *sides[1]])
    found = [_fact(name, *(side.get(name) for side in sides)) for name in names]
    return sorted(found, key=lambda fact: not fact.differs)


def _told(environment: Environment | None) -> dict[tuple[str, str], str]:
    """Facts of one side by group and name."""
    if environment is None:
        return {}
    groups: dict[str, Mapping[str, Any]] = {
        "torch": environment.torch,
        "python": {"version": environment.python},
        "machine": environment.machine,
        "option": environment.options,
        "package": environment.packages,
        "added": {name: ", ".join(brought) for name, brought in environment.added.items()},
        "left out": environment.skipped,
        "run": {"started": environment.started, "seconds": f"{environment.seconds:.1f}"},
    }
    return {(group, name): str(value) for group, told in groups.items() for name, value in told.items()}


def _fact(name: tuple[str, str], before: str | None, after: str | None) -> Fact:
    # When a run began and how long it took distinguishes two runs, not two environments.
    differs = before != after and name[0] != "run"
    old, new = (NOTHING if value is None else value for value in (before, after))
    if max(len(old), len(new)) > LONGEST:
        old, new = _only(old, new) if before != after else (_cut(old), _cut(new))
    return Fact(group=name[0], name=name[1], baseline=old, candidate=new, differs=differs)


def _only(before: str, after: str) -> Iterator[str]:
    """Lines or words that only one of two long values has, for each of them."""
    parts = [_parts(value) for value in (before, after)]
    for ours, theirs in (parts, reversed(parts)):
        own = [part for part in ours if part not in theirs]
        left = f" and {len(own) - MOST_PARTS} more" if len(own) > MOST_PARTS else ""
        yield f"only here: {' · '.join(own[:MOST_PARTS])}{left}" if own else "nothing that the other has not"


def _parts(value: str) -> dict[str, None]:
    """Parts of a long value in order, each once: its lines and settings, and the words of those still long."""
    settings = [part.strip() for line in value.splitlines() for part in line.split(", ")]
    words = [[setting] if len(setting) <= LONGEST else setting.split() for setting in settings]
    return dict.fromkeys(part for parts in words for part in parts if part)


def _cut(value: str) -> str:
    return f"{value[:LONGEST]}…" if len(value) > LONGEST else value
