"""No claim holds that could not have seen what its case promises to resolve."""

from __future__ import annotations

import msgspec
import pytest

from fixtures.record.claim import Effect, Reading, Unit, Verdict
from suites.framework.statistical_claims import DRAWN, as_promised, promised
from suites.machinery.chance import SURE, fresh_seed
from suites.machinery.making.answers import cases_of, findings_of, target_of
from suites.propagation import test_plain as suite

PLAIN = suite.test_signals_and_gradients_follow_their_law_at_every_layer


def sigmoid_claims(resolution=None):
    """Claims about sigmoid networks, by family; of a case that promises another resolution if one is given."""
    (case,) = cases_of(PLAIN, lambda subject: subject.what.activation == "sigmoid")
    if resolution is not None:
        case = msgspec.structs.replace(case, resolution=resolution)
    findings = findings_of(PLAIN, case, fresh_seed())
    PLAIN(case, findings, target_of())
    return {claim.family: claim for claim in findings.claims}


@pytest.mark.inner_pytest
@SURE
def test_sigmoid_networks_show_what_they_promise():
    assert {claim.verdict for claim in sigmoid_claims().values()} == {Verdict.HOLDS}


@pytest.mark.inner_pytest
@SURE
def test_sigmoid_networks_are_no_evidence_of_what_they_were_promised_to_show_before():
    claims = sigmoid_claims(resolution=0.05)

    blind = claims["propagation.forward.layer"]
    assert blind.verdict is Verdict.NO_EVIDENCE
    assert (blind.note or "").endswith("% of the promised std would be seen at best, 5% was promised")
    assert claims["propagation.backward.layer"].verdict is Verdict.HOLDS
    assert claims["propagation.forward.scale"].verdict is Verdict.HOLDS


@pytest.mark.parametrize(("detectable", "is_blind"), [(4.9, False), (5.0, False), (5.1, True)])
def test_a_reading_is_blind_beyond_its_promise(detectable, is_blind):
    reading = Reading(n=9, p=0.5, detectable=Effect(detectable, Unit.STD))

    assert bool(as_promised(reading, 0.05).blind) is is_blind


def test_a_promise_leaves_room_for_what_is_lost():
    assert promised(0.09) == pytest.approx(0.09 / DRAWN)
    assert promised(0.09, left=0.25) == pytest.approx(2 * promised(0.09))
