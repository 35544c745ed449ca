"""What the initializers promise exactly: one counterexample is a violation."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.drawing import initialize
from fixtures.subjects import Subject
from reports.records import Case
from suites.asking import ExactQuestion, asks

TOO_FEW = "weights.contract.dimensions"
EXAMPLES = 50
"""The space is small: no dimension, or one of some length; fifty examples meet the ends and a good part of it."""


def cases(tier, run_seed, devices):
    for device in devices:
        for initializer in ("kaiming_normal_", "kaiming_uniform_"):
            subject = Subject(initializer, shape=(), device=device)
            yield Case(family=TOO_FEW, subject=subject, draws=0, resolution=0.0)


def dimension_questions(subject):
    yield ExactQuestion(TOO_FEW, f"{subject.initializer} refuses a tensor of fewer than two dimensions by ValueError")


@asks(TOO_FEW, cases, dimension_questions)
def test_fewer_than_two_dimensions_are_refused(case, findings, target):
    (question,) = dimension_questions(case.subject)

    @settings(database=None, max_examples=EXAMPLES, deadline=None)
    @given(shape=st.lists(st.integers(1, 64), max_size=1))
    def is_refused(shape):
        try:
            initialize(torch.zeros(shape), case.subject, target)
        except ValueError:
            return
        raise AssertionError(f"shape {tuple(shape)} was accepted")

    findings.exact(question, counterexample(is_refused), EXAMPLES)


def counterexample(exact_property):
    """The counterexample that Hypothesis found, in words; None if it found none."""
    try:
        exact_property()
    except AssertionError as error:
        return str(error).splitlines()[0]
    return None
