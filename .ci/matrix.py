"""Print the lists that the workflows run over, from pyproject.toml, as lines for GITHUB_OUTPUT.

`suites`: JSON, each torch release with each Python that it has wheels for. `oldest`, `newest`: of the Pythons.
`release`: the newest torch release. Needs the package packaging.
"""

import json
import sys
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
TABLE = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["kaiming-gate"]


def pythons_of(release: str) -> list[str]:
    """Pythons of the list that a release has wheels for."""
    for row in TABLE["wheels"]:
        if SpecifierSet(row["torch"]).contains(release):
            return [python for python in TABLE["pythons"] if SpecifierSet(row["python"]).contains(python)]
    sys.exit(f"pyproject.toml: tool.kaiming-gate.wheels does not say which Pythons torch {release} has wheels for")


suites = [{"torch": release, "python": python} for release in TABLE["releases"] for python in pythons_of(release)]
print(f"suites={json.dumps(suites)}")
print(f"oldest={TABLE['pythons'][0]}")
print(f"newest={TABLE['pythons'][-1]}")
print(f"release={TABLE['releases'][-1]}")
