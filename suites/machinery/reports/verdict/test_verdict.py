"""The gate's rules, one test each."""

from __future__ import annotations

import math

import msgspec
import pytest

from fixtures.record.claim import Effect, Unit, Verdict
from fixtures.record.kinds import Operation
from fixtures.record.subject import Subject
from fixtures.rules.policy import Severity, default_policy
from reports.comparison.changes import Change, Incomparable
from reports.verdict.gate import GateVerdict, gate
from reports.verdict.intent import Intent, Step
from reports.verdict.reasons import Area, Outcome, area_of
from suites.machinery.making.runs import (
    OF_STD,
    claim,
    contract,
    environment,
    failure,
    plan,
    run,
    subject,
    undecided,
    violated,
    with_added,
)

BIG = subject("bfloat16", shape=(1000, 1000))
SMALL = subject("bfloat16", shape=(17, 15))


def changes_of(verdict: GateVerdict) -> dict[str, Change]:
    return {change.id: change.change for change in verdict.changes}


def only_change(verdict: GateVerdict) -> Change:
    (change,) = verdict.changes
    return change.change


def texts(verdict: GateVerdict) -> str:
    return "\n".join(f"{reason.outcome}: {reason.text}" for reason in verdict.reasons)


def test_two_healthy_runs_pass():
    verdict = gate(run(claim(), contract()), run(claim(), contract(), torch="2.14.1+cpu"))

    assert (verdict.outcome, verdict.exit_code) == (Outcome.PASS, 0)
    assert (verdict.reasons, verdict.changes) == ((), ())


@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.PASS, 0), (Outcome.NOTICE, 0), (Outcome.NO_EVIDENCE, 2), (Outcome.STOP, 1)]
)
def test_exit_codes(outcome, code):
    assert outcome.exit_code == code


def test_a_stop_outweighs_no_evidence_which_outweighs_a_notice():
    heaviest_first = sorted(Outcome, key=lambda outcome: -outcome.rank)

    assert heaviest_first == [Outcome.STOP, Outcome.NO_EVIDENCE, Outcome.NOTICE, Outcome.PASS]


# Violations


def test_a_new_violation_stops():
    verdict = gate(run(claim(), claim(dtype="bfloat16")), run(claim(), violated(dtype="bfloat16")))

    assert (verdict.outcome, verdict.exit_code) == (Outcome.STOP, 1)
    assert only_change(verdict) is Change.NEW
    assert texts(verdict) == (
        "stop: new violation: weights.marginal.scale of kaiming_normal_ in bfloat16: "
        "-0.7% of the promised std (baseline: 0.01%), p < 1e-300"
    )


def test_each_operation_is_a_reason_of_its_own_under_its_own_name():
    subjects = [Subject.of(Operation(name=name, inputs="far"), dtype="float64") for name in ("layer_norm", "rms_norm")]
    before = [contract(subject=about) for about in subjects]
    after = [contract(Verdict.VIOLATED, "a gradient is nan", subject=about) for about in subjects]

    assert texts(gate(run(*before), run(*after))).splitlines() == [
        f"stop: new violation: {after[0].family} of {name} in float64: a gradient is nan (baseline: holds)"
        for name in ("layer_norm", "rms_norm")
    ]


def test_a_new_violation_stops_though_it_is_registered():
    verdict = gate(run(claim()), run(violated(known="half-normal-8-bit")))

    assert verdict.outcome is Outcome.STOP


def test_a_broken_contract_stops_with_its_counterexample():
    verdict = gate(run(contract()), run(contract(Verdict.VIOLATED, "a weight of 2.0 lies outside +-1.2")))

    assert verdict.outcome is Outcome.STOP
    assert "a weight of 2.0 lies outside +-1.2 (baseline: holds)" in texts(verdict)


def test_a_violation_that_the_baseline_could_not_judge_is_new():
    assert only_change(gate(run(undecided()), run(violated()))) is Change.NEW


