"""Terminal pages: the words, at several widths of the window, and nothing but text from a run file."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from fixtures.record.claim import SMALLEST_P, Effect, Unit, Verdict
from fixtures.record.run_folder import Run
from fixtures.record.safe_text import LONGEST_TEXT, printable
from fixtures.words.phrases import first_few, measured, p_value, plural, size
from reports.comparison.changes import Change
from reports.renderers.terminal import MOST_LISTED, gate_page, run_page
from reports.verdict.reasons import Outcome, Reason
from reports.view.gate import GateView
from reports.view.run import run_view
from suites.machinery.making import model_records
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
)
from suites.machinery.making.times import pairing, regressed, timed, unclear
from suites.machinery.making.views import REFERENCES, view_of

WIDTHS = pytest.mark.parametrize("width", [60, 100, 200])


def printed(page: RenderableType, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, emoji=False, highlight=False).print(page, crop=False)
    return out.getvalue()


def page(baseline: Run, candidate: Run, width: int = 100) -> str:
    return printed(gate_page(view_of(baseline, candidate)), width)


def flowing(text: str) -> str:
    """Text without its line breaks, so that a sentence is found at any width."""
    return " ".join(text.split())


FAMILIES = [f"weights.marginal.{name}" for name in ("location", "scale", "shape", "tail3", "tail4", "extremes")]


def stopped() -> GateView:
    before = [claim(family, dtype) for family in FAMILIES for dtype in ("float32", "bfloat16")]
    after = [claim(family) for family in FAMILIES] + [violated(family, "bfloat16", known="half") for family in FAMILIES]
    digests = {subject(dtype).key: dtype for dtype in ("float32", "bfloat16")}
    newer = environment("2.6.0+cpu", packages={"numpy": "1.26.4"})
    return view_of(
        run(*before, contract(), digests=digests),
        run(
            *after,
            contract(Verdict.VIOLATED, "NaN"),
            torch="2.6.0+cpu",
            digests=digests | {subject("bfloat16").key: ""},
            environment=newer,
            plan=plan([made.id for made in [*before, contract()]]),
        ),
    )


def test_the_first_lines_are_the_verdict_the_three_most_important_reasons_and_what_to_do():
    lines = printed(gate_page(stopped()), 200).splitlines()

    assert lines[:9] == [
        " STOP   torch 2.13.0+cpu -> 2.6.0+cpu",
        "Do not upgrade: 7 claims got worse; speed was not measured.",
        "tier quick, seed 17, target torch.nn.init, devices cpu",
        "",
        "1. stop: new violation: weights.contract.bounds of kaiming_normal_ in float32: NaN (baseline: holds)",
        "2. stop: new violation: weights.marginal.location of kaiming_normal_ in bfloat16: "
        "-0.7% of the promised std (baseline: 0.01%), p < 1e-300",
        "3. stop: new violation: weights.marginal.scale of kaiming_normal_ in bfloat16: "
        "-0.7% of the promised std (baseline: 0.01%), p < 1e-300",
        "",
        "Next: judge each stop, then report it, waive it or stay. "
        "With --seed 17 the same gate repeats these draws, not the times; without, it takes others.",
    ]
    assert lines[9] == "  nox -s gate -- --baseline 2.13.0 --candidate 2.6.0 --tier quick --device cpu --seed 17"


def test_the_other_reasons_follow_but_for_those_that_the_lists_of_claims_repeat():
    lines = printed(gate_page(stopped()), 200).splitlines()
    start = lines.index("6 more reasons")

    assert lines[start + 1 : start + 4] == [
        "  - notice: stream changed: the same seed gives other weights for 1 of 2 subjects: "
        "kaiming_normal_-fan_in-leaky_relu-256x128-bfloat16-cpu",
        "  - notice: versions of packages other than torch differ: numpy (2.4.6 -> 1.26.4)",
        "  - 4 more findings in the lists below",
    ]


@WIDTHS
def test_the_page_fits_its_window(width):
    view = stopped()
    text = printed(gate_page(view), width)

    too_long = [line.strip() for line in text.splitlines() if len(line) > width]
    assert set(too_long) <= {view.rerun, *view.stanza.splitlines()}, "but for what is to be copied"


@WIDTHS
def test_the_command_to_copy_is_one_line_in_any_window(width):
    lines = printed(gate_page(stopped()), width).splitlines()

    assert "  nox -s gate -- --baseline 2.13.0 --candidate 2.6.0 --tier quick --device cpu --seed 17" in lines


def test_a_stop_comes_with_the_waiver_to_paste():
    view = stopped()
    lines = printed(gate_page(view), 60).splitlines()
    start = lines.index("  [[waiver]]")

    assert [line.removeprefix("  ") for line in lines[start : start + 9]] == view.stanza.splitlines()


@WIDTHS
def test_claims_are_counted_by_family_and_dtype(width):
    lines = printed(gate_page(stopped()), width).splitlines()
    start = lines.index("Claims      asked        hold    violated mended no evidence")

    assert lines[start + 1 : start + 4] == [
        "weights.marginal",
        "  float32       6           6           0      0           0",
        "  bfloat16      6        6->0        0->6      0           0",
    ]


def test_dtypes_on_which_every_claim_holds_share_a_line():
    healthy = [claim(dtype=dtype) for dtype in ("float64", "float32", "bfloat16")]
    text = page(run(*healthy), run(*healthy))

    assert "weights.marginal\n  all types     3           3           0      0           0\n" in text


@WIDTHS
def test_times_are_told_where_they_are_not_fine(width):
    times = pairing(timed(), timed("init/b", 1.01), regressed(), unclear(required=False))
    view = view_of(run(claim()), run(claim(), torch="2.14.1+cpu"), pairing=times)

    assert flowing(printed(gate_page(view), width)).endswith(
        "Speed: 4 workloads timed in pairs on cpu in 140 s "
        "- 2 workloads fine: all intervals within 0.98 to 1.03 "
        "- init/slow is slower: takes 6.00 [5.88, 6.12] times as long "
        "- init/noisy: sd 9.0 % from restart to restart; 40 restarts would decide (not required) "
        "Besides the claims - fixed-seed streams: not recorded on both sides "
        "- false alarm: two healthy torches are stopped with chance 4.7e-04 at most: claims 2.0e-12 (1 test), "
        "drift 0 (0 tests), speed 4.7e-04 (3 tests) "
        "not in it: numbers of training, judged by measured rounding; crashes and hangs"
    )


def test_a_candidate_that_never_ran_is_named_by_its_folder_and_counts_nothing():
    never_ran = run(failure=failure(stage="install"), plan=None, environment=None, label="candidate-2.15")
    text = page(run(claim()), never_ran)

    assert text.startswith(" STOP   torch 2.13.0+cpu -> candidate-2.15\n")
    assert "Claims" not in text


def test_a_violation_is_listed_with_effect_power_subject_and_what_is_known_of_it():
    small = violated(dtype="bfloat16", percent=-0.3, subject=subject("bfloat16", shape=(17, 15)), known="half")
    big = violated(dtype="bfloat16", known="half")
    text = page(run(claim(subject=small.subject), claim(subject=big.subject)), run(small, big))

    assert (
        "New violations: 2 claims\n"
        "  - weights.marginal.scale, kaiming_normal_ in bfloat16: 2 claims\n"
        "    -0.7% of the promised std, baseline: 0.01% (p < 1e-300, 9 300 000 samples, detects 0.2%)\n"
        "    worst: kaiming_normal_-fan_in-leaky_relu-256x128-bfloat16-cpu\n"
        "    known as half: https://example.org/1\n"
    ) in text


def test_every_list_of_claims_has_its_title():
    families = {change: f"weights.{change.name.lower()}" for change in Change if change.heading}
    sides = {
        Change.NEW: (claim, violated),
        Change.WORSE: (violated, lambda family: violated(family, percent=-3)),
        Change.UNREGISTERED: (violated, violated),
        Change.REGISTERED: 2 * (lambda family: violated(family, known="half"),),
        Change.LOST: (claim, lambda family: undecided(family=family)),
        Change.MENDED: (violated, claim),
        Change.UNRESOLVED: (
            lambda family: claim(family, detectable=Effect(9, OF_STD)),
            lambda family: violated(family, known="half"),
        ),
    }
    before, after = ([make[side](families[change]) for change, make in sides.items()] for side in (0, 1))
    text = flowing(page(run(*before), run(*after)))

    for change in families:
        assert f"{change.heading}: 1 claim - {families[change]}, kaiming_normal_" in text


def test_claims_without_evidence_are_listed_by_reason():
    before = [undecided(subject=subject(shape=(size, 8)), note="too few draws") for size in range(3)]
    text = page(run(claim(), *before), run(claim(), *before))

    assert "No evidence: 3 claims\n  - 3 claims: too few draws\n" in text


def test_a_pass_says_what_was_not_measured_and_how_sure_it_is():
    text = page(run(claim(), contract(), digests={"a": "a"}), run(claim(), contract(), digests={"a": "a"}))

    assert text.startswith(" PASS ")
    assert "fixed-seed streams: the same for 1 subject\n" in text
    assert "Speed: not measured\n" in text
    assert flowing(text).endswith(
        "- false alarm: two healthy torches are stopped with chance 2.0e-12 at most: claims 2.0e-12 (1 test), "
        "drift 0 (0 tests), speed 0 (0 tests) "
        "not in it: numbers of training, judged by measured rounding; crashes and hangs"
    )


def test_streams_that_were_not_recorded_are_not_called_the_same():
    assert "fixed-seed streams: not recorded on both sides" in page(run(claim()), run(claim()))


def test_a_candidate_that_crashed_is_shown_with_its_last_lines():
    tail = tuple(f"line {number}" for number in range(30))
    text = page(run(claim()), run(failure=failure(tail=tail), plan=None, environment=None))

    assert "1. stop: the candidate did not finish: crashed (SIGSEGV) (0 of 1 planned claim answered)\n" in text
    assert "   line 10\n" in text
    assert "line 29\n" in text
    assert "line 9\n" not in text


def test_commands_that_draw_again_are_shown_for_what_decides_and_not_for_notices():
    draw = "python -m pytest suites/weights/test_law.py"
    view = view_of(run(claim()), run(violated()))

    def shown(outcome: Outcome, *waived: str) -> str:
        reason = Reason(outcome=outcome, kind="drift.law", text="another law", details=(draw,), waived=waived)
        return flowing(printed(gate_page(replace(view, top=(reason,)))))

    assert draw in shown(Outcome.STOP)
    assert draw in shown(Outcome.NOTICE, "half")
    assert draw not in shown(Outcome.NOTICE)


def test_more_findings_than_anyone_reads_are_counted():
    families = [f"weights.f{number}" for number in range(MOST_LISTED + 30)]
    text = page(run(*map(claim, families)), run(*map(violated, families)))

    assert f"New violations: {MOST_LISTED + 30} claims\n" in text
    assert "  - and 30 more\n" in text


# One run


def shown(made: Run, width: int = 100) -> str:
    return printed(run_page(run_view(made, REFERENCES)), width)


def test_a_run_is_shown_with_environment_options_counts_and_violations():
    skipped = environment("2.6.0+cpu", skipped={"no cuda here": 12})
    text = shown(run(claim(), violated(dtype="float16"), violated(dtype="bfloat16", known="half"), environment=skipped))

    for words in (
        "run run  torch 2.6.0+cpu\n",
        "  torch threads: 2\n",
        "  option seed: 17\n",
        "  packages: torch 2.6.0+cpu, numpy 2.4.6\n",
        "  float16       1           0           1      0           0\n",
        f"Violated: 1 claim\n  - weights.marginal.scale, {subject('float16').key}\n    -0.7% of the promised std (p < ",
        "Violated, registered as known for this release: 1 claim\n",
        "    known as half: https://example.org/1\n",
        "Left out\n  - 12 times: no cuda here\n",
        "false alarm: with chance 6.0e-12 at most (3 statistical claims, 2.0e-12 each)\n",
    ):
        assert words in text
    assert "baseline" not in text


def test_a_run_that_failed_says_who_is_to_blame_and_what_is_missing():
    text = shown(run(claim(), failure=failure(), plan=plan([claim().id, "other"]), ended=False))

    assert "failed at stage run, through the framework: crashed (SIGSEGV)\n  importing\n  Segmentation fault\n" in text
    assert "1 of 2 planned claims without a finding: other\n" in text


def test_a_run_that_was_killed_says_so():
    assert "not ended: it is still running, or was killed\n" in shown(run(claim(), ended=False))


def test_a_run_that_never_began_says_so():
    text = shown(run(failure=failure(stage="install"), plan=None, environment=None, ended=False))

    assert "no environment.json: the run ended before the first question\n" in text


# Text from outside

LINK = "\x1b]8;;http://evil\x07link\x1b]8;;\x07"
HOSTILE = f"[red]x[/red] [/] :boom: \x1b[31mred\x1b[0m {LINK} \u202etxt\u202c a\nb\rc\td \x9b2J"


def test_markup_and_escape_sequences_from_a_run_file_are_shown_as_text():
    bad = violated(subject=subject(HOSTILE, initializer=HOSTILE), known=HOSTILE, family=HOSTILE)
    hostile = environment(HOSTILE, packages={HOSTILE: HOSTILE}, machine={HOSTILE: HOSTILE}, skipped={HOSTILE: 1})
    planned = plan([bad.id, HOSTILE], target=HOSTILE, selection=HOSTILE)
    candidate = run(
        bad, environment=hostile, plan=planned, failure=failure(reason=HOSTILE, tail=(HOSTILE,)), label=HOSTILE
    )
    baseline = run(claim(HOSTILE, subject=bad.subject), plan=planned, digests={HOSTILE: HOSTILE})

    for text in (page(baseline, candidate), shown(candidate)):
        assert "[red]x[/red] [/] :boom: red link ?txt? a b c d ?2J" in flowing(text)
        assert not [character for character in text.replace("\n", "") if unicodedata.category(character) == "Cc"]


@given(st.text(max_size=50))
def test_any_text_becomes_one_harmless_line(text):
    line = printable(text)

    assert all(unicodedata.category(character)[0] != "C" for character in line)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=50))
def test_harmless_text_stays_as_it_is(text):
    assert printable(text) == text


def test_a_text_of_many_megabytes_is_cut():
    assert printable("x" * 10_000_000) == "x" * (LONGEST_TEXT - 3) + "..."


# Words and numbers


@pytest.mark.parametrize(
    ("p", "words"),
    [(SMALLEST_P, "p < 1e-300"), (0.0, "p < 1e-300"), (2e-300, "p = 2e-300"), (0.4, "p = 0.4"), (1.0, "p = 1")],
)
def test_p_values(p, words):
    assert p_value(p) == words


@pytest.mark.parametrize(
    ("count", "noun", "words"),
    [(1, "claim", "1 claim"), (0, "claim", "0 claims"), (12_000, "claim", "12 000 claims"), (2, "gas", "2 gases")],
)
def test_counts(count, noun, words):
    assert plural(count, noun) == words


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (claim(), "0.01% of the promised std"),
        (claim(effect=Effect(0.004, Unit.KS)), "0.004 KS distance"),
        (contract(), "holds"),
        (contract(Verdict.VIOLATED, "a weight is NaN"), "a weight is NaN"),
        (undecided("too few draws"), "too few draws"),
        (None, "no finding"),
    ],
)
def test_what_a_claim_measured(made, words):
    assert measured(made) == words


def test_a_unit_that_was_just_named_is_not_repeated():
    assert size(Effect(0.2, OF_STD), OF_STD) == "0.2%"
    assert size(Effect(0.2, Unit.KS), Unit.KS) == "0.2"
    assert size(Effect(0.2, Unit.KS), OF_STD) == "0.2 KS distance"


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.000012345, "1.23e-05"), (-0.7, "-0.7"), (999.4, "999"), (5851.2, "5851"), (1e6, "1e+06"), (-1e308, "-1e+308")],
)
def test_sizes(value, words):
    assert size(Effect(value, Unit.KS)) == f"{words} KS distance"


def test_the_first_few_names():
    assert first_few(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert first_few(["a", "b"], 2) == "a, b"


# The user's own model


def own_model(model, width=100, **fields):
    """The part of a gate's page that is about a model."""
    view = view_of(run(claim()), run(claim(), torch="2.14.1+cpu"), model=model, **fields)
    return printed(gate_page(view), width).partition("\nYour model: ")[2].partition("\n\n")[0]


