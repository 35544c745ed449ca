"""A user's own model in the verdict: severities, order, waivers, chance of a false alarm, and missing records."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from fixtures.model.levels import FALSE_ALARM
from fixtures.model.results import ROOT
from fixtures.rules.policy import Severity, default_policy
from fixtures.rules.waivers import read_waivers
from reports.comparison.false_alarms import PromiseBroken, in_words
from reports.model import Recorded, Records
from reports.model.kinds import Kind
from reports.verdict.gate import gate
from reports.verdict.reasons import Area, Outcome, area_of
from suites.machinery.making.model_records import (
    candidate_record,
    initialization,
    record,
    records,
    training,
    trouble,
    with_error,
    with_module,
    with_tensor,
)
from suites.machinery.making.runs import claim, failure, plan, run, violated
from suites.machinery.making.times import pairing, regressed

BEFORE, AFTER = run(claim()), run(claim(), torch="2.14.1+cpu")


def judged(candidate=None, baseline=None, **fields):
    return gate(BEFORE, AFTER, model=records(baseline, candidate), **fields)


def told(verdict):
    return [(reason.outcome, reason.kind) for reason in verdict.reasons]


def replaced(made, **fields):
    return msgspec.structs.replace(made, **fields)


FAULTS = {
    Kind.BROKEN: candidate_record(numbers=None, troubles=(trouble(),)),
    Kind.DIFFERS: with_tensor(candidate_record(), "head.weight", shape=(10, 255)),
    Kind.UNWRITTEN: with_tensor(candidate_record(), "head.bias", unwritten=10),
    Kind.NUMBERS: with_error(candidate_record(), "blocks.0.act", 168.0),
    Kind.LAW: with_tensor(candidate_record(), "blocks.0.norm.weight", is_constant=False),
    Kind.TRAINING: candidate_record(training=training(leaves_at=2)),
    Kind.UNASKED: candidate_record(seed=18),
    Kind.BOTH: with_module(candidate_record(), "head", unasked="an argument is a set", tensors=()),
    Kind.INSIDE: with_module(candidate_record(), "head", unasked="alone it raises TypeError", tensors=()),
    Kind.UNREPEATABLE: candidate_record(initialization=initialization(0.5, is_repeatable=False)),
    Kind.STREAM: candidate_record(),
    Kind.CUT: candidate_record(cut=("training: a step takes 90 s",)),
}
"""A candidate by the kind that sees what is wrong with it."""

BASELINES = {Kind.BOTH: with_module(record(), "head", unasked="an argument is a set", tensors=())}

OUTCOMES = {Severity.STOP: Outcome.STOP, Severity.NO_EVIDENCE: Outcome.NO_EVIDENCE, Severity.NOTICE: Outcome.NOTICE}


def test_the_same_model_passes():
    same = candidate_record(initialization=initialization())

    assert (judged(same).outcome, judged(same).reasons) == (Outcome.PASS, ())


def test_two_healthy_torches_pass_with_a_notice_of_the_stream():
    assert told(judged()) == [(Outcome.NOTICE, "model.stream")]


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_of_finding_is_found_and_weighs_what_the_policy_says(kind):
    verdict = judged(FAULTS[kind], BASELINES.get(kind))
    (reason,) = (one for one in verdict.reasons if one.kind == kind.policy_key)

    assert reason.outcome is OUTCOMES[default_policy().severity(kind.policy_key)]
    assert verdict.outcome is reason.outcome
    assert not {one.kind for one in verdict.reasons if one.outcome is not Outcome.NOTICE} - {kind.policy_key}


@pytest.mark.parametrize("kind", Kind)
def test_a_policy_decides_what_a_kind_weighs(kind):
    policy = default_policy()
    tables = dict.fromkeys(msgspec.structs.asdict(policy.model), Severity.IGNORE)
    strict = replaced(policy, model=replaced(policy.model, **tables | {kind.value: Severity.STOP}))

    verdict = judged(FAULTS[kind], BASELINES.get(kind), policy=strict)

    assert set(told(verdict)) == {(Outcome.STOP, kind.policy_key)}
    assert (
        told(judged(FAULTS[kind], BASELINES.get(kind), policy=replaced(strict, model=replaced(policy.model, **tables))))
        == []
    )


def test_ones_own_model_comes_before_what_weighs_as_much_and_after_a_side_that_failed():
    after = run(violated(), torch="2.14.1+cpu", failure=failure())
    verdict = gate(BEFORE, after, model=records(None, FAULTS[Kind.NUMBERS]), pairing=pairing(regressed()))

    kinds = [reason.kind for reason in verdict.reasons if reason.outcome is Outcome.STOP]
    assert kinds == ["failure", "model.numbers", "conformance.new", "speed.regressed"]
    assert area_of("model.cut", ()) is Area.MODEL


def test_a_stop_outweighs_what_was_not_asked_of_the_model():
    both = with_error(candidate_record(cut=("training",), training=None), "head", 168.0)
    verdict = judged(both, record(training=None, troubles=(trouble("training", "it diverges"),)))

    assert told(verdict)[:2] == [(Outcome.STOP, "model.numbers"), (Outcome.NO_EVIDENCE, "model.unasked")]


# Records that are missing, or of something else


def unreadable(**sides):
    usual = {"baseline": Recorded(record()), "candidate": Recorded(candidate_record())}
    return Records(**usual | {side: Recorded(None, why) for side, why in sides.items()})


def test_a_record_that_is_missing_or_cannot_be_read_is_no_evidence():
    verdict = gate(BEFORE, AFTER, model=unreadable(candidate="it left no model.json"))

    assert [(one.kind, one.text) for one in verdict.reasons] == [
        ("model.unasked", "nothing is known of the model in the candidate: it left no model.json")
    ]
    assert verdict.exit_code == 2
    assert verdict.model.model == "my_model.py"


def test_where_no_side_has_a_record_both_say_so():
    verdict = gate(BEFORE, AFTER, model=unreadable(baseline="not JSON", candidate="not JSON"))

    assert [one.names for one in verdict.reasons] == [(ROOT,), (ROOT,)]
    assert (verdict.model.model, verdict.model.seed) == ("", None)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"seed": 18}, "the two records are not of one seed: 17 in the baseline and 18 in the candidate"),
        (
            {"model": "b.py"},
            "the two records are not of one model: my_model.py in the baseline and b.py in the candidate",
        ),
        ({"torch": "2.6.0"}, "the record of the candidate is of torch 2.6.0, and its run of 2.14.1+cpu"),
    ],
)
def test_records_of_something_else_are_no_evidence_and_nothing_is_compared(fields, says):
    verdict = judged(replaced(with_error(candidate_record(), "head", 168.0), **fields))

    assert [(one.outcome, one.text) for one in verdict.reasons] == [(Outcome.NO_EVIDENCE, says)]
    assert verdict.model.numbers is None


@pytest.mark.parametrize("stage", ["initialization", "numbers", "training"])
def test_a_stage_that_a_side_leaves_out_in_silence_is_no_evidence(stage):
    silent = judged(replaced(candidate_record(), **{stage: None}))
    both = judged(replaced(candidate_record(), **{stage: None}), replaced(record(), **{stage: None}))
    explained = judged(replaced(candidate_record(), **{stage: None}, cut=("too large",)))

    assert "was not recorded by the candidate, which does not say why" in silent.reasons[0].text
    assert "was not recorded by the baseline and the candidate" in both.reasons[0].text
    assert (silent.outcome, both.outcome, explained.outcome) == (
        *(Outcome.NO_EVIDENCE, Outcome.NO_EVIDENCE, Outcome.NOTICE),
    )


@pytest.mark.parametrize(("ours", "theirs", "kind"), [(0, 1, "broken"), (1, 0, "unasked"), (1, 1, "unasked")])
def test_a_trouble_of_the_candidate_alone_is_a_stop_and_any_of_the_baseline_no_evidence(ours, theirs, kind):
    baseline = record(troubles=(trouble(),) * ours, numbers=None if ours else record().numbers)
    candidate = candidate_record(troubles=(trouble(),) * theirs, numbers=None)
    reason = judged(candidate, baseline).reasons[0]

    assert reason.kind == f"model.{kind}"
    assert reason.text.startswith("running its modules fails ")
    assert reason.details == ("Traceback", "ValueError: no such layer")


# Waivers


FILLED_IN = {
    "<who answers for this>": "the model's team",
    '"<YYYY-MM-DD, without quotes>"': "2026-12-31",
    "<why it may pass>": "known upstream",
    "<where it is discussed>": "https://example.org/1",
}


@pytest.fixture
def waivers(tmp_path):
    """Read a stanza that somebody filled in."""

    def read(text):
        for placeholder, value in FILLED_IN.items():
            text = text.replace(placeholder, value)
        (tmp_path / "waivers.toml").write_text(text)
        return read_waivers(tmp_path / "waivers.toml", date(2026, 6, 1))

    return read


STOPS = [kind for kind in Kind if default_policy().severity(kind.policy_key) is Severity.STOP]


@pytest.mark.parametrize("kind", STOPS)
def test_the_stanza_waives_what_it_was_printed_for(waivers, kind):
    text = judged(FAULTS[kind]).stanza
    verdict = judged(FAULTS[kind], waivers=waivers(text))

    assert f'claims = ["model.{kind}"]' in text
    assert verdict.outcome is Outcome.NOTICE
    assert verdict.reasons[0].waived


def test_a_waiver_by_path_covers_its_modules_and_no_other(waivers):
    stanza = judged(FAULTS[Kind.NUMBERS]).stanza
    assert 'subject = { model = ["blocks.0.act"] }' in stanza
    both = with_error(FAULTS[Kind.NUMBERS], "blocks.1.act", 50.0)

    verdict = judged(both, waivers=waivers(stanza))
    wide = judged(both, waivers=waivers(stanza.replace('["blocks.0.act"]', '["blocks.*.act"]')))

    assert [(one.outcome, one.names) for one in verdict.reasons[:2]] == [
        (Outcome.STOP, ("blocks.1.act",)),
        (Outcome.NOTICE, ("blocks.0.act",)),
    ]
    assert wide.outcome is Outcome.NOTICE
    assert wide.reasons[0].names == ("blocks.0.act", "blocks.1.act")


# The chance of a false alarm


def test_all_looks_together_have_the_chance_that_is_stated():
    found = judged().false_alarms

    assert found.model.tests == 24
    assert found.model.chance == pytest.approx(FALSE_ALARM)
    assert found.total == pytest.approx(found.claims.chance + FALSE_ALARM)
    assert "your model 1.0e-07 (24 tests)" in in_words(found)[0]
    assert "numbers of your own model, judged by measured rounding" in found.uncovered


def test_where_no_model_was_asked_none_is_told():
    found = gate(BEFORE, AFTER).false_alarms

    assert (found.model.tests, found.model.chance) == (0, 0)
    assert "model" not in " ".join((*in_words(found), *found.uncovered))


def test_what_the_policy_does_not_stop_for_has_no_chance():
    policy = default_policy()
    quiet = replaced(policy, model=replaced(policy.model, law=Severity.NOTICE, numbers=Severity.NOTICE))
    found = judged(policy=quiet).false_alarms

    assert found.model.chance == pytest.approx(FALSE_ALARM / 2)
    assert "numbers of your own model, judged by measured rounding" not in found.uncovered


def test_a_model_counts_in_what_the_runs_promised():
    sides = [
        run(claim(), torch=torch, plan=plan([claim().id], false_alarm_rate=5e-8))
        for torch in ("2.13.0+cpu", "2.14.1+cpu")
    ]

    with pytest.raises(PromiseBroken, match=r"let less stop under \[drift\] or \[model\], or accept more"):
        gate(*sides, model=records())


def test_the_command_that_repeats_the_gate_names_the_model():
    verdict = judged(candidate_record())

    assert verdict.rerun.endswith("--model my_model.py")


@pytest.mark.parametrize(("draws", "compared"), [("as the baseline", 1), ("", 0)])
def test_trainings_that_draw_other_numbers_are_compared_with_those_that_all_draw_others(draws, compared):
    """Only the baseline's runs that share nothing are where the candidate's are."""
    shared = replaced(training(leaves_at=2), draws="as the baseline")
    baseline = record(training=shared, training_afresh=training())
    candidate = candidate_record(training=replaced(training(), draws=draws))

    assert [kind for _, kind in told(judged(candidate, baseline))].count("model.training") == compared