def test_a_violation_that_the_baseline_left_unanswered_is_new():
    verdict = gate(run(claim(), plan=plan([claim().id, BIG_CLAIM.id])), run(claim(), BIG_CLAIM))

    assert only_change(verdict) is Change.NEW
    assert verdict.outcome is Outcome.STOP


BIG_CLAIM = violated(subject=BIG)


def test_a_violation_on_both_sides_is_a_notice():
    verdict = gate(run(violated(known="known")), run(violated(known="known")))

    assert (verdict.outcome, only_change(verdict)) == (Outcome.NOTICE, Change.REGISTERED)


def test_what_is_registered_is_told_once_for_each_defect_with_its_plainest_claim():
    plain = violated("weights.marginal.shape", dtype="bfloat16", percent=-3.0, known="coarse")
    others = [violated(dtype=dtype, known="coarse") for dtype in ("bfloat16", "float16")]
    other = violated("weights.fan", known="another")
    verdict = gate(run(*others, other, plain), run(*others, other, plain))

    assert len(verdict.reasons) == 2
    coarse = next(reason for reason in verdict.reasons if "(coarse)" in reason.text)
    assert coarse.text.startswith(
        "violated on both sides, registered as known (coarse): 3 claims, in 2 families; "
        "plainest: weights.marginal.shape of kaiming_normal_ in bfloat16: -3% of the promised std "
        "(the same in the baseline), p"
    )
    assert coarse.claims == len(coarse.names) == 3


@pytest.mark.parametrize(("before", "after"), [(None, None), ("known", None), (None, "known")])
def test_a_violation_on_both_sides_that_is_not_registered_on_both_is_a_notice_before_the_others(before, after):
    registered = violated("weights.marginal.location", known="known")
    verdict = gate(run(registered, violated(known=before)), run(registered, violated(known=after)))

    assert verdict.outcome is Outcome.NOTICE
    assert "not registered as known: weights.marginal.scale" in verdict.reasons[0].text


def test_a_broken_contract_on_both_sides_is_a_notice():
    broken = contract(Verdict.VIOLATED, "a weight of 2.0 lies outside +-1.2")

    assert gate(run(broken), run(broken)).outcome is Outcome.NOTICE


def test_a_violation_that_became_clearly_worse_stops():
    # sqrt(0.2 * (0.2 + 4 * 0.7) + 0.2 * (0.2 + 4 * 2.3)) = 1.57
    verdict = gate(run(violated(percent=0.7, known="known")), run(violated(percent=-2.3, known="known")))

    assert (verdict.outcome, only_change(verdict)) == (Outcome.STOP, Change.WORSE)


def test_a_violation_did_not_become_worse_within_the_noise_of_two_measurements():
    before, after = (violated(effect=Effect(percent, Unit.STD, 0.15)) for percent in (-0.7, -2.2))

    assert only_change(gate(run(before), run(after))) is Change.UNREGISTERED


def test_a_violation_that_became_smaller_is_no_worse():
    assert only_change(gate(run(violated(percent=-9)), run(violated(percent=1)))) is Change.UNREGISTERED


@pytest.mark.parametrize("rate", [0.004, 1e-4, 2e-5])
def test_two_counts_of_the_same_defect_are_never_called_worse(rate):
    """A count has the relative standard error 1 / sqrt(count); eight of them lie between the two counts."""
    n = 1_600_000
    error = math.sqrt(rate / n)
    counts = {"detectable": Effect(2 * 9.21 / n, Unit.ZEROS)}
    before, after = (
        violated(effect=Effect(rate + step, Unit.ZEROS, error), **counts)
        for step in (-4 * math.sqrt(2) * error, 4 * math.sqrt(2) * error)
    )

    assert only_change(gate(run(before), run(after))) is Change.UNREGISTERED


