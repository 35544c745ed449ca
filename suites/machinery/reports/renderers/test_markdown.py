"""The verdict as Markdown: what decides comes first, it fits, and text from a run file stays text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reports.renderers.markdown import LEFT_OUT, MOST_CHARACTERS, as_text, gate_markdown
from suites.machinery.making.model_records import faulty_records
from suites.machinery.making.runs import claim, run, subject, violated
from suites.machinery.making.times import pairing, regressed, timed
from suites.machinery.making.views import view_of

FAMILIES = [f"weights.marginal.{name}" for name in ("location", "scale", "shape", "tail")]


def stopped(**fields):
    """A gate with a new violation and a slower workload."""
    before = [claim(family, "bfloat16") for family in FAMILIES]
    after = [violated(FAMILIES[0], "bfloat16"), *before[1:]]
    return view_of(run(*before), run(*after, torch="2.14.1+cpu"), pairing=pairing(timed(), regressed()), **fields)


def html(text):
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


def test_the_first_lines_say_what_was_decided_and_why():
    lines = gate_markdown(stopped()).splitlines()

    assert lines[0] == "## 🛑 STOP: torch 2.13.0+cpu → 2.14.1+cpu"
    assert lines[2] == "Do not upgrade: 1 claim got worse; 1 of 2 workloads is slower."
    assert lines[4].startswith("1. **stop**: new violation: weights.marginal.location of kaiming&#95;normal&#95;")
    assert lines[5].startswith("2. **stop**: init/slow is slower: takes 6.00 &#91;5.88, 6.12&#93; times as long")
    assert lines[7] == "**Next:** judge each stop, then report it, waive it or stay."
    assert lines[9:12] == [
        "```sh",
        "nox -s gate -- --baseline 2.13.0 --candidate 2.14.1 --tier quick --device cpu --seed 17",
        "```",
    ]


def test_tables_are_tables():
    shown = html(gate_markdown(stopped()))

    assert shown.count("<table>") == 2
    assert "<td>init/slow</td>" in shown
    assert '<td style="text-align:right">6.00 [5.88, 6.12]</td>' in shown
    assert "<td>weights.marginal</td>" in shown


def test_what_follows_the_first_reasons_is_counted():
    claims = [claim(f"weights.family{number}.scale") for number in range(5)]
    text = gate_markdown(view_of(run(*claims), run(*(violated(one.family) for one in claims))))

    assert "<summary>2 more reasons</summary>\n\n- **stop**" in text
    assert text.count("**stop**: ") == 5


def test_without_a_clock_it_says_so():
    assert "Speed: not measured." in gate_markdown(view_of(run(claim()), run(claim())))


def test_what_does_not_fit_is_left_out_from_the_end():
    many = [claim(f"weights.family{number}.scale") for number in range(2000)]
    text = gate_markdown(view_of(run(*many), run(*many[1:], violated("weights.family0.scale"))))

    assert len(text) <= MOST_CHARACTERS
    assert text.startswith("## 🛑 STOP")
    assert text.endswith(LEFT_OUT)
    assert text.removesuffix(LEFT_OUT).splitlines()[-1].endswith("|"), "cut between two rows"


HOSTILE = [
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![](https://example.org/seen.png)",
    "| a | b |",
    "**bold** _under_ `code` ~~gone~~",
    "@everyone #1 &lt;b&gt;",
    "```\n# heading\n- item",
    "1. one\n\n---\n",
    "https://example.org www.example.org a@example.org",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(text):
    shown = html(f"start {as_text(text)} end")

    assert shown.startswith("<p>start ")
    assert shown.count("<") == 2, shown
    # What GitHub makes of bare text: mentions, references and links.
    assert not {"@", "#"} & set(as_text(text).replace("&#", ""))
    assert not re.search(r"://|www\.", as_text(text))


def test_a_hostile_run_adds_no_markup():
    friendly = html(gate_markdown(view_of(run(claim(note="x")), run(violated(note="x")))))
    evil = subject(layout="</details><img src=x onerror=alert(1)>")
    note = "".join(HOSTILE)
    shown = html(gate_markdown(view_of(run(claim(subject=evil)), run(violated(subject=evil, note=note)))))

    assert shown.count("<") == friendly.count("<")


@given(st.text())
def test_no_text_becomes_markup(text):
    assert html(f"a {as_text(text)} b").count("<") == 2


def test_ones_own_model_is_one_sentence_and_a_table_of_the_modules_to_look_at():
    view = view_of(run(claim()), run(claim(), torch="2.14.1+cpu"), model=faulty_records())
    text = html(gate_markdown(view))

    assert view.bottom_line == (
        "Do not upgrade: no claim got worse; your model stops it for 3 reasons; speed was not measured."
    )
    assert (
        "<strong>Your model</strong> my_model.py: stop: 1 module differs by more than rounding, the most 21 times"
        in text
    )
    assert "<summary>7 of 7 modules of your model, farthest from float64 for what rounding allows</summary>" in text
    assert (
        '<td>blocks.0.act</td>\n<td>GELU, torch/nn/modules/activation.py:734</td>\n<td style="text-align:right">21</td>'
        in text
    )
    assert "✕ beyond rounding" in text
