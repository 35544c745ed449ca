"""Waivers: what a gate lets pass though it would stop it, for a while and on somebody's word.

The format is that of known violations (fixtures/known.py), with an owner and a day on which a waiver expires. One that
has expired covers nothing and stops by itself, so that nobody lives on an exception that somebody else forgot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from glob import escape
from pathlib import Path
from typing import Protocol

from packaging.version import InvalidVersion, Version

from fixtures.known import PLACEHOLDERS, Entry, read_entries


class Waiver(Entry, frozen=True, kw_only=True):
    """One waiver.

    Attributes:
        owner: who answers for it.
        expires: the last day on which it holds.
    """

    owner: str
    expires: date


@dataclass(frozen=True)
class Waivers:
    """The waivers of one gate, in the order of their file; `expired` ones cover nothing."""

    in_force: tuple[Waiver, ...] = ()
    expired: tuple[Waiver, ...] = ()


class Finding(Protocol):
    """What a waiver may cover."""

    @property
    def family(self) -> str:
        """Of a claim, its family; of another finding, its kind: "drift.law", "speed.regressed"."""

    @property
    def fields(self) -> Mapping[str, str]:
        """Of claims and drifts, `Subject.fields`; of a workload, {"workload": its name}; else {"name": what it is}."""


@dataclass(frozen=True)
class Found:
    """A finding with nothing but what waivers look at."""

    family: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Applied:
    """What became of the waivers.

    Attributes:
        covering: for each finding, in the order given, the ids of the waivers that cover it; empty where none does.
        unused: waivers in force, about this torch release and this tier, that cover none of the findings.
        expired: waivers past their day; each is a stop.
    """

    covering: tuple[tuple[str, ...], ...]
    unused: tuple[Waiver, ...]
    expired: tuple[Waiver, ...]


def read_waivers(path: Path, today: date) -> Waivers:
    """Read a file of waivers, [[waiver]], as they stand on the day `today`.

    Raises:
        KnownError: as `fixtures.known.read_entries`.
    """
    waivers = read_entries(path, "waiver", Waiver)
    return Waivers(
        in_force=tuple(waiver for waiver in waivers if today <= waiver.expires),
        expired=tuple(waiver for waiver in waivers if today > waiver.expires),
    )


def apply(waivers: Waivers, findings: Iterable[Finding], *, torch_version: str, tier: str) -> Applied:
    """Which waivers cover which findings, and which are of no use.

    Args:
        findings: what would stop the gate.
        torch_version: of the candidate.
        tier: of the plan.
    """
    covering = tuple(
        tuple(waiver.id for waiver in waivers.in_force if waiver.covers(finding.family, finding.fields, torch_version))
        for finding in findings
    )
    used = {name for names in covering for name in names}
    unused = tuple(
        waiver
        for waiver in waivers.in_force
        if waiver.id not in used and waiver.is_about(torch_version) and (not waiver.tiers or tier in waiver.tiers)
    )
    return Applied(covering=covering, unused=unused, expired=waivers.expired)


def stanza(findings: Sequence[Finding], *, torch_version: str, effect: str = "") -> str:
    """The waiver to paste that covers these findings on this release, and nothing that differs from all of them.

    Who answers for it, until when, why, and where it is discussed are placeholders, with which no file is accepted.

    Args:
        findings: at least one; alike, or what the waiver covers is wider than they are: it takes any of their families
            with any combination of their fields. A field that one of them lacks is left open.
        torch_version: of the candidate.
        effect: size of the worst of them, in words.
    """
    families = sorted({finding.family for finding in findings})
    common = [name for name in findings[0].fields if all(name in finding.fields for finding in findings)]
    values = {name: sorted({finding.fields[name] for finding in findings}) for name in common}
    distinctive = [f"{name} = {_list(patterns)}" for name, patterns in values.items() if patterns != ["None"]]
    lines = {
        "id": _quoted(_slug(families[0], values)),
        "claims": _list(families),
        "subject": f"{{ {', '.join(distinctive)} }}" if distinctive else "",
        "releases": _quoted(_release(torch_version)),
        "effect": _quoted(effect),
        **{name: _quoted(text) for name, text in PLACEHOLDERS.items()},
    }
    written = (f"{name} = {value}" for name, value in lines.items() if value not in ("", '""'))
    return "\n".join(["[[waiver]]", *written]) + "\n"


def _slug(family: str, values: Mapping[str, Sequence[str]]) -> str:
    """A name that says what a waiver is about: its family, and of whom."""
    told = [values[name][0] for name in ("initializer", "workload", "name", "dtype") if len(values.get(name, ())) == 1]
    return re.sub(r"[^A-Za-z0-9_.]+", "-", " ".join([family, *told])).strip("-") or "waiver"


def _release(torch_version: str) -> str:
    """A range that holds this release alone, in whichever build; empty for a version that cannot be ordered."""
    try:
        return f"=={Version(torch_version).public}"
    except InvalidVersion:
        return ""


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(_quoted(escape(text)) for text in texts)}]"


def _quoted(text: str) -> str:
    """A TOML basic string. tomllib only reads, and this is all there is to write."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08X}"