@pytest.mark.parametrize(("from_noise", "change"), [(8.6, Change.UNREGISTERED), (8.7, Change.WORSE)])
def test_growth_is_clear_beyond_what_two_measurements_differ_by(from_noise, change):
    before = violated(effect=Effect(0.05, Unit.SIGN_CORRELATION, 3e-4))
    grown = 0.05 + from_noise * math.hypot(3e-4, 4e-4)
    after = violated(effect=Effect(grown, Unit.SIGN_CORRELATION, 4e-4))

    assert only_change(gate(run(before), run(after))) is change
    assert only_change(gate(run(after), run(before))) is Change.UNREGISTERED


def test_a_deviation_to_the_other_side_is_another_defect():
    low, high = (violated(effect=Effect(percent, Unit.STD, 0.02)) for percent in (-0.7, 0.7))

    assert only_change(gate(run(low), run(high))) is Change.WORSE


def test_what_has_no_size_any_more_is_worse():
    sized, nan = violated(), violated(effect=None)

    assert only_change(gate(run(sized), run(nan))) is Change.WORSE
    assert only_change(gate(run(nan), run(sized))) is Change.UNREGISTERED


@pytest.mark.parametrize(("times", "change"), [(1.4, Change.UNREGISTERED), (1.5, Change.WORSE)])
def test_two_looks_of_one_claim_are_weighed_by_what_they_can_see(times, change):
    before = violated(effect=Effect(0.02, Unit.EXCESS, 0.001), detectable=Effect(0.01, Unit.EXCESS))
    after = violated(effect=Effect(20 + 10 * times, Unit.ALIGNMENT, 1), detectable=Effect(10, Unit.ALIGNMENT))

    assert only_change(gate(run(before), run(after))) is change


def refuted(words, known=None, strain=None):
    effect = None if strain is None else Effect(100 * strain, Unit.ALLOWED_ERROR)
    return contract(Verdict.VIOLATED, words, known=known, effect=effect)


def test_another_counterexample_is_another_defect():
    nan, seven = (refuted(f"3 of 9 elements differ: gelu(inf) is {value}, not inf") for value in ("nan", "-7"))

    assert only_change(gate(run(nan), run(seven))) is Change.NEW
    assert only_change(gate(run(nan), run(nan))) is Change.UNREGISTERED


def test_numbers_that_hang_on_the_draw_make_no_other_defect():
    words = "{0} of 1_024 elements differ, the first at layer {0}: [3, {0}]: {1} is not {2}"
    before, after = (refuted(words.format(n, n / 7, n / 8e9)) for n in (3, 40))

    assert only_change(gate(run(before), run(after))) is Change.UNREGISTERED


def test_one_registered_defect_has_one_counterexample_whatever_its_words():
    before, after = (refuted(words, known="a-defect") for words in ("a weight lies out", "weights lie out"))

    assert only_change(gate(run(before), run(after))) is Change.REGISTERED


@pytest.mark.parametrize(("strain", "change"), [(12, Change.UNREGISTERED), (18, Change.WORSE)])
def test_an_error_that_no_order_of_summation_explains_is_worse(strain, change):
    before, after = (refuted("off by more than rounding", strain=size) for size in (2, strain))

    assert only_change(gate(run(before), run(after))) is change


def test_a_mended_violation_is_reported_and_passes():
    verdict = gate(run(violated()), run(claim()))

    assert (verdict.outcome, only_change(verdict)) == (Outcome.PASS, Change.MENDED)
    assert verdict.counts[0].mended == 1


# A registered defect at the edge of what a claim can see

KNOWN = {"subject": BIG, "known": "half-normal-8-bit"}
WEAK = {"subject": SMALL, "detectable": Effect(2, OF_STD)}


