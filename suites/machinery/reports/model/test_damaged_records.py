"""Whatever lies in a model.json: a comparison, or one line that says what is wrong; never an error of our own."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.record.file_names import MODEL
from fixtures.rules.policy import default_policy
from reports.model import Recorded, Records, compared_models, read_records
from reports.model.kinds import Kind
from reports.verdict.gate import gate
from reports.verdict.reasons import Outcome
from reports.view.model import model_view
from suites.machinery.costs import examples
from suites.machinery.making.model_records import candidate_record, record
from suites.machinery.making.runs import claim, run

SIDES = {"baseline": record(), "candidate": candidate_record()}

NUMBERS = st.sampled_from([None, 0.0, -0.0, 1e308, -1e308, 5e-324, 1e-300, -1, 0, 1, 7, 2**53, 2**53 + 1, 10**30, True])

HOSTILE = st.one_of(
    NUMBERS,
    st.sampled_from(["", "\x1b[31m", "\u202e", "float64", "(model)", [], {}, [[]], [None], "NaN"]),
    st.lists(NUMBERS, max_size=3),
)


def changed(document, data):
    """Put another value at some place in a document."""
    inner = document
    while True:
        key = data.draw(st.sampled_from(range(len(inner)) if isinstance(inner, list) else sorted(inner)), label="key")
        if not isinstance(inner[key], dict | list) or not inner[key] or data.draw(st.integers(0, 9), label="here") == 0:
            # A copy: a list that is drawn again must not hold what was put into it.
            inner[key] = copy.deepcopy(data.draw(HOSTILE, label="value"))
            return document
        inner = inner[key]


@pytest.mark.large_draws
@settings(max_examples=examples(300))
@given(data=st.data())
def test_values_that_were_changed_give_a_comparison_or_one_line(data):
    side = data.draw(st.sampled_from(list(SIDES)), label="side")
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: Path(scratch, name) for name in SIDES}
        for name, made in SIDES.items():
            folders[name].mkdir()
            document = json.loads(msgspec.json.encode(made))
            if name == side:
                for _ in range(data.draw(st.integers(1, 3), label="changes")):
                    document = changed(document, data)
            (folders[name] / MODEL).write_text(json.dumps(document))
        records = read_records(**folders)

    verdict = gate(run(claim()), run(claim(), torch="2.14.1+cpu"), model=records)
    complaint = getattr(records, side).complaint

    assert "\n" not in complaint
    assert model_view(verdict) is not None
    assert msgspec.json.encode(verdict)
    assert not complaint or verdict.outcome is Outcome.NO_EVIDENCE


def test_a_kind_that_the_policy_lacks_cannot_be():
    assert {kind.value for kind in Kind} == set(msgspec.structs.asdict(default_policy().model))


def test_a_record_that_cannot_be_read_on_both_sides_is_compared_to_nothing():
    made = compared_models(Records(Recorded(None, "a"), Recorded(None, "b")), (None, None))

    assert [one.kind for one in made.findings] == [Kind.UNASKED] * 2
