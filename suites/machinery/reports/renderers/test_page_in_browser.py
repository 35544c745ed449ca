"""The page of a gate in a real browser: filters, claims that open, keyboard, widths; nothing that leaves or runs."""

from __future__ import annotations

import re

import pytest

from reports.renderers.page.plots import STYLE
from suites.machinery.making.browsers import CONTRAST, DESKTOP, PHONE, Opened
from suites.machinery.making.model_records import faulty_records
from suites.machinery.making.pages import CORE, HALF, MARKUP, hostile_material, material
from suites.machinery.making.times import guard, pairing, timed

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CLOCK = pairing(
    timed("init/trunc_normal_", 6.1, "regressed"),
    timed("init/kaiming_normal_", 1.01),
    timed("model/step", 1.02),
    guards=[guard()],
)

MOST_BYTES = 5 << 20
MOST_SECONDS = 1.0
"""What a page may weigh and take until all of it can be used; of the browser's own time on a core, since others share
the machine that this runs on."""


def shown(page: Opened) -> int:
    """Claims listed."""
    return page.view.locator("#claim-list > li").count()


@pytest.fixture(scope="module")
def written() -> str:
    return material(claims=120, clock=CLOCK).page()


@pytest.fixture(scope="module")
def owned() -> str:
    """A page with a user's own model that has a fault in each of its parts."""
    return material(claims=3, clock=CLOCK, model=faulty_records()).page()


# Filters


def test_at_first_what_does_not_hold_on_both_sides_is_listed(opened, written):
    page = opened(written)

    assert page.found() == "4 of 125 claims"
    assert shown(page) == 4
    assert page.view.locator("#claim-list .was").first.inner_text() == "new violation"


def test_every_filter_leaves_what_it_says_and_counts_it(opened, written):
    page = opened(written)
    counts = {}
    for name in ("family", "dtype", "device", "verdict"):
        options = page.view.locator(f"select[name={name}] option").evaluate_all(
            "all => all.map(o => [o.value, o.text])"
        )
        for value, text in options[1:]:
            page.view.select_option("select[name=verdict]", "")
            page.choose(name, value)
            counts[name, value] = page.found()
            assert page.found() == f"{text.rpartition('(')[2].rstrip(')')} of 125 claims"
            page.choose(name, "")

    assert counts["dtype", "bfloat16"] == "2 of 125 claims"
    assert counts["device", "cuda"] == "1 of 125 claims"
    assert counts["family", "weights.fan"] == "120 of 125 claims"
    assert counts["verdict", "remarkable"] == "4 of 125 claims"


def test_filters_narrow_each_other_and_words_are_looked_for_in_all_of_a_claim(opened, written):
    page = opened(written)
    page.choose("verdict", "")
    page.choose("dtype", "bfloat16")
    page.view.fill("input[name=words]", "LOCATION 64x32")
    page.settle()

    assert page.found() == "1 of 125 claims"
    assert page.view.locator("#claim-list .key").all_inner_texts() == [HALF.key]
    page.view.click("#clear")
    page.settle()
    assert page.found() == "125 of 125 claims"


def test_a_long_list_is_shown_in_parts(opened, written):
    page = opened(written)
    page.choose("verdict", "")

    assert shown(page) == 50
    assert page.view.inner_text("#more") == "Show 75 more of 75"
    page.view.click("#more")
    assert shown(page) == 125
    assert page.view.is_hidden("#more")


def test_a_reason_shows_its_claims_and_lets_them_go_again(opened, written):
    page = opened(written)
    page.view.locator("[data-rows]").first.click()
    page.settle()

    assert page.found() == "1 of 125 claims"
    assert page.view.inner_text("#chosen") == "Only the claims of reason 1: show all again"
    page.view.click("#chosen")
    page.settle()
    assert page.found() == "125 of 125 claims"


def test_a_family_of_the_table_is_a_filter(opened, written):
    page = opened(written)
    page.view.click("a[data-family='weights.fan']")
    page.settle()

    assert page.found() == "120 of 125 claims"


# Claims


def test_a_claim_opens_to_its_reading_power_seed_and_commands(opened, written):
    page = opened(written)
    page.choose("dtype", "bfloat16")
    claim = page.view.locator("#claim-list > li").first
    claim.locator("summary").click()
    body = claim.locator(".body")

    rows = dict(line.split("\t", 1) for line in body.locator("table").inner_text().splitlines()[1:])
    assert rows == {
        "verdict": "holds\tviolated",
        "measured": "0.01% of the promised std\t-0.7% of the promised std",
        "chance under the law": "p = 0.4\tp = 1e-40",
        "would have been seen from": "0.2% of the promised std\t0.2% of the promised std",
        "looked at": "9 300 000 samples\t9 300 000 samples",
        "seed": "7\t7",
    }
    assert "std = gain / sqrt(fan)" in body.inner_text()
    again, one = body.locator(".command code").all_inner_texts()
    assert again == (
        f"nox -s gate -- --baseline 2.13.0 --candidate 2.14.1 --tier quick --device cpu --seed 17 -k '{HALF.key}'"
    )
    assert one == f"python -m pytest suites/weights --tier quick --device cpu --seed 17 -k '{HALF.key}'"


