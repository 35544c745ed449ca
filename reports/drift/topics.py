"""Drifts joined into what a reader thinks of as one finding, and into what the policy has one word for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fixtures.words.wording import first_few, plural
from reports.drift.kinds import Drift


@dataclass(frozen=True)
class Topic:
    """Drifts that make one reason.

    Attributes:
        kind: what the policy calls it, within its table "drift".
        text: one sentence.
        members: the drifts, the plainest first.
    """

    kind: str
    text: str
    members: tuple[Drift, ...]


POLICY_KINDS = (
    "law",
    "law_of_violated",
    "grid",
    "numbers",
    "effect",
    "signature",
    "stream",
    "numbers_rounding",
    "signature_added",
    "message",
    "uncompared",
)
"""In the order in which a reader wants them. That nothing changed ("same_stream") is no reason for anything."""


def topics(found: Iterable[Drift], digests: int) -> list[Topic]:
    """Laws and grids by initializer and dtype, signatures by function, everything else by kind.

    Args:
        found: what drifted.
        digests: how many subjects have a fixed-seed digest on both sides.
    """
    groups: dict[tuple[str, str], list[Drift]] = {}
    for drift in found:
        kind = policy_kind(drift)
        if kind in POLICY_KINDS:
            groups.setdefault((kind, _about(drift) if kind in TOLD_APART else ""), []).append(drift)
    listed = [
        Topic(kind, _in_words(kind, members, digests), tuple(members))
        for (kind, _), group in groups.items()
        for members in [sorted(group, key=lambda drift: 1.0 if drift.p is None else drift.p)]
    ]
    return sorted(listed, key=lambda topic: POLICY_KINDS.index(topic.kind))


def policy_kind(drift: Drift) -> str:
    """What the policy calls a drift."""
    return "law_of_violated" if drift.kind == "law" and not drift.conforms else drift.kind


TOLD_APART = ("law", "grid", "numbers", "effect", "signature")
"""Kinds of which each initializer and dtype is a finding of its own. What changed the law of violated subjects is told
by their claims: one defect is one reason, however many subjects it shows in."""


def _about(drift: Drift) -> str:
    """Initializer and dtype, or what else it is about."""
    fields = drift.fields
    if "initializer" not in fields:
        return drift.subject
    return f"{fields['initializer'].partition('(')[0]} in {fields['dtype']}"


def _in_words(kind: str, members: list[Drift], digests: int) -> str:
    if kind == "stream":
        of = f"{len(members)} of {plural(digests, 'subject')}"
        where = first_few(list(dict.fromkeys(map(_about, members))), 5)
        return f"stream changed: the same seed gives other weights for {of}: {where}"
    if kind == "law_of_violated" and len(members) > 1:
        where = first_few(list(dict.fromkeys(map(_about, members))), 5)
        of = f"{plural(len(members), 'subject')} whose claims say how"
        return f"laws changed of {of}: {where}; plainest: {members[0].text}"
    return members[0].text + (f" (and {len(members) - 1} more)" if len(members) > 1 else "")
