"""The page of all releases, and the same as Markdown: what is in them, and what cannot be."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from fixtures.record.file_names import HISTORY, HISTORY_MARKDOWN, HISTORY_PAGE, ROOT
from fixtures.record.release_record import recorded_releases
from reports.comparison.changes import Change, compare
from reports.releases.matrix import State
from reports.renderers.history_markdown import history_markdown
from reports.renderers.page.releases import render_history
from suites.machinery.making import histories
from suites.machinery.making.histories import SLOW
from suites.machinery.making.pages import MARKUP, Elements
from suites.machinery.making.releases import answering
from suites.machinery.making.runs import claim, subject, violated

NONE = State.NOT_ASKED.sign

MOST_BYTES = 1 << 20
"""What the page of 22 releases may weigh."""


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    return histories.view(tmp_path_factory.mktemp("view"))


@pytest.fixture(scope="module")
def page_of_all(view) -> str:
    return render_history(view)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return histories.view(tmp_path_factory.mktemp("hostile"), histories.hostile_releases(), timed=False)


def data_of(page: str) -> dict:
    return json.loads(Elements(page).inside["script"][0])


@pytest.mark.pages
def test_the_essentials_are_there_without_a_script(page_of_all):
    text = Elements(page_of_all).text

    for said in ("2.6.0 to 2.13.0", "weights.marginal.scale bfloat16", "-0.68%", "half-std-low", "2.6.0 or before"):
        assert said in text
    assert "could not be installed: torch==2.1.2 was not found" in text
    assert "1 row: never violated, and without evidence in some release" in text
    assert "recorded 20" in text
    assert "laws and grids of core subjects" in text, "what a record cannot show"
    assert "✕ stop" in text


def test_the_drawing_of_each_workload_says_all_of_it_in_words(page_of_all, view):
    for line in view.speed:
        assert "; ".join(line.told) in page_of_all
    assert page_of_all.count('<svg viewBox="0 0 360') == len(view.speed) == 3


def test_without_a_speed_chain_the_page_says_how_to_measure_it(tmp_path):
    found = histories.view(tmp_path, timed=False)

    assert "The speed chain has not been measured" in Elements(render_history(found)).text
    assert "The speed chain has not been measured" in history_markdown(found)


def test_no_release_that_answered_is_a_page_too(tmp_path):
    found = histories.view(tmp_path, {"2.1.2": histories.not_installed("2.1.2")}, timed=False)

    assert "No release has been asked yet" in Elements(render_history(found)).text
    assert "could not be installed" in history_markdown(found)


def changes_of(document: dict, older: int, newer: int) -> dict[str, str]:
    """Classification that the script gives to the claims of two releases, by id."""
    (step,) = [step for step in document["steps"] if step[:2] == [older, newer]]
    texts, usual = document["texts"], {(a, b): change for a, b, change in document["usual"]}
    told = {place: int(change) for change, places in step[5].items() for place in places}
    found = {}
    for place, (row, key, pattern) in enumerate(document["paths"]):
        ends = tuple(int(texts[pattern][at]) for at in (older, newer))
        change = told.get(place, None if ends[0] == ends[1] else usual[ends])
        if change is not None:
            family = texts[document["rows"][row][1]]
            found[f"{family}/{texts[key]}"] = document["changes"][change]["words"]
    return found


def test_from_the_data_the_script_tells_of_two_releases_what_the_comparison_tells(view, page_of_all, tmp_path):
    document = data_of(page_of_all)
    runs = [release.run for release in histories.history(tmp_path).releases]
    for step in view.steps:
        expected = {
            change.id: str(change.change)
            for change in compare(runs[step.older], runs[step.newer])
            if change.change not in (Change.HELD, Change.UNTOLD, Change.REGISTERED, Change.UNREGISTERED)
        }
        assert changes_of(document, step.older, step.newer) == expected


def test_every_cell_is_in_the_data_with_its_figures(view, page_of_all):
    document = data_of(page_of_all)
    texts, states = document["texts"], [state["words"] for state in document["states"]]

    assert states == [str(state) for state in State]
    for row, kept in zip(view.rows, document["rows"], strict=True):
        for cell, place in zip(row.cells, kept[6], strict=True):
            found = document["cells"][place]
            assert states[found[0]] == cell.state
            assert found[1:4] == [cell.claims, cell.violated, cell.undecided]
            assert texts[found[4]] == cell.short
            if cell.worst:
                shown = [texts[text] for text in found[6]]
                assert shown[:3] == [cell.worst.subject, cell.worst.where, cell.worst.reading.statement]
    assert document["known"]["half-std-low"]["code"][0] == "w = torch.empty(4000, dtype=torch.bfloat16).normal_()"


# Nothing but the page's own may run or be loaded, and text is text


@pytest.mark.parametrize("which", ["view", "hostile"])
def test_nothing_is_loaded_and_nothing_else_runs(which, request):
    page = render_history(request.getfixturevalue(which))
    elements = Elements(page)
    (policy,) = [value for value in elements.attributes("content") if value and "default-src" in value]

    def told(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    assert f"style-src {told(elements.inside['style'][0])}; script-src {told(elements.inside['script'][1])};" in policy
    assert elements.names().isdisjoint({"img", "link", "iframe", "object", "embed", "base"})
    assert (len(elements.inside["script"]), len(elements.inside["style"])) == (2, 1)
    assert not elements.attributes("src")
    assert not elements.attributes("style")
    assert all(link.startswith(("#", "https://github.com/")) for link in elements.attributes("href"))
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    names = elements.attributes("id")
    assert len(names) == len(set(names))


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_a_record_is_text(text, hostile):
    page = render_history(hostile)
    for character, instead in {"\u202e": "?", "\x1b[31m": "", "\x00": "?"}.items():
        text = text.replace(character, instead)

    assert text in Elements(page).text
    assert any(text in each for each in data_of(page)["texts"])
    assert not set(page) & set("\u202e\x1b\x00")


def test_markup_in_a_record_is_text_in_markdown_too(hostile):
    found = history_markdown(hostile)

    assert not [mark for mark in ("<script", "<img", "<svg", "://x", "\u202e", "\x1b") if mark in found]
    cells = [line.count(" | ") for line in found.splitlines() if line.startswith("| ")]
    assert set(cells) == {len(hostile.columns), 7, 4}, "nobody's bar ends a cell"


@pytest.mark.pages
def test_the_same_records_give_the_same_page(tmp_path, page_of_all):
    first = histories.view(tmp_path)
    days = [column.facts["recorded"] for column in first.columns]

    assert len(render_history(first)) == len(page_of_all)
    assert first.made == max(days)[:10]


# Markdown


def test_markdown_has_the_violated_rows_and_a_line_for_the_rest_of_each_suite(view):
    lines = history_markdown(view).splitlines()

    assert "| family and dtype | 2.1.2 | 2.6.0 | 2.7.1 | 2.11.0 | 2.12.1 | 2.13.0 |" in lines
    assert f"| weights.marginal.scale bfloat16 | {NONE} | ✕&nbsp;-0.68% | ? | ✕&nbsp;-0.68% | · | · |" in lines
    assert f"| weights.contract.bounds float32 | {NONE} | · | ? | · | ✕ | · |" in lines
    assert "- **weights**: 1 row never violated, and without evidence in some release" in lines
    assert not [line for line in lines if line.startswith("| propagation")]
    assert "- **2.1.2**: could not be installed: torch==2.1.2 was not found: pip has nothing to install" in lines


def test_markdown_has_steps_known_violations_and_speed(view):
    found = history_markdown(view)

    assert "| 2.11.0 → 2.12.1 | 🛑 stop | 1 | 2 | 0 | 0 | 1 of 2 | 1 of 3 workloads is slower |" in found
    assert "| [half-std-low](../suites/FINDINGS.md#half-std-low) | 2.6.0 or before | 2.12.1 |" in found
    assert "<https://github.com/pytorch/pytorch/issues/166853>" in found
    (line,) = [line for line in found.splitlines() if line.startswith(f"| {SLOW} ")]
    assert line.startswith(f"| {SLOW} | 1.00 | 1.00 | 1.50 | 1.50 | 1.50 &#91;1.")


# Size


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """22 releases of 120 claims in 24 rows, of which every other release violates half."""
    shapes = [subject(dtype, shape=(n, 2)) for n in range(2, 7) for dtype in ("float32", "bfloat16")]
    asked = [claim(f"weights.f{number}.scale", subject=one) for number in range(12) for one in shapes]
    bad = [
        violated(one.family, subject=one.subject, percent=-0.7 - number / 1000) if number % 2 else one
        for number, one in enumerate(asked)
    ]
    runs = {f"2.{n}.0": answering(f"2.{n}.0", *(bad if n % 2 else asked)) for n in range(22)}
    return histories.view(tmp_path_factory.mktemp("many"), runs, timed=False)


@pytest.mark.pages
def test_a_page_of_22_releases_is_small(many):
    page = render_history(many)

    # A real page has 27 times as many rows, and of these one in seven is violated anywhere.
    assert len(page.encode()) < MOST_BYTES / 4


def test_the_page_of_the_repository_has_every_release_that_is_recorded():
    recorded = recorded_releases(ROOT / HISTORY)
    if not recorded:
        pytest.skip("no release is recorded in this checkout")
    page, markdown = (
        (ROOT / HISTORY.parent / name).read_text(encoding="utf-8") for name in (HISTORY_PAGE, HISTORY_MARKDOWN)
    )

    assert {release["name"] for release in data_of(page)["releases"]} == set(recorded)
    assert not [name for name in recorded if name not in markdown]
    assert len(page.encode()) < MOST_BYTES
