"""What a verdict is made of: outcomes and the reasons for them."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """The verdict in one word, the weakest first."""

    PASS = "pass"
    NOTICE = "notice"
    NO_EVIDENCE = "no evidence"
    STOP = "stop"

    @property
    def exit_code(self) -> int:
        """0 the upgrade may go ahead, 1 it may not, 2 nobody knows."""
        return {Outcome.STOP: 1, Outcome.NO_EVIDENCE: 2}.get(self, 0)

    @property
    def weight(self) -> int:
        """Larger wins where several parts have an opinion."""
        return list(Outcome).index(self)


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the verdict rests on.

    Attributes:
        outcome: what this alone would make of the verdict.
        kind: what the policy calls it, such as "conformance.new"; one that no policy changes has no table there.
        text: one sentence, with effects in natural units.
        claims: how many claims it is about; 0 for a reason that is not about claims.
        names: what it is about: claim ids, subject keys, workloads.
        details: lines to show below it, such as the last output of a candidate that crashed.
        waived: the waivers that made a notice of it, by id.
    """

    outcome: Outcome
    kind: str
    text: str
    claims: int = 0
    names: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    waived: tuple[str, ...] = ()
