"""The view model: renderers gather nothing, and all of them say the same."""

from __future__ import annotations

import ast
import html
import io

import pytest
from rich.console import Console

from fixtures.record.file_names import ROOT
from reports.comparison.changes import Change, compare
from reports.renderers.junit import gate_junit
from reports.renderers.markdown import as_text, gate_markdown
from reports.renderers.terminal import gate_page
from reports.verdict.gate import gate
from reports.verdict.reasons import Outcome, Reason
from reports.view.claims import claim_rows
from reports.view.counts import Classified, Counts
from suites.machinery.making.pages import Elements, Material, material
from suites.machinery.making.runs import claim, plan, run, violated, with_added
from suites.machinery.making.times import guard, pairing, regressed, timed
from suites.machinery.making.views import view_of

RENDERERS = sorted((ROOT / "reports" / "renderers").rglob("*.py"))

OF_THE_MODEL = ("reports.view.", "reports.renderers.", "reports.verdict.reasons", "reports.comparison.selection")


@pytest.mark.parametrize("renderer", RENDERERS, ids=lambda file: file.stem)
def test_a_renderer_knows_the_view_and_not_what_it_is_gathered_from(renderer):
    imported = {
        (node.module, name.name)
        for node in ast.walk(ast.parse(renderer.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("reports.")
        for name in node.names
    }

    assert {name for module, name in imported if not module.startswith(OF_THE_MODEL)} <= {"Change"}


CLOCK = pairing(timed(), regressed("init/trunc_normal_"), guards=[guard()])


@pytest.mark.pages
def test_every_renderer_shows_the_same_bottom_line_reasons_and_workloads():
    made = material(claims=2, clock=CLOCK)
    view, page, out = made.view, made.page(), io.StringIO()
    Console(file=out, width=10_000).print(gate_page(view))
    text, terminal, markdown = Elements(page).text, out.getvalue(), gate_markdown(view)
    junit = html.unescape(gate_junit(view).decode())

    for reason in view.reasons:
        assert reason.text in text
        assert reason.text in terminal or reason.claims
        assert as_text(reason.text) in markdown
    for said in (view.bottom_line, view.advice[1:], view.rerun):
        assert all(said in shown for shown in (text, terminal, markdown))
    for row in view.claims:
        assert row.subject in junit
        assert row.subject in page


BEFORE = with_added("transformers==4.57.1", "timm<1", timm="0.9")
AFTER = with_added("transformers==5.0.0", "timm>=1", timm="1.0", transformers="5.0.0", tokenizers="0.23.0")


def test_every_renderer_names_what_is_judged_and_what_came_with_it():
    made, out = Material(gate(BEFORE, AFTER), BEFORE, AFTER), io.StringIO()
    Console(file=out, width=10_000).print(gate_page(made.view))
    terminal, markdown, page = out.getvalue(), gate_markdown(made.view), Elements(made.page()).text
    junit = html.unescape(gate_junit(made.view).decode())

    steps = [("torch", "2.13.0+cpu", "2.13.0+cpu"), ("transformers", "4.57.1", "5.0.0"), ("timm", "0.9", "1.0")]
    plain, drawn, words = (
        ", ".join(f"{name} {before}{arrow}{after}" for name, before, after in steps)
        for arrow in (" -> ", " → ", " to ")
    )
    assert terminal.splitlines()[0] == f" PASS   {plain}"
    assert markdown.splitlines()[0] == f"## ✅ PASS: {drawn}"
    assert page.count(drawn) == 2, "as the title and beside the verdict"
    assert f"Kaiming Gate, {words}" in junit
    came = "with transformers, timm came: tokenizers (0.22.1 -> 0.23.0)"
    assert came in terminal
    assert as_text(came) in markdown
    assert f"W{came[1:]}" in page


def test_without_packages_of_a_user_torch_alone_is_judged():
    view = view_of(run(claim()), run(claim(), torch="2.14.1+cpu"))

    assert [(step.name, step.baseline, step.candidate) for step in view.steps] == [("torch", *view.torches)]
    assert view.brought == ""


def test_each_claim_is_counted_once_among_what_got_worse_better_and_stayed():
    before = [violated(f"weights.{name}") for name in ("worse", "same", "mended")] + [claim("weights.new")]
    after = [violated("weights.worse", percent=-3), before[1], claim("weights.mended"), violated("weights.new")]
    view = view_of(run(*before), run(*after))

    assert view.classified == Classified(worse=2, mended=1, both=1, lost=0)
    assert "2 claims got worse, 1 got better, 1 claim violated on both sides" in view.bottom_line


def test_properties_of_a_family_are_counted_together_and_quiet_dtypes_share_a_row():
    made = [claim(f"weights.marginal.{name}", dtype) for name in ("a", "b") for dtype in ("float32", "bfloat16")]
    loud = [*made[:3], violated("weights.marginal.b", "bfloat16")]
    quiet, both = (Counts.of(view_of(run(*made), run(*after)).counts.by_dtype) for after in (made, loud))

    assert [(row.dtype, row.claims, row.holds) for row in quiet.by_dtype] == [("all types", 4, (4, 4))]
    assert [(row.dtype, row.claims, row.holds) for row in both.by_dtype] == [
        ("float32", 2, (2, 2)),
        ("bfloat16", 2, (2, 1)),
    ]
    assert [(row.family, row.claims) for row in both.families] == [("weights.marginal", 4)]


def test_a_claim_without_any_finding_has_a_row_under_its_family():
    silent = run(plan=plan(["a.b/x"]))

    (row,) = view_of(silent, silent).claims

    assert (row.family, row.subject, row.change) == ("a.b", "a.b/x", Change.UNANSWERED)
    assert (row.shown, row.seconds) == (None, 0.0)


@pytest.mark.parametrize("order", [(Outcome.STOP, Outcome.NOTICE), (Outcome.NOTICE, Outcome.STOP)])
def test_the_heaviest_reason_about_a_claim_decides_its_row(order):
    sound = run(claim())
    reasons = [Reason(outcome=outcome, kind="any", text="", names=(claim().id,)) for outcome in order]

    (row,) = claim_rows(compare(sound, sound), reasons)

    assert row.outcome is Outcome.STOP