def test_a_registered_defect_that_the_baseline_missed_for_want_of_power_is_a_notice():
    seen = violated(**WEAK, percent=-1.4, known="half-normal-8-bit")
    missed = claim(**WEAK, effect=Effect(-0.5, OF_STD))
    verdict = gate(run(violated(**KNOWN), missed), run(violated(**KNOWN), seen))

    assert verdict.outcome is Outcome.NOTICE
    assert changes_of(verdict)[seen.id] is Change.UNRESOLVED


def test_another_registered_defect_of_the_same_property_counts_as_well():
    seen = violated(**WEAK, percent=-1.4, known="half-uniform-upper-end")
    missed = claim(**WEAK, effect=Effect(-0.5, OF_STD))
    verdict = gate(run(violated(**KNOWN), missed), run(violated(**KNOWN), seen))

    assert changes_of(verdict)[seen.id] is Change.UNRESOLVED


def test_a_registered_defect_that_the_candidate_missed_for_want_of_power_is_not_mended():
    seen = violated(**WEAK, percent=-1.4, known="half-normal-8-bit")
    missed = claim(**WEAK, effect=Effect(-0.5, OF_STD))
    verdict = gate(run(violated(**KNOWN), seen), run(violated(**KNOWN), missed))

    assert changes_of(verdict)[seen.id] is Change.UNRESOLVED


@pytest.mark.parametrize(
    ("elsewhere", "missed", "seen"),
    [
        pytest.param(claim(subject=BIG), {}, {}, id="the baseline shows the defect nowhere"),
        pytest.param(
            violated("weights.marginal.shape", **KNOWN | {"known": "other"}),
            {},
            {},
            id="the baseline shows another defect of another property",
        ),
        pytest.param(
            violated(subject=subject("float16"), known="half-normal-8-bit"),
            {},
            {},
            id="the baseline shows it elsewhere",
        ),
        pytest.param(violated(**KNOWN), {}, {"known": None}, id="the violation is not registered"),
        pytest.param(
            violated(**KNOWN), {}, {"percent": -2.1}, id="the baseline would have seen an effect of this size"
        ),
        pytest.param(
            violated(**KNOWN),
            {"effect": Effect(1, OF_STD)},
            {},
            id="the two estimates are too far apart to be one effect",
        ),
        pytest.param(violated(**KNOWN), {"detectable": None}, {}, id="the baseline does not say what it detects"),
    ],
)
def test_a_violation_is_new_where(elsewhere, missed, seen):
    before = claim(**WEAK | {"effect": Effect(-0.5, OF_STD)} | missed)
    after = violated(**WEAK | {"percent": -1.4, "known": "half-normal-8-bit"} | seen)
    verdict = gate(run(elsewhere, before), run(elsewhere, after))

    assert verdict.outcome is Outcome.STOP
    assert changes_of(verdict)[after.id] is Change.NEW


@pytest.mark.parametrize(("draws", "change"), [(4000, Change.UNRESOLVED), (1000, Change.NEW)])
def test_a_registered_defect_without_a_size_is_excused_only_if_it_took_the_larger_sample_to_see(draws, change):
    sizes = {"subject": SMALL, "effect": Effect(3.9, Unit.ALIGNMENT), "detectable": Effect(3.5, Unit.EXCESS)}
    missed = claim(**sizes, n=1000, p=2e-4)
    seen = violated(**sizes, n=draws, p=1e-15, known="half-normal-8-bit")
    verdict = gate(run(violated(**KNOWN), missed), run(violated(**KNOWN), seen))

    assert changes_of(verdict)[seen.id] is change


# Completeness


def test_a_claim_that_only_the_baseline_could_judge_is_a_notice():
    verdict = gate(run(claim(), contract()), run(undecided("too few draws"), contract()))

    assert (verdict.outcome, only_change(verdict)) == (Outcome.NOTICE, Change.LOST)
    assert texts(verdict).endswith("weights.marginal.scale of kaiming_normal_ in float32: too few draws")


def test_a_claim_that_only_the_candidate_could_judge_passes():
    verdict = gate(run(undecided(), contract()), run(claim(), contract()))

    assert (verdict.outcome, only_change(verdict)) == (Outcome.PASS, Change.GAINED)