def test_a_registered_violation_names_its_reference_as_a_link_that_tells_nobody(opened, written):
    page = opened(written)
    page.choose("verdict", "5")
    page.view.locator("#claim-list summary").first.click()
    link = page.view.locator("#claim-list .body a").first

    assert link.get_attribute("href") == "https://github.com/pytorch/pytorch/issues/1"
    assert link.get_attribute("rel") == "noreferrer"


def test_a_command_can_be_copied(opened, written):
    page = opened(written)
    page.view.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.view.locator(".command button").first
    button.click()
    playwright.expect(button).not_to_have_text("Copy")  # it says so once it is done

    assert page.view.evaluate("navigator.clipboard.readText()").startswith("nox -s gate -- --baseline 2.13.0")


# Whoever reads it, on whatever


def test_everything_can_be_reached_and_used_by_keyboard(opened, written):
    page = opened(written)
    view = page.view
    reached = []
    for _ in range(100):
        view.keyboard.press("Tab")
        reached.append(
            view.evaluate(
                "(e => e.id || e.name || e.dataset.family || e.closest('details, nav, .command')?.className"
                " || e.tagName)(document.activeElement)"
            )
        )
        if reached[-1] == "BODY":  # once around
            break
        assert view.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", reached[-1]
    assert {"words", "family", "verdict", "dtype", "device", "clear", "command", "weights.fan"} <= set(reached)

    view.locator("#claim-list summary").first.focus()
    view.keyboard.press("Enter")
    playwright.expect(view.locator("#claim-list .body")).to_have_count(1)
    view.keyboard.press("Enter")
    playwright.expect(view.locator("#claim-list details").first).not_to_have_attribute("open", re.compile(""))


def test_every_control_has_a_name(opened, written):
    page = opened(written)
    nameless = page.view.evaluate(
        "[...document.querySelectorAll('button, select, input, a, summary')]"
        ".filter(e => e.getClientRects().length && !(e.innerText || e.textContent).trim())"
        ".filter(e => !e.labels?.[0]?.innerText.trim()).length"
    )

    assert nameless == 0


@pytest.mark.parametrize("viewport", [PHONE, {"width": 320, "height": 640}, DESKTOP], ids=["phone", "small", "desktop"])
@pytest.mark.parametrize("which", ["whole", "hostile", "model"])
def test_the_page_is_never_wider_than_its_window(opened, written, owned, which, viewport):
    made = {"whole": written, "hostile": hostile_material(), "model": owned}[which]
    page = opened(made, viewport=viewport)
    page.view.evaluate("document.querySelectorAll('details').forEach(e => (e.open = true))")
    page.settle()

    assert page.view.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_in_light_and_dark(opened, written, scheme):
    page = opened(written, color_scheme=scheme)

    def contrast(name: str, ground: str = "--paper") -> float:
        return page.view.evaluate(CONTRAST, [name, ground])

    # WCAG 2.2: 4.5 for text (success criterion 1.4.3), 3 for lines and marks (1.4.11).
    texts = ("--ink", "--faint", "--wrong", "--pass", "--notice", "--unknown", "--stop", "--candidate")
    assert {name: contrast(name) for name in texts if contrast(name) < 4.5} == {}
    assert {name: contrast(name, "--raised") for name in texts if contrast(name, "--raised") < 4.5} == {}
    assert {name: contrast(name) for name in ("--baseline",) if contrast(name) < 3} == {}


def test_drawings_follow_light_and_dark(opened, written):
    colours = [
        opened(written, color_scheme=scheme).view.evaluate(
            "getComputedStyle(document.querySelector('figure svg text')).fill"
        )
        for scheme in ("light", "dark")
    ]

    assert colours[0] != colours[1]


@pytest.mark.parametrize("which", ["written", "owned"])
def test_letters_of_a_drawing_are_large_enough_on_a_phone(opened, which, request):
    page = opened(request.getfixturevalue(which), viewport=PHONE)
    heights = page.view.evaluate(
        "[...document.querySelectorAll('figure svg')].filter(e => e.getClientRects().length).map(e => {"
        "const t = e.querySelector('text'); return parseFloat(getComputedStyle(t).fontSize) * e.clientWidth / 360; })"
    )

    assert heights
    assert min(heights) >= 8 * PHONE["width"] * 0.85 / 360
    assert STYLE["xtick.labelsize"] >= 8


