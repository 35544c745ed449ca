"""Drift: its kinds, and the standing of a subject with the claims about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from fixtures.record.claim import Effect
from fixtures.record.run_folder import Run
from fixtures.record.subject import Subject
from fixtures.rules.known_violations import NAME
from reports.comparison.changes import ClaimChange
from reports.comparison.kinds import Kinds


class Kind(Kinds):
    """Kinds of drift by their names in the policy, in the order in which a reader wants them.

    Attributes:
        tag: word for it on the page; empty for what is no drift to a reader.
        apart: whether each initializer and dtype, or each function, is a finding of its own. What changed
            the law of violated subjects is not: their claims tell it, and one defect is one reason.
        everywhere: whether one change may show in every subject; such kinds leave the page's room to the others.
    """

    tag: str
    apart: bool
    everywhere: bool

    LAW = "law", "law", True, False  # weights are distributed otherwise
    LAW_OF_VIOLATED = "law_of_violated", "law", False, False  # the same, where a claim about the subject is violated
    GRID = "grid", "values", True, False  # weights take other values
    NUMBERS = "numbers", "numbers", True, False  # training from the same numbers came out differently
    EFFECT = "effect", "effect", True, False  # of initialization on learning, over seeds
    SIGNATURE = "signature", "signature", True, False  # a call that worked may fail, or mean something else
    STREAM = "stream", "stream", False, True  # a fixed seed gives other weights
    NUMBERS_ROUNDING = "numbers_rounding", "rounding", False, True  # NUMBERS by no more than rounding explains
    SIGNATURE_ADDED = "signature_added", "new signature", False, False  # calls work that did not
    MESSAGE = "message", "message", False, False  # another warning or error
    UNCOMPARED = "uncompared", "not compared", False, False  # one side has nothing, or nothing readable
    SAME_STREAM = "same_stream", "", False, False  # a core subject's draws are bit for bit the same


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that differs between two runs, or that was found not to.

    Attributes:
        kind: its kind; never LAW_OF_VIOLATED, which `policy_kind` tells from LAW.
        subject: key of the subject, or a readable name such as "torch.nn.init.kaiming_normal_".
        text: one sentence with the effect in natural units; it may hold text from run files.
        p: exact p-value of a law or grid, or an upper bound, joined over all that was looked at.
        effect: its size.
        conforms: whether the claims about this subject hold on both sides. Otherwise conformance tells the story, and
            what drifted is its consequence.
        fields: what waivers match: the fields of the subject, or {"name": ...}.
        rerun: for a law or a grid, the commands that draw both sides' weights again, the baseline's first.
    """

    kind: Kind
    subject: str
    text: str
    p: float | None = None
    effect: Effect | None = None
    conforms: bool = True
    fields: dict[str, str]
    rerun: tuple[str, ...] = ()

    @property
    def policy_kind(self) -> Kind:
        """The kind by which the policy decides: what changed the law of a violated subject, its claims tell."""
        return Kind.LAW_OF_VIOLATED if self.kind is Kind.LAW and not self.conforms else self.kind


CONTRACT = "weights.contract."
"""Families of claims about how an initializer is called, and what it refuses."""


@dataclass(frozen=True)
class Standing:
    """Violations of claims on either side, and whether what is missing has been explained.

    Attributes:
        subjects: keys of subjects.
        callables: initializers whose contract is violated, by name.
        cut_short: whether a run failed.
    """

    subjects: frozenset[str]
    callables: frozenset[str]
    cut_short: bool

    @staticmethod
    def of(baseline: Run, candidate: Run, changes: Iterable[ClaimChange]) -> Standing:
        """Gather violations from the classification of each claim."""
        violated = [claim for change in changes if (claim := change.violation)]
        return Standing(
            subjects=frozenset(claim.subject.key for claim in violated),
            callables=frozenset(claim.subject.name for claim in violated if claim.family.startswith(CONTRACT)),
            cut_short=bool(baseline.failure or candidate.failure),
        )

    def conforms(self, subject: Subject) -> bool:
        """Tell whether the claims about a subject hold on both sides."""
        return subject.key not in self.subjects

    def about_subject(self, kind: Kind, subject: Subject, text: str, **rest: Any) -> Drift:
        """A drift of a subject; `rest` are other fields of it."""
        conforms = self.conforms(subject)
        return Drift(kind=kind, subject=subject.key, text=text, conforms=conforms, fields=subject.fields, **rest)

    def about_key(self, kind: Kind, key: str, text: str, p: float | None = None) -> Drift:
        """A drift of what is known by a key alone.

        Args:
            kind: its kind.
            key: of the subject.
            text: one sentence.
            p: p-value, where there is one.
        """
        return Drift(kind=kind, subject=key, text=text, p=p, conforms=key not in self.subjects, fields={NAME: key})

    def about_function(self, kind: Kind, name: str, text: str, call: str | None = None) -> Drift:
        """A drift of how a function of the target is called or answers.

        Args:
            kind: its kind.
            name: dotted name of the function.
            text: one sentence.
            call: the call that is answered; None where the function itself has changed.
        """
        conforms = name.rpartition(".")[2] not in self.callables
        return Drift(kind=kind, subject=call or name, text=text, conforms=conforms, fields={"name": name})