def test_a_claim_that_neither_side_could_judge_is_listed():
    verdict = gate(run(undecided(), contract()), run(undecided(), contract()))

    assert (verdict.outcome, only_change(verdict)) == (Outcome.PASS, Change.UNTOLD)


def test_no_claim_judged_on_both_sides_is_no_evidence():
    verdict = gate(run(undecided(), contract()), run(claim(), undecided(family="weights.contract.bounds")))

    assert verdict.outcome is Outcome.NO_EVIDENCE
    assert "no claim was judged on both sides" in texts(verdict)


@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_a_planned_claim_without_a_finding_is_no_evidence(side):
    planned = plan([claim().id, contract().id])
    runs = {"baseline": run(claim(), contract()), "candidate": run(claim(), contract())}
    runs[side] = run(claim(), plan=planned)
    verdict = gate(**runs)

    assert (verdict.outcome, verdict.exit_code) == (Outcome.NO_EVIDENCE, 2)
    assert texts(verdict) == (f"no evidence: the {side} left 1 of 2 planned claims without a finding: {contract().id}")


def test_an_empty_plan_is_no_evidence():
    verdict = gate(run(), run())

    assert verdict.outcome is Outcome.NO_EVIDENCE
    assert "nothing was asked: the plan of the candidate is empty" in texts(verdict)


# Runs that failed


def test_a_candidate_that_fails_by_its_own_fault_stops_and_shows_its_output():
    planned = plan([claim().id, contract().id])
    verdict = gate(run(claim(), contract()), run(claim(), failure=failure(), plan=planned))

    assert (verdict.outcome, verdict.exit_code) == (Outcome.STOP, 1)
    assert texts(verdict) == "stop: the candidate did not finish: crashed (SIGSEGV) (1 of 2 planned claims answered)"
    assert verdict.reasons[0].details == ("importing", "Segmentation fault")


@pytest.mark.parametrize(
    ("stage", "words"), [("install", "could not be installed"), ("import", "could not be imported")]
)
def test_a_candidate_that_never_ran_stops(stage, words):
    never_ran = run(failure=failure(stage=stage), plan=None, environment=None)
    verdict = gate(run(claim()), never_ran)

    assert verdict.outcome is Outcome.STOP
    assert f"the candidate {words}" in texts(verdict)


def test_a_candidate_that_fails_through_its_surroundings_is_no_evidence():
    verdict = gate(run(claim()), run(failure=failure("surroundings"), plan=plan([claim().id])))

    assert verdict.outcome is Outcome.NO_EVIDENCE


@pytest.mark.parametrize("blames", ["framework", "surroundings"])
def test_a_baseline_that_fails_is_no_evidence(blames):
    verdict = gate(run(failure=failure(blames), plan=None, environment=None), run(claim()))

    assert verdict.outcome is Outcome.NO_EVIDENCE
    assert "the baseline did not finish: crashed (SIGSEGV)" in texts(verdict)


def test_a_violation_is_not_new_where_a_baseline_that_failed_did_not_answer():
    cut_short = run(claim(), failure=failure("surroundings"), plan=plan([claim().id, BIG_CLAIM.id]))
    verdict = gate(cut_short, run(claim(), BIG_CLAIM))

    assert (verdict.outcome, only_change(verdict)) == (Outcome.NO_EVIDENCE, Change.UNANSWERED)


def test_a_violation_found_before_the_surroundings_failed_stops():
    cut_short = run(BIG_CLAIM, failure=failure("surroundings"), plan=plan([claim().id, BIG_CLAIM.id]))
    verdict = gate(run(claim(), claim(subject=BIG)), cut_short)

    assert verdict.outcome is Outcome.STOP


