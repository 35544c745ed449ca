"""Chance of a false alarm: that a gate stops though both torches are healthy, summed over every test that was made.

Whoever owns a test states its chance (a `Look`); the policy says which of them may stop; their sum assumes nothing of
how they depend on each other (Bonferroni). What is exact (contracts, signatures) has no chance in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from fixtures.record.plan import Plan
from fixtures.rules.policy import Policy, Severity
from fixtures.statistics.judgement import FALSE_ALARM_PER_CLAIM
from fixtures.words.phrases import plural


class PromiseBroken(Exception):
    """A policy that lets more stop than the runs promised; the message is one line saying what to change."""


@dataclass(frozen=True)
class Look:
    """Tests that were made, whatever they found.

    Attributes:
        kinds: names in the policy of what they may find, such as "drift.law"; they may stop if one of these does.
        chance: at most, that one of them finds it where both sides are healthy.
        tests: how many they are.
    """

    kinds: tuple[str, ...]
    chance: float
    tests: int = 1

    @property
    def together(self) -> float:
        """Chance, at most, that any of them finds something."""
        return self.chance * self.tests


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Tests of one part of a gate that may stop it, and the chance, at most, that any does where all is healthy."""

    tests: int
    chance: float


class FalseAlarms(msgspec.Struct, frozen=True, kw_only=True):
    """Chance of a false alarm, part by part.

    Attributes:
        total: chance, at most, that two healthy torches are stopped: the sum of the parts.
        uncovered: what else may stop under this policy, and has no chance that could be stated.
    """

    claims: Part
    drift: Part
    speed: Part
    model: Part
    total: float
    uncovered: tuple[str, ...]


CLAIM_KINDS = tuple(f"conformance.{name}" for name in ("new", "worse", "unregistered", "registered", "unresolved"))
"""Classifications of a claim that the candidate violates by chance: it has one of these."""

UNCOVERED = {
    "conformance.lost": "claims that the candidate could not judge",
    "drift.numbers": "numbers of training, judged by measured rounding",
    "completeness.unanswered": "claims without an answer",
    "model.numbers": "numbers of your own model, judged by measured rounding",
}
"""Kinds that may stop a healthy pair by no chance that theory gives."""

FAILURES = "crashes and hangs"
"""These stop under every policy."""


def claim_looks(statistical: int) -> tuple[Look, ...]:
    """Looks at the candidate's statistical claims; a baseline that violates one by chance is mended, and stops nothing.

    That the candidate violates a claim has a chance of FALSE_ALARM_PER_CLAIM. What both sides violate, and only there,
    is stopped for growth beyond 8.64 standard errors (changes.py), 3e-18, in its place.
    """
    return (Look(CLAIM_KINDS, FALSE_ALARM_PER_CLAIM, statistical),)


def false_alarms(looks: Iterable[Look], policy: Policy, *, with_model: bool = False) -> FalseAlarms:
    """Add up the tests that may stop under this policy.

    Args:
        looks: tests that were made.
        policy: what each kind of finding makes of the verdict.
        with_model: whether a model of the user's was compared.
    """
    stopping = [look for look in looks if any(policy.severity(kind) is Severity.STOP for kind in look.kinds)]

    def part(table: str) -> Part:
        ours = [look for look in stopping if look.kinds[0].startswith(f"{table}.")]
        return Part(tests=sum(look.tests for look in ours), chance=min(1.0, sum(look.together for look in ours)))

    claims, drift, speed, model = part("conformance"), part("drift"), part("speed"), part("model")
    made = (kind for kind in UNCOVERED if with_model or not kind.startswith("model."))
    others = (UNCOVERED[kind] for kind in made if policy.severity(kind) is Severity.STOP)
    return FalseAlarms(
        claims=claims,
        drift=drift,
        speed=speed,
        model=model,
        total=min(1.0, claims.chance + drift.chance + speed.chance + model.chance),
        uncovered=(*others, FAILURES),
    )


def refuse_broken_promise(found: FalseAlarms, plan: Plan | None) -> None:
    """Hold a gate to what its runs promised of all that is drawn.

    Times are not drawn: their chance is bounded whatever the machine's noise is, and on a quiet one far below the bound
    (fixtures/clock/estimate.py), so that no promise of a run could hold it.

    Raises:
        PromiseBroken: this policy lets more tests stop than fit in.
    """
    drawn = found.claims.chance + found.drift.chance + found.model.chance
    # Sums of the same terms in another order differ in their last digits.
    if plan is not None and drawn > plan.false_alarm_rate * (1 + 1e-9):
        tables = "[drift] or [model]" if found.model.tests else "[drift]"
        raise PromiseBroken(
            f"this policy stops two healthy torches with chance {drawn:.1e}, more than the {plan.false_alarm_rate:g} "
            f"that the runs promised: let less stop under {tables}, or accept more (--false-alarm-rate)"
        )


def in_words(found: FalseAlarms) -> tuple[str, str]:
    """One sentence with all parts, and one on what is not in it."""
    parts = {"claims": found.claims, "drift": found.drift, "speed": found.speed}
    if found.model.tests:
        parts["your model"] = found.model
    listed = ", ".join(f"{name} {_chance(part.chance)} ({plural(part.tests, 'test')})" for name, part in parts.items())
    return (
        f"two healthy torches are stopped with chance {_chance(found.total)} at most: {listed}",
        f"not in it: {'; '.join(found.uncovered)}",
    )


def _chance(value: float) -> str:
    return f"{value:.1e}" if value else "0"
