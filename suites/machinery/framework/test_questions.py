"""Questions on pytest's marks: which claims they plan."""

from __future__ import annotations

from types import SimpleNamespace

from fixtures.record.question import Question
from suites.framework.questions import asks, planned_claims


def test_a_test_that_asks_nothing_plans_nothing(request):
    assert planned_claims([request.node]) == ()


@asks("weights.of_no_plan", lambda tier, run_seed, devices: (), lambda subject: ())
def a_test_of_a_newer_suite(case):
    """Asks about cases that an older plan does not know."""


def test_a_test_that_the_plan_knows_no_case_of_plans_nothing():
    # pytest calls such a test once, with a placeholder, and skips it.
    placeholder = SimpleNamespace(params={"case": object()})
    item = SimpleNamespace(callspec=placeholder, get_closest_marker=lambda name: a_test_of_a_newer_suite.pytestmark[0])

    assert planned_claims([item]) == ()


def test_a_question_about_something_names_it():
    assert Question("weights.contract.mode", "refuses a mode").about("kaiming_normal_") == Question(
        "weights.contract.mode", "kaiming_normal_ refuses a mode"
    )
