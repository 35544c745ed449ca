"""The packages that a user may add beside torch, and the messages about others."""

import pytest

from fixtures.environments.additions import ACCEPTED, AdditionError, in_words, parse_additions
from suites.machinery.making.wheels import make_wheel


@pytest.mark.parametrize(
    ("text", "requirement", "name", "is_settled"),
    [
        ("transformers==4.57.1", "transformers==4.57.1", "transformers", True),
        (" Transformers [torch] == 4.57.1 ", "Transformers[torch]==4.57.1", "transformers", True),
        ("local===1.0+a", "local===1.0+a", "local", True),
        ("timm", "timm", "timm", False),
        ("timm>=1", "timm>=1", "timm", False),
        ("timm==1.*", "timm==1.*", "timm", False),
        ("torch-geometric==2.6", "torch-geometric==2.6", "torch-geometric", True),
        ("own @ https://host.test/own-1.whl", "own@ https://host.test/own-1.whl", "own", False),
    ],
)
def test_a_requirement_is_for_pip_to_install(text, requirement, name, is_settled):
    (addition,) = parse_additions([text])

    assert addition.requirement.replace(" @", "@") == requirement
    assert (addition.name, addition.is_settled) == (name, is_settled)


def test_what_is_named_twice_is_added_once():
    assert [each.text for each in parse_additions(["b==1", "a", "b==1"])] == ["b==1", "a"]


def test_a_file_is_settled_by_its_content(tmp_path):
    (addition,) = parse_additions([f"own @ {make_wheel(tmp_path, '1.0', name='own').as_uri()}"])

    assert addition.is_settled
    assert addition.file == tmp_path / "own-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("text", "version", "settled"),
    [
        ("timm[extra]>=1", "1.0.9", "timm[extra]==1.0.9"),
        ("timm; python_version > '3'", "1.0.9", 'timm==1.0.9; python_version > "3"'),
        ("timm; python_version < '3'", "", 'timm; python_version < "3"'),
        ("timm==1.0", "1.0", "timm==1.0"),
    ],
)
def test_what_pip_said_is_what_it_is_told_to_install(text, version, settled):
    assert parse_additions([text])[0].settled(version) == settled


def test_credentials_are_for_pip_alone():
    (addition,) = parse_additions(["own @ https://user:s3cr3t@host.test/own-1.whl?token=s3cr3t"])

    assert "s3cr3t" in addition.requirement
    assert "s3cr3t" not in in_words([addition])
    assert in_words([addition]) == " with own @ https://host.test/own-1.whl"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "is no requirement"),
        ("transformers=4.57", "is no requirement"),
        ("transformers==4.57.x", "is no requirement"),
        ("transformers 4.57", "is no requirement"),
        ("-r requirements.txt", "is no requirement"),
        ("--index-url https://host.test x", "is no requirement"),
        ("./own-1.0-py3-none-any.whl", "is no requirement"),
        ("torch==2.6.0", "names torch, which --baseline and --candidate name"),
        ("Torch", "names torch, which --baseline and --candidate name"),
        ("torch @ https://host.test/torch.whl", "names torch, which --baseline and --candidate name"),
        ("own @ file:///", "is a source folder, whose builds cannot be distinguished; build a wheel of it"),
        ("own @ file:///no/such/own.whl", "does not exist"),
    ],
)
def test_anything_else_is_refused_in_one_line(text, wrong):
    with pytest.raises(AdditionError) as error:
        parse_additions(["timm", text])

    told = str(error.value)
    assert told.startswith(f"{text.strip()!r} {wrong}")
    assert "\n" not in told
    assert (f"; accepted: {ACCEPTED}" in told) == (wrong == "is no requirement")
