"""A gate of runs that were asked on two devices: verdict, drift, terminal and page name the one that differs."""

from __future__ import annotations

import pytest

from fixtures.record.exit_codes import PASS, STOP
from fixtures.record.file_names import PAGE
from reports.commands.command_line import run as report
from reports.renderers.page.document import render_page
from reports.verdict.gate import gate
from reports.view.evidence import evidence
from reports.view.gate import gate_view
from suites.machinery.making.pages import CARD, CORE, HALF, TRAINED, of_two_devices
from suites.machinery.making.runs import write


@pytest.fixture
def folders(tmp_path):
    """Both runs on disk."""
    return [write(tmp_path / run.label, run) for run in of_two_devices()]


@pytest.fixture(scope="module")
def verdict():
    return gate(*of_two_devices())


@pytest.fixture(scope="module")
def page(verdict):
    base, candidate = of_two_devices()
    return render_page(gate_view(verdict, base, candidate, references={}), evidence(verdict, base, candidate))


@pytest.mark.pages
def test_the_same_on_both_devices_passes(folders, capsys):
    base, _ = folders
    twin = base.parent / "twin"
    write(twin, of_two_devices()[0])

    assert report(["gate", str(base), str(twin)]) == PASS
    assert "devices cpu,cuda" in capsys.readouterr().out


def test_every_reason_names_the_device_that_differs(verdict):
    texts = [reason.text for reason in verdict.reasons]

    def told(begins):
        return next(text for text in texts if text.startswith(begins))

    assert told("new violation: ").startswith(
        "new violation: weights.marginal.scale of kaiming_normal_ in bfloat16 on cuda"
    )
    assert told("another law of ").startswith("another law of kaiming_normal_-fan_in-relu-64x32-float32-cuda: ")
    changed = ", ".join(f"kaiming_normal_ in {dtype} on cuda" for dtype in ("bfloat16", "float32"))
    assert told("stream changed").endswith(f"for 2 of 4 subjects: {changed}")
    assert told("Adam").startswith("Adam(lr=0.001)-any-float32-tutorial-cuda: the loss of step 4 departs")


def test_what_is_known_of_the_processor_is_no_news_of_the_card(verdict):
    [known] = [reason.text for reason in verdict.reasons if "half-uniform-upper-end" in reason.text]

    assert "of kaiming_normal_ in bfloat16: " in known
    assert CARD not in known


@pytest.mark.pages
def test_the_commands_to_repeat_ask_both_devices(folders, capsys):
    assert report(["gate", *map(str, folders)]) == STOP

    said = " ".join(capsys.readouterr().out.split())
    assert "--device cpu,cuda --seed 17" in said
    assert 'device = ["cuda"]' in said
    assert (folders[1] / PAGE).exists()


@pytest.mark.parametrize("subject", [CORE, HALF, TRAINED], ids=lambda subject: subject.key)
def test_the_page_draws_each_subject_on_each_device(page, subject):
    for device in ("cpu", CARD):
        assert f"{subject.key.removesuffix('-cpu')}-{device}" in page


def test_titles_of_training_name_the_card(page):
    assert "Adam(lr=0.001) on the tutorial network in float32 on cuda" in page
    assert "Adam(lr=0.001) on the tutorial network in float32<" in page
