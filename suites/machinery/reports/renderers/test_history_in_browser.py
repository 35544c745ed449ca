"""The page of all releases in a real browser: walked by keyboard, opened, filtered, compared, narrow, dark, hostile."""

from __future__ import annotations

import pytest

from reports.renderers.page.releases import render_history
from suites.machinery.making import histories
from suites.machinery.making.browsers import CONTRAST, DESKTOP, PHONE
from suites.machinery.making.pages import MARKUP

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> str:
    return render_history(histories.view(tmp_path_factory.mktemp("view")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> str:
    runs = histories.hostile_releases()
    return render_history(histories.view(tmp_path_factory.mktemp("hostile"), runs, timed=False))


FOCUSED = "(e => e.getAttribute('aria-label') || e.innerText.replace(/\\s+/g, ' '))(document.activeElement)"


def walked(page, *keys: str) -> str:
    """Name of the cell that has the focus after some keys."""
    for key in keys:
        page.view.keyboard.press(key)
    return page.view.evaluate(FOCUSED)


def test_the_matrix_is_one_stop_of_tab_and_is_walked_by_arrows(opened, written):
    page = opened(written)
    assert page.view.locator("#grid [tabindex='0']").count() == 1
    page.view.focus("#clear")
    first = walked(page, "Tab")

    assert first == "weights.marginal.scale bfloat16, torch 2.1.2: not asked"
    assert walked(page, "ArrowRight") == (
        "weights.marginal.scale bfloat16, torch 2.6.0: violated, 2 of 2 claims, -0.68% of the promised std"
    )
    assert walked(page, "ArrowDown") == "weights.contract.bounds float32, torch 2.6.0: holds"
    assert walked(page, "ArrowUp", "Home") == "weights.marginal.scale bfloat16"
    assert walked(page, "End") == "weights.marginal.scale bfloat16, torch 2.13.0: holds"
    assert walked(page, "ArrowRight") == "weights.marginal.scale bfloat16, torch 2.13.0: holds", "the last stays"
    assert walked(page, "Control+Home") == "family and dtype"
    assert walked(page, "ArrowRight", "ArrowRight") == "torch 2.6.0, choose to compare"
    assert "without evidence in some release" in walked(page, "Control+End")
    assert page.view.locator("#grid [tabindex='0']").count() == 1
    assert page.view.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_a_line_across_the_matrix_keeps_the_column(opened, written):
    page = opened(written)
    page.view.locator("#rows td[aria-label*='bounds float32, torch 2.12.1']").focus()

    assert walked(page, "ArrowDown").startswith("▸ 1 row: never violated")
    assert walked(page, "Enter").startswith("▾ 1 row: never violated")
    assert walked(page, "ArrowDown").startswith("weights.marginal.scale float32, torch")


def test_a_cell_opens_by_enter_and_gives_the_focus_back(opened, written):
    page = opened(written)
    cell = page.view.locator("#rows td[aria-label*='bfloat16, torch 2.6.0']")
    cell.focus()
    page.view.keyboard.press("Enter")
    detail = page.view.locator("#detail")
    said = detail.inner_text()

    assert page.view.evaluate("document.activeElement.closest('dialog') !== null")
    for part in (
        *("weights.marginal.scale bfloat16 in torch 2.6.0", "✕ violated", "2 of 2 claims violated"),
        *("std = gain / sqrt(fan)", "-0.68% of the promised std", "p < 1e-300", "row 17"),
        *("Known: half-std-low", "2.6.0 or before", "2.12.1", "print(w.std())"),
        "nox -s gate -- --baseline 2.11.0 --candidate 2.6.0 --tier quick --device cpu --seed 17 -k 'kaiming_normal_",
    ):
        assert part in said, part
    assert detail.locator("a").get_attribute("href") == "https://github.com/pytorch/pytorch/issues/166853"
    assert "#cell=weights.marginal.scale/bfloat16/2.6.0" in page.view.url

    page.view.keyboard.press("Escape")
    assert (
        walked(page)
        == "weights.marginal.scale bfloat16, torch 2.6.0: violated, 2 of 2 claims, -0.68% of the promised std"
    )


def test_a_cell_opens_by_a_click_and_leads_to_the_next_release(opened, written):
    page = opened(written)
    page.view.click("#rows td[aria-label*='bounds float32, torch 2.12.1']")
    detail = page.view.locator("#detail")

    assert "a weight of 0.5 lies outside [-0.4, 0.4]" in detail.inner_text()
    detail.get_by_role("button", name="2.13.0 →").click()
    assert "weights.contract.bounds float32 in torch 2.13.0" in detail.inner_text()
    assert "· holds" in detail.inner_text()
    detail.get_by_role("button", name="Close").click()
    assert not page.view.locator("#detail").is_visible()


def test_rows_are_filtered_by_words_and_by_state(opened, written):
    page = opened(written)
    assert page.found() == "2 of 6 rows"
    page.view.fill("input[name=words]", "MARGINAL gain")
    page.settle()
    assert page.found() == "2 of 6 rows"
    assert page.view.locator("#rows tr[data-row] th").all_inner_texts() == [
        "weights.marginal.scale float32",
        "weights.marginal.scale bfloat16",
    ]
    page.view.click("#clear")
    page.choose("rows", "undecided")
    assert page.found() == "6 of 6 rows"
    page.choose("rows", "newest")
    assert page.found() == "0 of 6 rows"
    assert "No row has all of that" in page.view.inner_text("#rows")
    page.choose("rows", "all")
    page.choose("suite", "training")
    assert page.found() == "1 of 6 rows"


def test_two_heads_are_gated_against_each_other(opened, written):
    page = opened(written)
    page.view.click("#grid thead th:has-text('2.1.2')")
    assert "cannot be compared: could not be installed" in page.view.inner_text("#picked")
    page.view.click("#grid thead th:has-text('2.12.1')")
    assert "choose another release" in page.view.inner_text("#picked")
    page.view.locator("#grid thead th", has_text="2.11.0").focus()
    page.view.keyboard.press("Enter")
    said = page.view.inner_text("#compared")

    assert "✕ stop Do not upgrade: 1 claim got worse, 2 got better" in said
    assert "nox -s report -- compare 2.11.0 2.12.1" in said
    assert "1 of 3 workloads is slower" in said
    assert "laws and grids of core subjects" in said
    groups = page.view.locator("#compared .changed").nth(0)
    assert groups.locator("summary").all_inner_texts() == [
        "new violation\nweights.contract.bounds float32\n1 claim",
        "mended\nweights.marginal.scale bfloat16\n2 claims",
    ]
    groups.locator("summary").nth(1).click()
    playwright.expect(groups.locator("li li")).to_have_count(2)
    assert page.view.locator("#compared .changed").nth(1).inner_text().startswith("another stream")
    assert page.view.url.endswith("#compare=2.11.0..2.12.1")
    assert page.view.locator("#grid th[aria-selected=true]").count() == 2


def test_a_cited_address_opens_what_it_names(opened, written):
    page = opened(written)
    page.view.evaluate("location.hash = '#compare=2.6.0..2.13.0'")
    playwright.expect(page.view.locator("#compared")).to_contain_text("compare 2.6.0 2.13.0")
    page.view.evaluate("location.hash = '#cell=weights.contract.bounds/float32/2.12.1'")
    playwright.expect(page.view.locator("#detail")).to_contain_text("a weight of 0.5 lies outside")
    page.view.keyboard.press("Escape")
    for nothing in ("#cell=a/b/c", "#compare=1..2", "#cell=%", "#compare=2.6.0"):
        page.view.evaluate(f"location.hash = '{nothing}'")
    page.settle()
    assert not page.view.locator("#detail").is_visible()


@pytest.mark.parametrize("which", ["written", "hostile"])
def test_the_page_is_never_wider_than_its_window(opened, request, which):
    page = opened(request.getfixturevalue(which))
    page.view.evaluate("document.querySelectorAll('details').forEach(e => (e.open = true))")
    page.choose("rows", "all")
    page.view.locator("#rows td").first.click()
    wide = "[document.documentElement.scrollWidth, document.querySelector('dialog').getBoundingClientRect().width]"
    for viewport in (DESKTOP, {"width": 768, "height": 1024}, PHONE, {"width": 320, "height": 640}):
        page.view.set_viewport_size(viewport)

        assert max(page.view.evaluate(wide)) <= viewport["width"]


def test_on_a_phone_the_matrix_scrolls_in_its_box_and_keeps_its_first_column(opened, written):
    page = opened(written, viewport=PHONE)
    places = page.view.evaluate(
        "() => { const box = document.getElementById('box'), head = document.querySelector('#rows tr[data-row] th');"
        "const at = left => { box.scrollLeft = left; return head.getBoundingClientRect().x; };"
        "return [box.scrollLeft > 0, at(0), at(60), box.scrollWidth > box.clientWidth]; }"
    )

    assert places[0], "the newest release is in sight"
    assert places[1] == places[2]
    assert places[3]


COLOURS = """([selector, ground]) => {
  const rgb = text => {
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(x => x / 255);
  };
  const light = text => {
    const [r, g, b] = rgb(text).map(x => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(document.querySelector(selector));
  const paper = getComputedStyle(document.body).backgroundColor;
  const under = style.backgroundColor === "rgba(0, 0, 0, 0)" ? paper : style.backgroundColor;
  const [a, b] = [light(style.color), light(under)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cells_stand_out_in_light_and_dark_and_can_be_read_without_colour(opened, written, scheme):
    page = opened(written, color_scheme=scheme)
    page.choose("rows", "all")
    contrasts = {f".is{rank}": page.view.evaluate(COLOURS, [f"#rows .is{rank}", ""]) for rank in range(4)}
    signs = page.view.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#rows td')]"
        ".map(e => [e.className, e.querySelector('b').innerText]))"
    )

    assert {name: found for name, found in contrasts.items() if found < 4.5} == {}  # WCAG 2.2, 1.4.3
    assert page.view.evaluate(CONTRAST, ["--paper", "--candidate"]) >= 4.5, "a chosen head"
    assert len(set(signs.values())) == 4


def test_every_cell_and_control_has_a_name_that_says_its_state(opened, written):
    page = opened(written)
    page.choose("rows", "all")
    names = page.view.locator("#rows td").evaluate_all("all => all.map(e => e.getAttribute('aria-label'))")
    nameless = page.view.evaluate(
        "[...document.querySelectorAll('button, select, input, a, summary, [role=region]')]"
        ".filter(e => e.getClientRects().length && !(e.innerText || e.ariaLabel || '').trim())"
        ".filter(e => !e.labels?.[0]?.innerText.trim()).length"
    )

    assert page.view.get_attribute("#grid", "role") == "grid"
    assert len(names) == 36
    assert all(any(state in name for state in ("violated", "holds", "no evidence", "not asked")) for name in names)
    assert nameless == 0


def test_markup_in_a_record_stays_text_and_nothing_of_it_runs(opened, hostile):
    page = opened(hostile)
    view = page.view
    page.choose("rows", "all")
    details = view.evaluate(
        "[...document.querySelectorAll('#rows td.is0')].map(e => { e.click();"
        "return document.getElementById('detail').innerText; })"
    )
    view.evaluate("location.hash = '#compare=2.5.0..2.6.0'")
    view.evaluate("document.querySelectorAll('details').forEach(e => (e.open = true))")
    page.settle()

    assert view.evaluate("window.ran") is None
    assert len(details) == len(MARKUP)
    assert [told for told in details if "<img src=x onerror" in told]
    assert view.locator("main img, main script, dialog img, dialog script, header img").count() == 0
    assert "<img src=x onerror" in view.inner_text("#compared")


def test_without_its_script_the_violated_rows_are_there(opened, written):
    page = opened(written, java_script_enabled=False)

    assert page.view.locator("#grid tbody tr:not(.suite):not(.fold)").count() == 2
    assert "✕" in page.view.inner_text("#rows")
    assert page.view.is_visible("#speed figure svg >> nth=0")
    assert page.view.is_hidden("#filters")
