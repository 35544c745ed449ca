"""A check becomes a finding: what it asserts in vain, and what the target raises, is told in one line."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
from hypothesis import strategies as st

from fixtures.record.claim import Effect, Reading, Unit, Verdict
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from suites.framework.exact_claims import Inconclusive, exact_case, settle
from suites.framework.findings import Findings
from suites.framework.statistical_claims import judge_what_is_drawn

FAMILY = "weights.contract.example"
QUESTION = Question(FAMILY, "numbers are small")


def fresh_findings():
    case = exact_case(FAMILY, Subject("kaiming_normal_", ()))
    return Findings(case, (QUESTION,), run_seed=1, torch_version="2.14.1", known=(), rerun="")


@pytest.fixture
def findings():
    return fresh_findings()


def only(findings):
    (claim,) = findings.claims
    return claim


def test_a_check_that_passes_holds_with_its_fact(findings):
    settle(findings, QUESTION, lambda: None, note="true fan_in 9; torch uses 18", effect=Effect(2.0, Unit.TRUE_FAN_IN))

    claim = only(findings)
    assert (claim.verdict, claim.n) == (Verdict.HOLDS, 1)
    assert (claim.note, claim.effect) == ("true fan_in 9; torch uses 18", Effect(2.0, Unit.TRUE_FAN_IN))


def test_a_failed_assertion_is_told_in_its_own_words(findings):
    def check():
        raise AssertionError("shape (0, 3): written\nassert 1 == 2")

    settle(findings, QUESTION, check, note="a fact")

    claim = only(findings)
    assert (claim.verdict, claim.note) == (Verdict.VIOLATED, "shape (0, 3): written")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TypeError("no bfloat16\nhere"), "raised TypeError: no bfloat16"),
        (RuntimeError(), "raised RuntimeError: no reason given"),
    ],
)
def test_any_exception_is_a_counterexample(findings, error, words):
    def check():
        raise error

    settle(findings, QUESTION, check)

    claim = only(findings)
    assert (claim.verdict, claim.note) == (Verdict.VIOLATED, words)


def test_a_check_that_cannot_tell_is_no_evidence(findings):
    def check():
        raise Inconclusive("draws of one seed are not proportional here")

    settle(findings, QUESTION, check)

    claim = only(findings)
    assert (claim.verdict, claim.note) == (Verdict.NO_EVIDENCE, "draws of one seed are not proportional here")


def test_a_warning_is_no_counterexample(findings):
    settle(findings, QUESTION, lambda: warnings.warn("soon to be removed", FutureWarning, stacklevel=1))

    assert only(findings).verdict is Verdict.HOLDS


@pytest.mark.inner_pytest
def test_the_smallest_counterexample_of_a_space_is_told(findings):
    def is_small(number):
        assert number < 17, f"{number} is not small"

    settle(findings, QUESTION, is_small, 100, number=st.integers(0, 1000))

    assert only(findings).note == "17 is not small"


def test_all_examples_of_a_space_are_tried_and_counted(findings):
    numbers = []

    settle(findings, QUESTION, lambda number: numbers.append(number), 30, number=st.integers())

    assert only(findings).n == len(numbers) == 30


def test_one_seed_gives_the_same_examples():
    seen = []
    for _ in range(2):
        numbers = []
        settle(fresh_findings(), QUESTION, lambda number, numbers=numbers: numbers.append(number), number=st.integers())
        seen.append(numbers)

    assert seen[0] == seen[1]


def test_a_check_that_cannot_tell_of_a_space_is_no_evidence(findings):
    def check(**_drawn):
        raise Inconclusive("not proportional")

    settle(findings, QUESTION, check, 10, number=st.integers())

    assert only(findings).verdict is Verdict.NO_EVIDENCE


def raise_error(*_drawn):
    raise OSError("no weights today")


def test_a_target_that_raises_instead_of_drawing_violates_all_that_is_asked(findings):
    questions = [replace(QUESTION, read=lambda drawn: Reading(n=1, p=1.0))] * 2

    judge_what_is_drawn(findings, raise_error, questions)

    told = [(claim.verdict, claim.note) for claim in findings.claims]
    assert told == [(Verdict.VIOLATED, "raised OSError: no weights today")] * 2


def test_a_target_that_raises_at_the_confirmation_violates_what_is_confirmed(findings):
    def gather(draws, seed):
        return raise_error(draws, seed) if seed == findings.seed("confirm") else "drawn"

    judge_what_is_drawn(findings, gather, [replace(QUESTION, read=lambda drawn: Reading(n=1, p=1e-5))])

    assert only(findings).note == "raised OSError: no weights today"