# The same questions


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("seed", 18, "seed is 17 in base and 18 in cand"),
        ("tier", "full", "tier is 'quick' in base and 'full' in cand"),
        ("target", "faults.py", "target is 'torch.nn.init' in base and 'faults.py' in cand"),
        ("devices", ("cuda",), "devices is ('cpu',) in base and ('cuda',) in cand"),
        ("selection", "normal", "selection is '' in base and 'normal' in cand"),
        ("cases", (), "1 case only in base (weights.marginal/kaiming_normal_-fan_in-leaky_relu-256x128-float32-cpu)"),
        ("claims", ("a", claim().id), "1 claim only in cand (a)"),
    ],
)
def test_runs_that_were_not_asked_the_same_are_an_error(field, value, words):
    planned = msgspec.structs.replace(plan([claim().id]), **{field: value})

    with pytest.raises(Incomparable) as error:
        gate(run(claim(), label="base"), run(claim(), label="cand", plan=planned))

    assert str(error.value) == f"the two runs were not asked the same: {words}"


def test_cases_drawn_in_another_number_are_an_error():
    (case,) = plan([]).cases
    planned = plan([claim().id], cases=(msgspec.structs.replace(case, draws=7),))

    with pytest.raises(Incomparable, match="cases are drawn in another number"):
        gate(run(claim()), run(claim(), plan=planned))


def test_cases_in_another_order_are_the_same_questions():
    (case,) = plan([]).cases
    other = msgspec.structs.replace(case, subject=BIG)
    sides = [plan([claim().id], cases=cases) for cases in ((case, other), (other, case))]

    assert gate(*(run(claim(), plan=planned) for planned in sides)).outcome is Outcome.PASS


def test_a_candidate_that_crashed_before_it_selected_its_tests_still_stops():
    verdict = gate(run(claim()), run(failure=failure(), plan=plan([])))

    assert verdict.outcome is Outcome.STOP


# Besides the claims


def test_a_changed_stream_is_a_notice_that_says_where():
    key = subject().key
    verdict = gate(run(claim(), digests={key: "a", "b": "b"}), run(claim(), digests={key: "c", "b": "b"}))

    assert verdict.outcome is Outcome.NOTICE
    assert texts(verdict) == (
        "notice: stream changed: the same seed gives other weights for 1 of 2 subjects: kaiming_normal_ in float32"
    )
    assert (verdict.streams.same, verdict.streams.changed) == (1, (key,))


def test_streams_that_are_the_same_pass():
    verdict = gate(run(claim(), digests={"a": "a"}), run(claim(), digests={"a": "a"}))

    assert (verdict.outcome, verdict.streams.same) == (Outcome.PASS, 1)


def test_a_digest_on_one_side_only_is_a_notice():
    verdict = gate(run(claim(), digests={"a": "a"}), run(claim()))

    assert texts(verdict) == "notice: a: only the baseline has a fixed-seed digest"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"packages": {"numpy": "1.26.4", "sympy": "1.13", "torch": "2.6.0"}},
            "versions of packages other than torch differ: numpy (2.4.6 -> 1.26.4), sympy (none -> 1.13)",
        ),
        ({"machine": {"cpu": "another CPU", "cores": 2}}, "the machines differ: cpu (a CPU -> another CPU)"),
        ({"machine": {"cpu": "a CPU", "cores": 2, "cpu_flags": 99 * "x"}}, "the machines differ: cpu_flags"),
        ({"python": "3.12.1"}, "Python differs: python (3.11.7 -> 3.12.1)"),
        ({"skipped": {"no cuda": 3}}, "what was left out differs: no cuda (none -> 3)"),
    ],
)
def test_what_differs_beside_torch_is_a_notice(fields, words):
    verdict = gate(run(claim()), run(claim(), environment=environment("2.13.0+cpu", **fields)))

    assert texts(verdict) == f"notice: {words}"


