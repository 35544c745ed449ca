"""Drifts joined into what a reader thinks of as one finding, and into what the policy has one word for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fixtures.words.phrases import first_few, in_dtype, plural
from reports.drift.kinds import Drift, Kind


@dataclass(frozen=True)
class Topic:
    """Drifts that make one reason.

    Attributes:
        kind: name in the policy's table "drift".
        text: one sentence.
        members: the drifts, the plainest first.
    """

    kind: Kind
    text: str
    members: tuple[Drift, ...]


def topics(found: Iterable[Drift], digests: int) -> list[Topic]:
    """Laws and grids by initializer and dtype, signatures by function, everything else by kind.

    Args:
        found: what drifted.
        digests: how many subjects have a fixed-seed digest on both sides.
    """
    groups: dict[tuple[Kind, str], list[Drift]] = {}
    for drift in found:
        kind = drift.policy_kind
        if kind.tag:
            groups.setdefault((kind, _about(drift) if kind.apart else ""), []).append(drift)
    listed = [
        Topic(kind, _in_words(kind, members, digests), tuple(members))
        for (kind, _), group in groups.items()
        for members in [sorted(group, key=lambda drift: 1.0 if drift.p is None else drift.p)]
    ]
    return sorted(listed, key=lambda topic: topic.kind.rank)


def _about(drift: Drift) -> str:
    """Initializer, dtype and device, or what else it is about."""
    fields = drift.fields
    if "initializer" not in fields:
        return drift.subject
    return f"{fields['initializer'].partition('(')[0]} in {in_dtype(fields['dtype'], fields['device'])}"


def _in_words(kind: Kind, members: list[Drift], digests: int) -> str:
    if kind is Kind.STREAM:
        of = f"{len(members)} of {plural(digests, 'subject')}"
        where = first_few(list(dict.fromkeys(map(_about, members))), 5)
        return f"stream changed: the same seed gives other weights for {of}: {where}"
    if kind is Kind.LAW_OF_VIOLATED and len(members) > 1:
        where = first_few(list(dict.fromkeys(map(_about, members))), 5)
        of = f"{plural(len(members), 'subject')} whose claims say how"
        return f"laws changed of {of}: {where}; plainest: {members[0].text}"
    return members[0].text + (f" (and {len(members) - 1} more)" if len(members) > 1 else "")
