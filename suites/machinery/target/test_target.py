"""Targets: what can be named, what is missing in them, and one line on what is wrong with a name."""

from __future__ import annotations

import sys

import pytest
import torch

from fixtures.target.target import TORCH, TargetError, load_target
from suites.machinery.chance import SURE

WRONG = """\
import torch
def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    return torch.nn.init.normal_(tensor, generator=generator)
"""


@pytest.fixture
def importable(tmp_path, monkeypatch):
    """A folder whose modules can be imported, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in {"wrong_init", "target_wrong_init"}]:
        del sys.modules[name]


def test_torch_itself_is_the_usual_target():
    target = load_target(TORCH)

    assert target.kaiming_normal_ is torch.nn.init.kaiming_normal_
    assert target.lacking() == []


@SURE
def test_a_file_and_a_dotted_name_are_the_same_target(importable):
    (importable / "wrong_init.py").write_text(WRONG)
    weight = torch.zeros(8, 8)

    for name in ("wrong_init", str(importable / "wrong_init.py")):
        assert load_target(name).kaiming_normal_(weight) is weight


def test_an_object_in_a_module_can_be_a_target(importable):
    (importable / "wrong_init.py").write_text("import torch\nclass Vendor:\n    inner = torch.nn.init\n")

    assert load_target("wrong_init.Vendor.inner").kaiming_normal_ is torch.nn.init.kaiming_normal_


def test_what_a_target_lacks_is_torchs_and_is_told(importable):
    (importable / "wrong_init.py").write_text(WRONG)
    target = load_target("wrong_init")

    assert target.kaiming_uniform_ is torch.nn.init.kaiming_uniform_
    assert target.kaiming_normal_ is not torch.nn.init.kaiming_normal_
    assert "kaiming_uniform_" in target.lacking()
    assert "kaiming_normal_" not in target.lacking()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("no_such_module", None, "no module of that name (a dotted name or a path ending in .py is accepted)"),
        ("no/such/file.py", None, "no such file"),
        ("wrong_init", "import no_such_package", "importing it fails: No module named 'no_such_package'"),
        ("wrong_init", "1 / 0", "importing it fails: ZeroDivisionError: division by zero"),
        ("wrong_init", "def kaiming_normal_(:", "importing it fails: SyntaxError: invalid syntax"),
        ("wrong_init.Vendor", WRONG, "wrong_init has no 'Vendor'"),
        ("wrong_init", "pi = 3", "answers none of torch.nn.init's names (constant_, "),
        ("json", None, "answers none of torch.nn.init's names"),
        ("wrong_init.py", "1 / 0", "importing it fails: ZeroDivisionError: division by zero"),
    ],
)
def test_a_target_that_cannot_be_used_is_refused_in_one_line(importable, monkeypatch, name, content, says):
    monkeypatch.chdir(importable)
    if content is not None:
        (importable / "wrong_init.py").write_text(content)

    with pytest.raises(TargetError) as refusal:
        load_target(name)

    assert str(refusal.value).startswith(f"--target {name}: ")
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