def test_printed_it_has_no_controls_and_folds_nothing_away(opened, written):
    page = opened(written)
    page.view.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.view.emulate_media(media="print")

    assert page.view.is_hidden("nav")
    assert page.view.is_hidden("#filters")
    assert page.view.locator("details.fold:not([open])").count() == 0
    assert len(page.view.pdf()) > 10_000


def test_without_its_script_the_essentials_are_there(opened, written):
    page = opened(written, java_script_enabled=False)
    view = page.view

    assert view.is_visible("h1")
    assert view.locator(".reasons li").count() >= 3
    assert view.is_visible("figure svg >> nth=0")
    assert view.is_visible("noscript")
    assert view.is_hidden("#filters")
    assert view.locator("#counts table tbody tr").count() >= 3


def test_training_is_shown_where_it_was_recorded_and_linked(opened, written):
    page = opened(written)
    page.view.click("nav a[href='#training']")

    assert page.view.is_visible("#training figure svg >> nth=0")
    assert page.view.locator("#training figure svg").count() == 2
    assert page.view.inner_text("#training h3").startswith("Adam(lr=0.001) on the tutorial network in float32")
    assert "identical" in page.view.inner_text("#training h3")


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_modules_of_a_model_are_bars_on_one_scale_beside_their_shares(opened, owned, viewport):
    page = opened(owned, viewport=viewport)
    page.view.click("nav a[href='#model']")
    rows = page.view.locator("#model .modules li:not(.head)")
    bars = rows.evaluate_all(
        "all => all.map(e => { const of = s => e.querySelector(s).getBoundingClientRect();"
        " return [of('.bar').x, of('.bar').width, of('.bar-limit').x, of('[class^=bar-]:not(.bar-limit)').width]; })"
    )

    assert len({tuple(round(number) for number in bar[:3]) for bar in bars}) == 1, "one scale"
    assert [row.split()[0] for row in rows.all_inner_texts()][:4] == [
        "(model)",
        "blocks.0",
        "blocks.0.norm",
        "blocks.0.act",
    ]
    beyond = rows.filter(has_text="✕ beyond rounding")
    assert beyond.count() == 1
    assert beyond.locator(".said").inner_text().startswith("21 output")
    lengths = [x + length > limit for x, _, limit, length in bars]
    assert sum(lengths) == 3, "the module at fault and the two that contain it"
    assert page.view.is_visible("#model figure svg")


# Nothing runs but the page


def test_markup_in_a_run_file_stays_text_and_nothing_of_it_runs(opened):
    page = opened(hostile_material())
    view = page.view
    page.choose("verdict", "")
    view.click("#more") if view.is_visible("#more") else None
    for summary in view.locator("summary").all():
        summary.evaluate("e => e.parentElement.open = true")
    page.settle()

    assert view.evaluate("window.ran") is None
    playwright.expect(view.locator("#claim-list .body")).to_have_count(len(MARKUP))
    assert view.locator("main img, main script, header img, header script").count() == 0
    assert "<img src=x onerror" in view.inner_text("#claim-list")
    assert view.locator("a[href]:not([href^='#'])").count() == 0


def test_what_would_run_is_kept_from_running_by_the_policy(opened, written):
    """Planted: a script, a handler and a picture, as if the escaping had a hole."""
    hole = "<script>window.ran=1</script><img src='https://example.org/x.png' onerror='window.ran=2'></main>"
    page = opened(written.replace("</main>", hole))
    page.settle()

    assert page.view.evaluate("window.ran") is None
    assert len(page.complaints) >= 2
    assert all("Content Security Policy" in complaint for complaint in page.complaints)
    page.complaints.clear()
    page.requests[:] = page.requests[:1]


# Size and speed


@pytest.fixture(scope="module")
def large() -> str:
    """A gate of 7000 claims with everything drawn that a page draws."""
    return material(claims=7000, clock=CLOCK).page()


def test_a_page_of_seven_thousand_claims_is_small_and_opens_at_once(opened, large):
    assert len(large.encode()) < MOST_BYTES
    page = opened(large)
    meter = page.view.context.new_cdp_session(page.view)
    meter.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.view.reload()
    page.settle()
    measured = {entry["name"]: entry["value"] for entry in meter.send("Performance.getMetrics")["metrics"]}
    del page.requests[1:]

    assert measured["TaskDuration"] < MOST_SECONDS
    assert page.found() == "4 of 7005 claims"


def test_a_filter_answers_at_once(opened, large):
    page = opened(large)
    seconds = page.view.evaluate(
        "() => { const s = document.querySelector('select[name=verdict]'); const t = performance.now();"
        "s.value = ''; s.dispatchEvent(new Event('input', {bubbles: true}));"
        "return new Promise(done => setTimeout(() => done((performance.now() - t) / 1000), 0)); }"
    )

    assert shown(page) == 50
    assert seconds < MOST_SECONDS


@pytest.mark.pages
def test_core_subjects_are_drawn(written):
    assert f"<code>{CORE.key}</code>" in written
