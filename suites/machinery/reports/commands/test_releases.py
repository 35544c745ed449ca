"""Commands on the history of releases: a run that is kept, two records that are gated, one claim over all of them."""

from __future__ import annotations

import json

import pytest

from fixtures.clock.results import write_pairing
from fixtures.record.claim import Effect, Unit
from fixtures.record.file_names import HISTORY_MARKDOWN, HISTORY_PAGE
from fixtures.record.release_record import questions_path, read_release, record_path, write_questions
from reports.commands import command_line
from reports.releases.condensation import questions_of
from reports.releases.speed import read_links, write_link
from reports.verdict.gate import gate
from suites.machinery.making.chains import link, pairing
from suites.machinery.making.releases import KEY, answering, not_installed, write_history
from suites.machinery.making.runs import claim, contract, failure, violated, write

CLAIMS = violated(effect=Effect(-0.7, Unit.STD, 0.01)), contract()
HEALTHY = claim(effect=Effect(0.01, Unit.STD, 0.01)), contract()
RUNS = {"2.6.0": answering("2.6.0", *CLAIMS), "2.13.0": answering("2.13.0", *HEALTHY)}


@pytest.fixture
def history(tmp_path):
    return write_history(tmp_path / "history", RUNS)


@pytest.fixture
def reports(capsys):
    """Run the reports' command line; exit status, what it printed and what went wrong."""

    def run(*words):
        code = command_line.run([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_run_is_kept_with_its_questions_and_what_it_cost(reports, tmp_path):
    folder, into = write(tmp_path / "run", RUNS["2.6.0"]), tmp_path / "history"
    cost = ("--gigabytes", "4.5", "--build-seconds", "61")
    code, out, _ = reports("condense", folder, "--release", "2.6.0", "--key", KEY, "--into", into, *cost)
    kept = read_release(record_path(into, "2.6.0"))

    assert code == 0
    assert out.startswith("2.6.0: 1 holds, 1 violated, 0 no evidence; ")
    assert (kept.cost.gigabytes, kept.cost.build_seconds, kept.cost.run_seconds) == (4.5, 61, 30.5)
    assert questions_path(into, KEY).with_suffix(".json.xz").exists()


def test_a_run_with_other_questions_is_refused(reports, tmp_path, history):
    write_questions(history, questions_of(answering("2.6.0", *CLAIMS), "other"))
    folder = write(tmp_path / "run", answering("2.5.1", *CLAIMS, claim("weights.more.scale")))
    code, _, err = reports("condense", folder, "--release", "2.5.1", "--key", "other", "--into", history)

    assert code == 2
    assert "makes claims that no other release makes, such as weights.more.scale/" in err


def test_two_releases_are_gated_by_their_records(reports, history):
    code, out, _ = reports("compare", "2.13.0", "2.6.0", "--history", history)
    whole = gate(RUNS["2.13.0"], RUNS["2.6.0"])

    assert code == whole.exit_code == 1
    assert " STOP   torch 2.13.0 -> 2.6.0" in out
    assert "1. stop: new violation: weights.marginal.scale of kaiming_normal_ in" in out
    assert "laws and grids of core subjects" in out
    assert reports("compare", "2.6.0", "2.13.0", "--history", history)[0] == 0


def test_a_link_of_the_speed_chain_is_part_of_the_comparison(reports, history):
    slower = (0.4, 0.41, 0.39, 0.4, 0.41, 0.39)
    write_link(history, link("2.6.0", "2.13.0", {"init/kaiming_normal_/1024x1024/float32": slower}))
    code, out, _ = reports("compare", "2.6.0", "2.13.0", "--history", history)

    assert code == 1
    assert "is slower: takes 1.49" in " ".join(out.split())


def test_a_session_of_the_clock_is_kept_as_a_link(reports, tmp_path):
    write_pairing(tmp_path / "timings.json", pairing({"init/a": (0.01, 0.02) * 3, "init/fused": ()}))
    words = ("--older", "2.5.0", "--newer", "2.6.0", "--key", "clock", "--into", tmp_path)
    code, out, _ = reports("link", tmp_path / "timings.json", *words)

    assert code == 0
    assert "  without a ratio: init/fused: the baseline cannot run it" in out
    assert [(link.older, link.newer, link.key) for link in read_links(tmp_path)] == [("2.5.0", "2.6.0", "clock")]


def test_a_long_link_that_disagrees_is_told_when_it_is_kept(reports, tmp_path):
    steady, slower = (0.0, 0.01, -0.01, 0.0, 0.01, -0.01), (0.5, 0.51, 0.49, 0.5, 0.51, 0.49)
    for older, newer in (("2.5.0", "2.6.0"), ("2.6.0", "2.7.1")):
        write_link(tmp_path, link(older, newer, {"init/a": steady}))
    write_pairing(tmp_path / "timings.json", pairing({"init/a": slower}))
    words = ("--older", "2.5.0", "--newer", "2.7.1", "--key", "clock", "--into", tmp_path)

    assert (
        "chain and long link disagree: init/a, 2.5.0 -> 2.7.1: 1.000"
        in reports("link", tmp_path / "timings.json", *words)[1]
    )


def test_a_session_in_which_nothing_was_timed_is_no_link(reports, tmp_path):
    write_pairing(tmp_path / "timings.json", pairing({"init/a": ()}, verdict="no evidence", reason="no restarts"))
    words = ("--older", "2.5.0", "--newer", "2.6.0", "--key", "clock", "--into", tmp_path)
    code, _, err = reports("link", tmp_path / "timings.json", *words)

    assert (code, read_links(tmp_path)) == (2, ())
    assert "2.5.0 -> 2.6.0: nothing was timed (no restarts)" in err


def test_a_link_of_other_builds_is_none_of_its(reports, history):
    other = {"baseline": {"torch": "2.6.0+vendor"}}
    write_link(history, link("2.6.0", "2.13.0", {"init/kaiming_normal_/1024x1024/float32": (0.4,) * 6}, **other))

    assert "speed was not measured" in reports("compare", "2.6.0", "2.13.0", "--history", history)[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("2.6.0", "2.6.0"), "2.6.0 and 2.6.0 are the same release"),
        (("2.6.0", "2.7.1"), "2.7.1 has no record in reports/history (those that have: 2.6.0, 2.13.0)"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(reports, history, words, says):
    code, _, err = reports("compare", *words, "--history", history)

    assert code == 2
    assert says in err
    assert err.count("\n") == 1


def test_records_of_other_suites_are_not_compared(reports, history):
    write_history(history, {"2.5.1": answering("2.5.1", *CLAIMS)}, key="other")
    code, _, err = reports("compare", "2.5.1", "2.13.0", "--history", history)

    assert code == 2
    assert "2.5.1 and 2.13.0 were asked by other suites (other and 0123456789abcdef)" in err


def test_a_release_that_does_not_install_stops_as_a_candidate(reports, history):
    write_history(history, {"2.15.0": not_installed("2.15.0")})

    code, out, _ = reports("compare", "2.13.0", "2.15.0", "--history", history)
    assert code == 2
    assert "the candidate could not be installed: torch==2.15.0 was not found" in " ".join(out.split())


def test_one_claim_over_all_releases(reports, history):
    write_history(history, {"2.1.0": not_installed("2.1.0")})
    code, out, _ = reports("claim", CLAIMS[0].id, "--history", history)

    assert code == 0
    assert [line.split(":")[0].split(maxsplit=1) for line in out.splitlines()] == [
        ["2.1.0", "no evidence"],
        ["2.6.0", "violated"],
        ["2.13.0", "holds"],
    ]
    assert "-0.7% of the promised std" in out
    told = json.loads(reports("claim", CLAIMS[0].id, "--history", history, "--json")[1])
    assert told["2.6.0"] == {"state": "violated", "key": KEY}


def test_what_other_suites_did_not_ask_is_left_to_be_asked(reports, history):
    write_history(history, {"2.5.1": answering("2.5.1", contract())}, key="other")

    assert "2.5.1" not in reports("claim", CLAIMS[0].id, "--history", history)[1]


def test_a_claim_that_nobody_makes_is_refused_with_the_nearest(reports, history):
    code, _, err = reports("claim", CLAIMS[0].id.replace("scale", "scales"), "--history", history)

    assert code == 2
    assert f"no recorded release has such a claim; {CLAIMS[0].id}?" in err


def test_a_damaged_record_is_refused_in_one_line(reports, history):
    record_path(history, "2.6.0").with_suffix(".json.xz").write_bytes(b"cut off")

    for words in (("compare", "2.6.0", "2.13.0"), ("claim", CLAIMS[0].id)):
        code, _, err = reports(*words, "--history", history)
        assert code == 2
        assert f"{record_path(history, '2.6.0')}.xz: damaged" in err or "2.6.0.json" in err
        assert err.count("\n") == 1


def test_a_run_cut_short_is_kept_as_such(reports, tmp_path):
    folder = write(tmp_path / "run", RUNS["2.6.0"])
    (folder / "manifest.json").unlink()
    (folder / "failure.json").write_text(json.dumps({**vars(failure()), "tail": []}))
    code, out, _ = reports("condense", folder, "--release", "2.6.0", "--key", KEY, "--into", tmp_path / "history")

    assert code == 0
    assert "crashed (SIGSEGV)" in out


def test_the_page_and_its_markdown_are_drawn_from_the_records(reports, history, tmp_path):
    code, out, _ = reports("history", "--records", history, "--into", tmp_path / "new" / "folder")

    assert code == 0
    assert out.startswith("2 releases: ")
    for name in (HISTORY_PAGE, HISTORY_MARKDOWN):
        assert "2.13.0" in (tmp_path / "new" / "folder" / name).read_text(encoding="utf-8")


def test_without_records_no_page_is_drawn(reports, tmp_path):
    code, _, err = reports("history", "--records", tmp_path / "none", "--into", tmp_path)

    assert (code, list(tmp_path.iterdir())) == (2, [])
    assert "no release has a record there; nox -s history makes them" in err


def test_a_page_that_cannot_be_written_is_said_in_one_line(reports, history, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = reports("history", "--records", history, "--into", tmp_path / "file")

    assert code == 2
    assert "cannot be written" in err
    assert len(err.splitlines()) == 1
