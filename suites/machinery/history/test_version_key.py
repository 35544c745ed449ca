"""The version key of the suites: another one where a release is asked or judged otherwise, and only there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fixtures.history import version_key
from fixtures.history.version_key import asking_modules
from fixtures.record.choices import SUITES
from fixtures.record.file_names import ROOT

LAW = '''"""A law."""
from fixtures.record.subject import seed_for
from fixtures.rules import policy


def std(fan):
    """Standard deviation."""
    return f"{fan:.{3}f} {2 / fan}"  # gain
'''
TREE = {
    "suites/conftest.py": "import fixtures.weights.law\n",
    "suites/weights/test_law.py": "from fixtures.weights import law\nassert law.std(2)\n",
    "suites/framework/judge.py": "LEVEL = 1e-4\n",
    "suites/machinery/test_house.py": "import fixtures.weights.other\n",
    "fixtures/weights/law.py": LAW,
    "fixtures/weights/other.py": "",
    "fixtures/record/subject.py": "def seed_for(): pass\n",
    "fixtures/record/run_folder.py": "x = 1\n",
    "fixtures/rules/policy.py": "x = 1\n",
}
"""A checkout in which each file of interest is small."""


@pytest.fixture
def checkout(tmp_path):
    for name, content in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("fixtures/weights/law.py", LAW.replace("2 / fan", "2.0 / fan")),
        ("fixtures/weights/law.py", LAW.replace("f} {", "f}  {")),
        ("fixtures/weights/law.py", LAW.replace("{3}", "{4}")),
        ("fixtures/record/subject.py", "def seed_for(): return 1\n"),
        ("suites/weights/test_law.py", "from fixtures.weights import law\nassert law.std(3)\n"),
        ("suites/weights/test_more.py", "assert True\n"),
        ("suites/framework/judge.py", "LEVEL = 1e-5\n"),
    ],
)
def test_what_decides_an_answer_changes_the_key(checkout, file, content):
    before = version_key.version_key(checkout)
    (checkout / file).write_text(content)

    assert version_key.version_key(checkout) != before


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("fixtures/weights/law.py", LAW.replace("A law.", "The law.").replace("# gain", "# its gain")),
        ("fixtures/weights/law.py", LAW.replace("    return", '    "In words."\n\n    return')),
        ("fixtures/weights/other.py", "x = 2\n"),
        ("fixtures/record/run_folder.py", "x = 2\n"),
        ("fixtures/rules/policy.py", "x = 2\n"),
        ("suites/machinery/test_house.py", "x = 2\n"),
    ],
)
def test_what_decides_none_does_not(checkout, file, content):
    before = version_key.version_key(checkout)
    (checkout / file).write_text(content)

    assert version_key.version_key(checkout) == before


def test_the_options_that_all_are_asked_with_are_part_of_the_key(checkout, monkeypatch):
    before = version_key.version_key(checkout)
    monkeypatch.setattr(version_key, "ASKED_WITH", ("--tier", "full"))

    assert version_key.version_key(checkout) != before


OLDER = """
import ast, sys
sys.path.insert(0, sys.argv[1])
from fixtures.history import version_key
fields = ast.iter_fields
ast.iter_fields = lambda node: (*fields(node), ("type_params", []), ("new", None))
print(version_key.version_key(version_key.Path(sys.argv[2])))
"""


@pytest.mark.subprocess
def test_a_python_whose_syntax_has_more_fields_makes_the_same_key(checkout):
    command = [sys.executable, "-c", OLDER, str(ROOT), str(checkout)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == version_key.version_key(checkout)


def test_every_module_that_asks_is_found():
    found = asking_modules(ROOT)

    assert {name.split(".")[1] for name in found if name.startswith("suites.")} == {*SUITES, "framework", "conftest"}
    assert {"fixtures.statistics.judgement", "fixtures.weights.sketcher", "fixtures.record.subject"} <= found.keys()
    assert not [name for name in found if "machinery" in name or name.startswith("reports.")]