def test_what_a_build_of_torch_brings_is_no_difference_of_the_surroundings():
    brings = {
        "torch": "2.14.1+cu130",
        "numpy": "2.4.6",
        "nvidia-cublas": "13.1",
        "cuda-toolkit": "13.0",
        "triton": "3.5",
    }
    after = run(claim(), environment=environment("2.14.1+cu130", packages=brings))

    assert gate(run(claim()), after).reasons == ()


OLD, NEW = "transformers==4.57.1", "transformers==5.0.0"
CAME = {"transformers": "5.0.0", "tokenizers": "0.23.0"}


def test_packages_that_were_asked_for_on_one_side_are_what_is_judged_and_no_disturbance():
    verdict = gate(with_added(OLD), with_added(NEW, **CAME))

    assert verdict.reasons == ()
    assert verdict.intent.named == (Step(name="transformers", baseline="4.57.1", candidate="5.0.0"),)
    assert verdict.intent.brought == (Step(name="tokenizers", baseline="0.22.1", candidate="0.23.0"),)


def test_what_differs_besides_is_a_disturbance_as_ever_and_may_stop():
    sides = with_added(OLD), with_added(NEW, **CAME, tqdm="5")

    assert texts(gate(*sides)) == ("notice: versions of packages other than torch, transformers differ: tqdm (4 -> 5)")
    strict = msgspec.structs.replace(default_policy().surroundings, packages=Severity.STOP)
    verdict = gate(*sides, policy=msgspec.structs.replace(default_policy(), surroundings=strict))
    assert (verdict.outcome, [reason.names for reason in verdict.reasons]) == (Outcome.STOP, [("tqdm (4 -> 5)",)])


@pytest.mark.parametrize("added", [(), (OLD,), ("transformers>=4",)], ids=["own interpreters", "pinned", "open"])
def test_what_was_to_be_the_same_and_is_not_is_a_disturbance(added):
    verdict = gate(with_added(*added), with_added(*added, **CAME))

    assert verdict.intent == Intent()
    assert texts(verdict) == (
        "notice: versions of packages other than torch differ: tokenizers (0.22.1 -> 0.23.0), "
        "transformers (4.57.1 -> 5.0.0)"
    )


def test_a_package_that_one_side_alone_was_asked_for_is_named_with_none_on_the_other():
    verdict = gate(with_added("timm==1.0", timm="1.0"), with_added("tqdm==4", tokenizers="0.22.1"))

    assert [(step.name, step.baseline, step.candidate) for step in verdict.intent.named] == [
        ("timm", "1.0", "none"),
        ("tqdm", "4", "4"),
    ]
    assert verdict.reasons == ()


def test_a_run_that_never_got_that_far_was_meant_to_differ_in_nothing():
    verdict = gate(with_added(OLD), run(failure=failure(), environment=None, plan=plan([claim().id])))

    assert verdict.intent == Intent()


def test_speed_is_said_not_to_be_measured():
    assert gate(run(claim()), run(claim())).speed is None


def test_claims_are_counted_by_family_and_dtype():
    before = run(claim(), claim(subject=BIG), claim("weights.marginal.shape"), claim(subject=SMALL))
    after = run(claim(), BIG_CLAIM, claim("weights.marginal.shape"), undecided(subject=SMALL))
    rows = {(row.family.rpartition(".")[2], row.dtype): row for row in gate(before, after).counts}

    assert list(rows) == [("scale", "float32"), ("scale", "bfloat16"), ("shape", "float32")]
    row = rows["scale", "bfloat16"]
    assert (row.claims, row.holds, row.violated, row.no_evidence) == (2, (2, 0), (0, 1), (0, 1))


