"""The verdict as JUnit XML: every claim is a case, and any text from a run file leaves it well formed."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.renderers.junit import gate_junit
from suites.machinery.making.model_records import candidate_record, faulty_records, records
from suites.machinery.making.runs import claim, plan, run, subject, undecided, violated
from suites.machinery.making.times import pairing, regressed, timed, unclear
from suites.machinery.making.views import view_of


def cases_of(baseline, candidate, **fields):
    """The suite, and (classname, name) -> case."""
    suite = ElementTree.fromstring(gate_junit(view_of(baseline, candidate, **fields))).find("testsuite")  # noqa: S314
    found = {(case.get("classname"), case.get("name")): case for case in suite}
    assert len(found) == int(suite.get("tests")) == len(suite)
    return suite, found


KEY = subject().key


def test_every_claim_is_a_case():
    claims = [claim(), claim("weights.marginal.shape"), claim(dtype="bfloat16")]
    suite, cases = cases_of(run(*claims), run(*claims))

    assert (suite.get("failures"), suite.get("skipped"), suite.get("errors")) == ("0", "0", "0")
    assert set(cases) == {(one.family, one.subject.key) for one in claims}
    assert all(len(case) == 0 for case in cases.values())


def test_a_stop_is_a_failure_with_both_sides_in_numbers():
    suite, cases = cases_of(run(claim()), run(violated()))
    failure = cases["weights.marginal.scale", KEY].find("failure")

    assert suite.get("failures") == "1"
    assert failure.text.splitlines() == [
        "new violation",
        "baseline: holds: std = gain / sqrt(fan); measured 0.01% of the promised std (p = 0.4)",
        "candidate: violated: std = gain / sqrt(fan); measured -0.7% of the promised std (p < 1e-300)",
    ]


def test_a_notice_passes_and_no_evidence_is_an_error():
    asked = plan([claim().id, claim(dtype="bfloat16").id])
    after = run(undecided(), plan=asked)
    suite, cases = cases_of(run(claim(), claim(dtype="bfloat16")), after)

    assert cases["weights.marginal.scale", KEY].find("system-out") is not None
    assert cases["weights.marginal.scale", subject("bfloat16").key].find("error") is not None
    assert (suite.get("failures"), suite.get("errors")) == ("0", "2"), "the second: no claim was judged on both sides"


def test_what_neither_side_could_tell_is_skipped_with_its_note():
    asked = claim(), undecided("too few draws", dtype="bfloat16")
    suite, cases = cases_of(run(*asked), run(*asked))

    skipped = cases["weights.marginal.scale", subject("bfloat16").key].find("skipped")
    assert "too few draws" in skipped.get("message")
    assert suite.get("skipped") == "1"


def test_what_is_no_claim_is_a_case_of_its_own():
    times = pairing(timed(), regressed(), unclear())
    _, cases = cases_of(run(claim()), run(claim(), torch="2.14.1+cpu"), pairing=times)

    assert cases["speed", "speed.regressed: init/slow"].find("failure") is not None
    assert cases["speed", "speed.unclear: init/noisy"].find("error") is not None


@pytest.mark.parametrize("text", ["<failure/>", "]]>", "\x00\x0b\x1b[31m", "\ud800", "&amp;"])
def test_hostile_text_stays_text(text):
    evil = subject(layout=text)
    suite, _ = cases_of(run(claim(subject=evil)), run(violated(subject=evil, note=text)))

    assert suite.get("failures") == "1"
    assert len(suite[0]) == 1


@pytest.mark.pages
@given(st.text())
def test_any_text_leaves_it_well_formed(text):
    cases_of(run(claim(statement=text)), run(violated(note=text, statement=text)))


def test_ones_own_model_is_a_case_for_each_reason_and_one_that_passes_where_nothing_stops():
    sides = run(claim()), run(claim(), torch="2.14.1+cpu")
    _, healthy = cases_of(*sides, model=records())
    suite, faulty = cases_of(*sides, model=faulty_records())

    assert (
        healthy["model", "my_model.py"]
        .find("system-out")
        .text.startswith("differences are rounding: the largest is 0.1")
    )
    assert suite.get("failures") == "3"
    assert faulty["model", "model.numbers: blocks.0.act"].find("failure").text.startswith("`blocks.0.act` (GELU, ")
    assert ("model", "my_model.py") not in faulty


def test_reasons_that_are_about_one_thing_are_cases_of_their_own():
    both = records(None, candidate_record(cut=("one thing", "another")))
    _, cases = cases_of(run(claim()), run(claim(), torch="2.14.1+cpu"), model=both)

    assert {name for family, name in cases if family == "model" and "cut" in name} == {
        "model.cut: (model)",
        "model.cut: left out: another (candidate alone)",
    }
