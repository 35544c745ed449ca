"""Packages that a requirement brought, by the metadata of some that are made for it."""

from __future__ import annotations

import sys

import pytest

from suites.framework.additions import brought_by
from suites.machinery.making.wheels import make_wheel

NEEDS = {
    "kg-model": ["Kg_Hub>=1", "kg-extra; extra == 'vision'", "kg-absent", "kg-old; python_version < '3'", "torch>=2"],
    "kg-hub": ["kg-tokens[fast]", "kg-model"],
    "kg-tokens": ["kg-rust; extra == 'fast'", "no such (thing"],
    "torch": ["kg-of-torch"],
    **{name: [] for name in ("kg-rust", "kg-extra", "kg-old", "kg-of-torch")},
}
"""Requirements of each installed package: with a circle, an extra, a marker, and a text from before the standard."""


@pytest.fixture(autouse=True)
def packages(tmp_path, monkeypatch):
    """Packages that are found before all others; a wheel's metadata lies in it as in a folder."""
    for name, needs in NEEDS.items():
        monkeypatch.syspath_prepend(str(make_wheel(tmp_path, "1.0", name=name.replace("-", "_"), needs=needs)))
    assert set(sys.path) >= {str(tmp_path / "kg_hub-1.0-py3-none-any.whl")}


@pytest.mark.parametrize(
    ("requirement", "brought"),
    [
        ("Kg.Model==1.0", ("kg-model", "kg-hub", "kg-rust", "kg-tokens")),
        ("kg-model[vision]", ("kg-model", "kg-extra", "kg-hub", "kg-rust", "kg-tokens")),
        ("kg-tokens @ https://host.test/kg.whl", ("kg-tokens",)),
        ("kg-absent>=1", ("kg-absent",)),
    ],
)
def test_what_came_is_followed_to_its_end_but_not_through_torch(requirement, brought):
    assert brought_by(requirement) == brought