def test_a_model_that_differs_by_rounding_is_one_sentence():
    times = pairing(timed("model/step", 1.02), timed("model/forward"))

    assert flowing(own_model(model_records.records(), pairing=times)) == (
        "my_model.py notice: differences are rounding: the largest is 0.12 of what rounding allows (`blocks.0.norm`, "
        "output); it starts by the same laws, from another stream; trains alike for 6 steps; step 1.02 x, fine "
        "- what rounding allows is measured on the baseline: as it is; one thread; inputs moved by one unit"
    )


@WIDTHS
def test_modules_that_are_not_within_rounding_are_listed_at_any_width(width):
    shown = own_model(model_records.faulty_records(), width)

    assert "- ✕ beyond rounding: blocks.0.act (GELU, torch/nn/modules/activation.py:734): 21, output" in flowing(shown)
    assert "within rounding" not in shown
    assert all(len(line) <= width for line in shown.splitlines())


def test_without_a_model_nothing_is_said_of_one():
    assert "model" not in page(run(claim()), run(claim(), torch="2.14.1+cpu"))


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (
            model_records.record(),
            "- my_model.py on torch 2.13.0+cpu, seed 17: 3 tensors in 24 groups of 4 builds, 7 of 7 modules asked "
            "under 3 conditions, 20 repeats of 6 steps",
        ),
        (
            model_records.record(
                numbers=None, training=None, initialization=None, troubles=(model_records.trouble("file"),)
            ),
            "nothing was asked - file: ValueError: no such layer",
        ),
        ("model.json: cannot be read", "- model.json: cannot be read"),
    ],
)
def test_a_run_says_in_a_line_or_two_what_it_recorded_of_a_model(model, says):
    shown = flowing(printed(run_page(run_view(run(claim()), {}, model))))

    assert "Your model" in shown
    assert shown.endswith(says)