def test_the_most_plainly_violated_claims_come_first():
    found = {
        "weights.a": {"p": 1e-20, "percent": -5.0},
        "weights.b": {"p": 1e-300, "percent": -0.5},
        "weights.c": {"p": 1e-300, "percent": -0.7},
    }
    after = [*(violated(family, **fields) for family, fields in found.items()), contract(Verdict.VIOLATED, "NaN")]
    before = [claim("weights.a"), claim("weights.b"), claim("weights.c"), contract()]
    verdict = gate(run(*before), run(*after))

    families = [reason.text.split(": ")[1].split(" of ")[0] for reason in verdict.reasons]
    assert families == ["weights.contract.bounds", "weights.c", "weights.b", "weights.a"]


def test_claims_about_one_initializer_with_other_arguments_are_one_reason():
    variants = [subject(initializer=name) for name in ("trunc_normal_", "trunc_normal_(std=0.02)")]
    after = run(*(violated(subject=variant) for variant in variants))
    verdict = gate(run(*(claim(subject=variant) for variant in variants)), after)

    (reason,) = verdict.reasons
    assert "weights.marginal.scale of trunc_normal_ in float32 (2 claims)" in reason.text
    assert reason.claims == 2


# How to repeat it


def test_the_command_that_repeats_the_gate_names_seed_tier_and_both_releases():
    verdict = gate(run(claim()), run(claim(), torch="2.14.1+cu126"))

    assert verdict.rerun == ("nox -s gate -- --baseline 2.13.0 --candidate 2.14.1 --tier quick --device cpu --seed 17")


def test_the_command_that_repeats_the_gate_quotes_target_and_selection():
    planned = plan([claim().id], target="my faults.py", selection="normal and not tail")
    verdict = gate(run(claim(), plan=planned), run(claim(), plan=planned))

    assert verdict.rerun is not None
    assert verdict.rerun.endswith("--seed 17 --target 'my faults.py' -k 'normal and not tail'")


@pytest.mark.parametrize("torch", ["2.15.0.dev20260101+cpu", "2.13.0a0+git1234567", "; rm -rf /"])
def test_a_build_that_no_index_has_is_not_asked_for_by_version(torch):
    assert gate(run(claim()), run(claim(), torch=torch)).rerun is None


def test_the_command_that_repeats_the_gate_adds_what_was_added_to_each_side():
    verdict = gate(with_added("timm==1.0", OLD), with_added("timm==1.0", "transformers>=5", **CAME))

    assert verdict.rerun == (
        "nox -s gate -- --baseline 2.13.0 --candidate 2.13.0 --with timm==1.0 --with-baseline transformers==4.57.1 "
        "--with-candidate 'transformers>=5' --tier quick --device cpu --seed 17"
    )


@pytest.mark.parametrize("added", ["timm @ file:///home/wheels/timm.whl", "no such (thing"])
def test_an_addition_that_no_index_has_is_not_asked_for_by_name(added):
    assert gate(with_added(added), with_added()).rerun is None


# The order of reasons


def test_what_the_suite_is_for_comes_first():
    families = [
        "propagation.link.infinity",
        "training.step.fused",
        "propagation.forward.layer",
        "weights.marginal.scale",
    ]
    before = run(*(claim(family) for family in families))
    after = run(*(violated(family) for family in families))

    names = [reason.names[0].partition("/")[0] for reason in gate(before, after).reasons if reason.names]

    assert names == list(reversed(families[:1] + families[1:]))


@pytest.mark.parametrize(
    ("kind", "names", "area"),
    [
        ("failure", (), Area.ASKING),
        ("completeness.unanswered", ("weights.fan.scale/x",), Area.ASKING),
        ("conformance.new", ("weights.fan.scale/x",), Area.WEIGHTS),
        ("conformance.new", ("propagation.precision.overflow/x",), Area.EDGE),
        ("drift.law", ("x",), Area.WEIGHTS),
        ("drift.numbers", ("x",), Area.TRAINING),
        ("speed.regressed", ("init/x",), Area.SPEED),
        ("surroundings.packages", ("numpy",), Area.SURROUNDINGS),
    ],
)
def test_every_kind_of_reason_has_its_area(kind, names, area):
    assert area_of(kind, names) is area
