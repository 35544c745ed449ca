"""Releases as a user names them, from those that an index lists."""

from __future__ import annotations

import pytest

from fixtures.environments.failures import Unusable
from fixtures.environments.pip import Pip
from fixtures.history.options import HistoryError, parse_options
from fixtures.history.releases import ReleaseError, chosen, final, newest_patches, newest_two

LISTED = (
    "2.14.1",
    "2.14.1+cpu",
    "2.14.0",
    "2.12.1",
    "2.10.0",
    "2.9.1",
    "2.9.0",
    "2.2.2",
    "2.2.0",
    "2.1.0",
    "2.15.0.dev20261101",
)


def test_releases_come_oldest_first_without_nightlies():
    assert final(LISTED) == ("2.1.0", "2.2.0", "2.2.2", "2.9.0", "2.9.1", "2.10.0", "2.12.1", "2.14.0", "2.14.1")


def test_the_newest_patch_of_each_minor_release_from_the_oldest_supported_on():
    assert newest_patches(LISTED, "2.2.2") == ("2.2.2", "2.9.1", "2.10.0", "2.12.1", "2.14.1")


def test_the_newest_torch_is_a_nightly_or_a_release():
    assert newest_two(LISTED) == ("2.15.0.dev20261101", "2.14.1")
    assert newest_two(LISTED[:-1]) == ("2.14.1", "2.14.0")
    for few in (("2.14.1",), ()):
        with pytest.raises(ReleaseError, match="no release before"):
            newest_two(few)


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("2.9.0", ["2.9.0"]),
        ("2.9.0, 2.2.0,2.9.0", ["2.2.0", "2.9.0"]),
        ("2.9.0..2.12.1", ["2.9.0", "2.9.1", "2.10.0", "2.12.1"]),
        # What an index lacks on this Python is named all the same, and a range's ends are.
        ("1.13.1", ["1.13.1"]),
        ("2.13.0..2.14.1", ["2.13.0", "2.14.0", "2.14.1"]),
        ("2.2.0..2.2.2,2.15.0.dev20261101", ["2.2.0", "2.2.2", "2.15.0.dev20261101"]),
    ],
)
def test_named_releases(named, found):
    assert chosen(named, LISTED) == tuple(found)
    assert parse_options(["--releases", named]).releases == named


@pytest.mark.parametrize("named", ["", "latest", "2.6.0..", "2.9.0..2.2.0", "2.2.0..2.6.0..2.9.0", "2.6.0,,2.9.0"])
def test_what_names_no_release_is_refused_in_one_line(named):
    with pytest.raises(ReleaseError, match="accepted: releases"):
        chosen(named, LISTED)
    with pytest.raises(HistoryError, match="--releases '") as error:
        parse_options(["--releases", named])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--release", "2.6.0"], "accepted: --help, --releases, --again"),
        (["--speed", "--page"], "argument --page: not allowed with argument --speed"),
        (["--timeout", "0"], "'0' is not a number of seconds"),
        (["--timeout", "soon"], "'soon' is not a number of seconds"),
        (["2.6.0"], "unrecognized arguments: 2.6.0"),
    ],
)
def test_other_options_are_refused_in_one_line(words, says):
    with pytest.raises(HistoryError) as error:
        parse_options(words)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def pip(folder, output, code=0):
    """A pip that answers any command so."""
    script = folder / "pip"
    script.write_text(f"#!/bin/sh\nprintf '{output}'\necho \"$@\" > {folder}/told\nexit {code}\n")
    script.chmod(0o755)
    return Pip((str(script),), {}, print)


@pytest.mark.subprocess
def test_pip_lists_the_versions_of_an_index(tmp_path):
    said = "WARNING: experimental\\ntorch (2.14.1)\\nAvailable versions: 2.14.1, 2.6.0, \\n  INSTALLED: 2.6.0\\n"

    assert pip(tmp_path, said).versions("torch") == ("2.14.1", "2.6.0")
    assert (tmp_path / "told").read_text() == "index versions torch --disable-pip-version-check\n"
    pip(tmp_path, said).versions("torch", pre=True)
    assert "--pre" in (tmp_path / "told").read_text()


@pytest.mark.subprocess
@pytest.mark.parametrize(("said", "code"), [("ERROR: no", 1), ("", 0), ("Available versions: 1.0\\n", 2)])
def test_an_index_that_does_not_answer(tmp_path, said, code):
    with pytest.raises(Unusable, match=r"pip lists no versions of torch \(exit status") as error:
        pip(tmp_path, said, code).versions("torch")
    assert error.value.failure.blames == "surroundings"
