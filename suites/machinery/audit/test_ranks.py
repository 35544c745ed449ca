"""The audit of a model that ranks hold together names the parameter and what is wrong with it."""

from __future__ import annotations

import re

import pytest

from fixtures.audit.intended_laws import read_statement
from fixtures.words.console import CommandError, show
from suites.audit import command
from suites.audit.ranks import ask, page_of
from suites.machinery.chance import SURE, fresh_seed

pytestmark = pytest.mark.subprocess

MODELS = "suites.machinery.making.sharded_models"


def asked(world, model, *laws):
    found = ask(world, f"{MODELS}:{model}", tuple(map(read_statement, laws)), fresh_seed())
    return {parameter.name: parameter for parameter in found}


@SURE
def test_a_sound_model_holds(world):
    found = asked(world, "sound", "Linear=default")

    assert not [parameter for parameter in found.values() if parameter.wrong]
    assert {name: parameter.law for name, parameter in found.items() if parameter.law} == {
        "first.weight": "default",
        "second.weight": "default",
    }
    assert [name for name, parameter in found.items() if parameter.too_small] == ["second.bias"]


@SURE
@pytest.mark.parametrize(
    ("model", "law", "name", "words"),
    [
        (
            "equal_shards",
            "Linear=default",
            "first.weight",
            "only 1 of 4 shards is distinct: rank 1 has .*",
        ),
        ("forgotten", "Linear=default", "norm.weight", "256 elements were never written"),
        ("unequal_replicas", "*=he_normal", "weight", "4 of 4 replicas differ: rank 1 holds other weights than rank 0"),
        (
            "fan_of_the_shard",
            "*=he_normal",
            "weight",
            r"its std is (1\.9|2|2\.0)\d* times that of he_normal, as with the fan of a shard of 128x64",
        ),
    ],
)
def test_a_mistake_is_named_with_its_parameter(model, law, name, words, world, capsys):
    found = asked(world, model, law)

    assert len(found[name].wrong) == 1
    assert re.fullmatch(words, found[name].wrong[0])
    show(page_of(model, list(found.values()), 4, 1))
    page = capsys.readouterr().out
    assert f"{name}: {found[name].wrong[0][:20]}" in page
    assert "violated: " in page


def test_a_builder_that_fails_on_a_rank_is_named_in_one_line(world):
    with pytest.raises(CommandError, match=r"^BUILDER .*: rank 1 of 4 raised ValueError: no such layer$"):
        asked(world, "failing")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([f"{MODELS}:sound", "--nproc", "1"], "error: --nproc 1: an integer from 2 is accepted"),
        (
            [f"{MODELS}:sound", "--nproc", "2", "--input-shape", "1,3"],
            "error: --input-shape: is not asked of ranks; with --nproc, --law and --seed are accepted",
        ),
        ([f"{MODELS}:nothing", "--nproc", "2"], f"error: BUILDER {MODELS}:nothing: "),
    ],
)
def test_what_cannot_be_asked_ends_in_one_line(arguments, words, capsys):
    assert command.run(arguments) == 2
    assert capsys.readouterr().err.startswith(words)
