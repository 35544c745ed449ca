"""Known violations: what an entry covers, and one line on a file that cannot be used."""

from __future__ import annotations

import pytest

from fixtures.known import KnownError, read_known
from suites.conftest import KNOWN_VIOLATIONS
from suites.machinery.making_runs import violated

ENTRY = """\
[[known]]
id = "half-normal"
releases = ">=2.2,<2.12"
claims = ["weights.marginal.scale", "weights.marginal.tail*"]
subject = { dtype = ["bfloat16", "float16"], device = ["cpu"] }
effect = "std 0.7 % low"
reason = "8 bits"
reference = "https://example.org/166853"
"""


@pytest.fixture
def written(tmp_path):
    """Writes a data file and returns its path."""

    def write(text):
        (tmp_path / "known.toml").write_text(text)
        return tmp_path / "known.toml"

    return write


@pytest.mark.parametrize(
    ("family", "dtype", "torch_version", "covered"),
    [
        ("weights.marginal.scale", "bfloat16", "2.6.0", True),
        ("weights.marginal.tail4", "float16", "2.11.0+cpu", True),
        ("weights.marginal.scale", "bfloat16", "2.12.0.dev20260101", False),  # a nightly of 2.12 is no 2.11
        ("weights.marginal.scale", "bfloat16", "2.6.0a0+git1234", True),
        ("weights.marginal.scale", "bfloat16", "2.13.0", False),
        ("weights.marginal.scale", "float32", "2.6.0", False),
        ("weights.marginal.location", "bfloat16", "2.6.0", False),
    ],
)
def test_an_entry_covers_its_claims_subjects_and_releases(written, family, dtype, torch_version, covered):
    (entry,) = read_known(written(ENTRY))

    assert entry.covers(violated(family, dtype), torch_version) is covered


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[known]", "known.toml: Expected"),
        (ENTRY.replace("effect", "efect"), "unknown field `efect`"),
        (ENTRY.replace('"weights.marginal.scale", "weights.marginal.tail*"', "7"), "Expected `str`, got `int`"),
        (ENTRY.replace(">=2.2", "since 2.2"), "known.toml: half-normal: releases: Invalid specifier: 'since 2.2"),
        (ENTRY.replace("device = ", "devise = "), "known.toml: half-normal: subject: no field 'devise'"),
        (ENTRY + ENTRY, "known.toml: half-normal stands twice"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(written, text, says):
    with pytest.raises(KnownError) as error:
        read_known(written(text))

    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(KnownError, match="No such file"):
        read_known(tmp_path / "none.toml")


def test_an_empty_file_knows_nothing(written):
    assert read_known(written("")) == ()


def test_the_projects_own_file_can_be_used():
    assert read_known(KNOWN_VIOLATIONS)
