"""Waivers of a verdict: findings are excused for a while, and never in silence."""

from __future__ import annotations

from datetime import date

import pytest

from fixtures.rules.waivers import read_waivers
from reports.verdict.gate import gate
from reports.verdict.reasons import Outcome
from suites.machinery.making.runs import claim, run, violated
from suites.machinery.making.times import pairing, regressed, timed, unclear

TODAY = date(2026, 6, 1)

FILLED_IN = {
    "<who answers for this>": "optimization team",
    '"<YYYY-MM-DD, without quotes>"': "2026-12-31",
    "<why it may pass>": "known upstream, mended in the next release",
    "<where it is discussed>": "https://example.org/1",
}

WAIVER = """\
[[waiver]]
id = "half"
claims = ["weights.marginal.*"]
subject = { dtype = ["bfloat16"] }
owner = "optimization team"
expires = 2026-12-31
reason = "known upstream"
reference = "https://example.org/1"
"""


@pytest.fixture
def waivers(tmp_path):
    """Read waivers of this text."""

    def read(text, today=TODAY):
        (tmp_path / "waivers.toml").write_text(text)
        return read_waivers(tmp_path / "waivers.toml", today)

    return read


BEFORE = run(claim(dtype="bfloat16"), claim(), claim("weights.marginal.shape", "bfloat16"))
AFTER = run(violated(dtype="bfloat16"), claim(), claim("weights.marginal.shape", "bfloat16"), torch="2.14.1+cpu")


def told(verdict):
    return [(reason.outcome, reason.kind, reason.waived) for reason in verdict.reasons]


def test_a_waived_stop_is_a_notice_that_names_its_waiver(waivers):
    verdict = gate(BEFORE, AFTER, waivers=waivers(WAIVER))

    assert gate(BEFORE, AFTER).outcome is Outcome.STOP
    assert verdict.outcome is Outcome.NOTICE
    assert told(verdict) == [(Outcome.NOTICE, "conformance.new", ("half",))]
    assert verdict.stanza is None


def test_what_a_waiver_does_not_cover_still_stops(waivers):
    after = run(violated(dtype="bfloat16"), violated(), claim("weights.marginal.shape", "bfloat16"))
    verdict = gate(BEFORE, after, waivers=waivers(WAIVER))

    assert told(verdict) == [
        (Outcome.STOP, "conformance.new", ()),
        (Outcome.NOTICE, "conformance.new", ("half",)),
    ]


def test_what_is_waived_comes_before_the_other_notices(waivers):
    known = {"known": "of-both", "dtype": "float16"}
    before = run(claim(dtype="bfloat16"), violated(**known))
    after = run(violated(dtype="bfloat16"), violated(**known), torch="2.14.1+cpu")
    times = pairing(timed(), regressed())
    slower = WAIVER.replace('"half"', '"slower"').replace("weights.marginal.*", "speed.regressed")
    slower = slower.replace('dtype = ["bfloat16"]', 'workload = ["init/slow"]')
    unused = slower.replace('"slower"', '"unused"').replace("init/slow", "init/gone")

    verdict = gate(before, after, pairing=times, waivers=waivers(WAIVER + slower + unused))

    assert {reason.outcome for reason in verdict.reasons} == {Outcome.NOTICE}
    assert [reason.waived for reason in verdict.reasons] == [("half",), ("slower",), (), ()]
    assert [reason.kind for reason in verdict.reasons][2:] == ["waiver.unused", "conformance.registered"]


def test_an_expired_waiver_stops_by_itself(waivers):
    verdict = gate(BEFORE, AFTER, waivers=waivers(WAIVER, date(2027, 1, 1)))

    assert told(verdict) == [(Outcome.STOP, "conformance.new", ()), (Outcome.STOP, "waiver.expired", ())]
    assert verdict.reasons[1].text == ("the waiver half of optimization team expired on 2026-12-31: known upstream")
    assert gate(BEFORE, BEFORE, waivers=waivers(WAIVER, date(2027, 1, 1))).outcome is Outcome.STOP


def test_an_unused_waiver_is_a_notice(waivers):
    verdict = gate(BEFORE, BEFORE, waivers=waivers(WAIVER))

    assert told(verdict) == [(Outcome.NOTICE, "waiver.unused", ())]


def test_the_stanza_waives_what_it_was_printed_for(waivers):
    text = gate(BEFORE, AFTER).stanza
    for placeholder, value in FILLED_IN.items():
        text = text.replace(placeholder, value)
    verdict = gate(BEFORE, AFTER, waivers=waivers(text))

    assert verdict.outcome is Outcome.NOTICE
    assert verdict.reasons[0].waived


def test_times_are_waived_by_workload(waivers):
    slower = """\
[[waiver]]
id = "slower"
claims = ["speed.*"]
subject = { workload = ["init/slow", "init/noisy"] }
owner = "optimization team"
expires = 2026-12-31
reason = "accepted"
reference = "https://example.org/2"
"""
    times = pairing(timed(), regressed(), unclear())
    other = run(claim(), torch="2.14.1+cpu")

    assert gate(run(claim()), other, pairing=times).outcome is Outcome.STOP
    verdict = gate(run(claim()), other, pairing=times, waivers=waivers(slower))
    assert told(verdict) == [
        (Outcome.NOTICE, "speed.regressed", ("slower",)),
        (Outcome.NOTICE, "speed.unclear", ("slower",)),
    ]


def test_notices_need_no_waiver(waivers):
    both = run(violated(dtype="bfloat16"))
    verdict = gate(both, run(violated(dtype="bfloat16"), torch="2.14.1+cpu"), waivers=waivers(WAIVER))

    assert told(verdict) == [
        (Outcome.NOTICE, "waiver.unused", ()),
        (Outcome.NOTICE, "conformance.unregistered", ()),
    ]
