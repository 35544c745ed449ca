"""The house: imports between rooms, rooms without torch, a planted fault for every family, and files that prose names.

What does not hold yet stands in an EXCEPTIONS next to its test, with its reason; a test fails where one is no longer
needed.
"""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.faults.registry import planted_faults
from fixtures.record.choices import DEVICES, SUITES
from fixtures.record.file_names import ROOT
from fixtures.training.table import ROWS
from fixtures.training.table_questions import OTHERS, is_judged
from suites.framework.questions import planned_claims
from suites.machinery import chance, proofs
from suites.machinery.chance import SURE
from suites.machinery.house.modules import MODULES, PACKAGES, imports_of, nodes_of, room_of
from suites.training.test_table import EXTENTS

ROOMS: dict[str, set[str]] = {
    "fixtures.record": set(),
    "fixtures.statistics": {"fixtures.record"},
    "fixtures.rules": {"fixtures.record", "fixtures.statistics"},
    "fixtures.words": {"fixtures.record"},
    "fixtures.environments": {"fixtures.record"},
    "fixtures.gate": {"fixtures.record", "fixtures.environments"},
    "fixtures.history": {"fixtures.record", "fixtures.environments", "fixtures.gate"},
    "fixtures.target": {"fixtures.record", "fixtures.environments"},
    "fixtures.clock": {
        *("fixtures.record", "fixtures.rules", "fixtures.environments", "fixtures.target"),
        "fixtures.model",
    },
    "fixtures.weights": {"fixtures.record", "fixtures.statistics", "fixtures.target"},
    "fixtures.rounding": {"fixtures.record", "fixtures.statistics", "fixtures.target", "fixtures.weights"},
    "fixtures.propagation.laws": {"fixtures.record", "fixtures.statistics", "fixtures.rounding"},
    "fixtures.propagation.networks": {
        *("fixtures.record", "fixtures.statistics", "fixtures.target", "fixtures.weights", "fixtures.rounding"),
        "fixtures.propagation.laws",
    },
    "fixtures.propagation.readings": {
        *("fixtures.record", "fixtures.statistics", "fixtures.target", "fixtures.weights", "fixtures.rounding"),
        *("fixtures.propagation.laws", "fixtures.propagation.networks"),
    },
    "fixtures.training": {
        "fixtures.record", "fixtures.statistics", "fixtures.target", "fixtures.weights", "fixtures.rounding",
    },
    "fixtures.operations": {"fixtures.record", "fixtures.statistics", "fixtures.weights", "fixtures.rounding"},
    "fixtures.audit": {
        *("fixtures.record", "fixtures.statistics", "fixtures.target", "fixtures.rounding"),
        *("fixtures.propagation.laws", "fixtures.propagation.readings"),
    },
    "fixtures.model": {
        *("fixtures.record", "fixtures.statistics", "fixtures.target", "fixtures.weights", "fixtures.audit"),
        "fixtures.rounding",
    },
    "fixtures.faults": {"fixtures.record", "fixtures.statistics", "fixtures.propagation.networks"},
    "fixtures.sharded": {
        *("fixtures.record", "fixtures.statistics", "fixtures.environments", "fixtures.gate", "fixtures.target"),
        *("fixtures.weights", "fixtures.faults", "fixtures.rounding", "fixtures.operations", "fixtures.audit"),
    },
    "reports.comparison": {"fixtures.record", "fixtures.statistics", "fixtures.rules", "fixtures.words"},
    "reports.drift": {
        *("fixtures.record", "fixtures.statistics", "fixtures.rules", "fixtures.words"),
        *("fixtures.weights", "fixtures.training", "reports.comparison"),
    },
    "reports.model": {
        *("fixtures.record", "fixtures.statistics", "fixtures.rules", "fixtures.words", "fixtures.model"),
        "reports.comparison",
    },
    "reports.verdict": {
        *("fixtures.record", "fixtures.rules", "fixtures.words", "fixtures.clock"),
        *("reports.comparison", "reports.drift", "reports.model"),
    },
    "reports.releases": {
        *("fixtures.record", "fixtures.rules", "fixtures.words", "fixtures.clock"),
        "reports.comparison",
    },
    "reports.view": {
        *("fixtures.record", "fixtures.statistics", "fixtures.rules", "fixtures.words", "fixtures.clock"),
        *("fixtures.weights", "fixtures.training", "fixtures.model"),
        *("reports.comparison", "reports.drift", "reports.model", "reports.verdict", "reports.releases"),
    },
    "reports.renderers": {
        *("fixtures.record", "fixtures.statistics", "fixtures.words"),
        *("reports.comparison", "reports.verdict", "reports.view"),
    },
    "reports.commands": {
        *("fixtures.record", "fixtures.statistics", "fixtures.rules", "fixtures.words", "fixtures.clock"),
        *("fixtures.weights", "reports.comparison", "reports.model"),
        *("reports.releases", "reports.verdict", "reports.view", "reports.renderers"),
    },
    "reports.__main__": {"reports.commands"},
    "suites.framework": {
        *("fixtures.record", "fixtures.statistics", "fixtures.rules", "fixtures.target", "fixtures.environments"),
        *("fixtures.gate", "fixtures.weights", "fixtures.rounding", "fixtures.faults", "fixtures.sharded"),
    },
    "suites.weights": {
        "suites.framework", "fixtures.record", "fixtures.statistics", "fixtures.target", "fixtures.weights",
    },
    "suites.propagation": {
        *("suites.framework", "fixtures.record", "fixtures.statistics", "fixtures.target", "fixtures.rounding"),
        *("fixtures.propagation.laws", "fixtures.propagation.networks", "fixtures.propagation.readings"),
    },
    "suites.sharded": {
        *("suites.framework", "fixtures.record", "fixtures.statistics"),
        *("fixtures.target", "fixtures.weights", "fixtures.sharded"),
    },
    "suites.training": {
        "suites.framework", "fixtures.record", "fixtures.target", "fixtures.rounding", "fixtures.training",
    },
    "suites.operations": {
        "suites.framework", "fixtures.record", "fixtures.target", "fixtures.operations", "fixtures.rounding",
    },
    "suites.timings": {"suites.framework", "fixtures.record", "fixtures.clock", "fixtures.target"},
    "suites.audit": {"fixtures.record", "fixtures.words", "fixtures.target", "fixtures.audit", "fixtures.sharded"},
    "suites.model": {"fixtures.record", "fixtures.words", "fixtures.model"},
    "suites.accelerator": {
        *("fixtures.record", "fixtures.statistics", "fixtures.rules", "fixtures.environments", "fixtures.target"),
        *("fixtures.clock", "fixtures.weights", "suites.framework", "suites.timings"),
    },
}  # fmt: skip
"""Room -> rooms that it may import. Each stands below those that it may import, so that nothing goes in a circle. The
tests of the house itself (suites.machinery) may import everything, and nothing imports them."""

TORCH_FREE = {
    "fixtures.record": ("torch",),
    "fixtures.statistics": ("torch", "scipy.stats"),
    "fixtures.rules": ("torch",),
    "fixtures.words": ("torch",),
    **{room: ("torch", "scipy.stats") for room in ROOMS if room.startswith("reports.") and room != "reports.__main__"},
    # nox runs these with the interpreter that runs nox, which has nothing of ours.
    "fixtures.environments": ("torch", "numpy", "scipy", "msgspec", "rich", "typer"),
    "fixtures.gate": ("torch", "numpy", "scipy", "msgspec", "rich", "typer"),
    "fixtures.history": ("torch", "numpy", "scipy", "msgspec", "rich", "typer"),
}
"""Room -> packages without which all its modules can be imported."""


def test_every_module_lies_in_a_room_of_the_table():
    rooms = {room_of(module) for module in MODULES} - {*PACKAGES, "suites.machinery"}

    assert rooms == ROOMS.keys()


def test_the_table_of_rooms_has_no_circle():
    above: dict[str, set[str]] = {}
    for room in ROOMS:
        seen, todo = set(), [room]
        while todo:
            below = ROOMS[todo.pop()] - seen
            seen |= below
            todo += below
        above[room] = seen

    assert not {room for room, below in above.items() if room in below}


def test_no_two_folders_import_each_other():
    """A folder within a room, such as the page's, hides no circle from the table."""
    arrows = {
        (MODULES[module].parent, MODULES[imported].parent)
        for module in MODULES
        if "machinery" not in module
        for imported in imports_of(module)
    }

    assert not {(one, other) for one, other in arrows if one != other and (other, one) in arrows}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room):
    allowed = {room, *ROOMS[room]}
    found = {
        f"{module} imports {imported}"
        for module in MODULES
        if room_of(module) == room
        for imported in imports_of(module)
        if room_of(imported) not in {*allowed, *PACKAGES}
    }

    assert not found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_all_that_it_may(room):
    used = {room_of(imported) for module in MODULES if room_of(module) == room for imported in imports_of(module)}

    assert ROOMS[room] <= used, "a permission that nobody needs"


MACHINERY = ROOT / "suites" / "machinery"


def test_the_tests_mirror_the_rooms():
    folders = {file.parent.relative_to(MACHINERY).as_posix() for file in MACHINERY.rglob("*.py")}

    mirrored = {room.removeprefix("fixtures.").removeprefix("suites.").replace(".", "/") for room in ROOMS}
    assert folders == mirrored - {"words", "reports/__main__"} | {".", "house", "making", "reports"}
    assert not [*MACHINERY.glob("test_*.py"), *MACHINERY.glob("reports/test_*.py")]


def test_nothing_but_the_tests_of_a_suite_imports_from_it():
    """A suite's tests are called by the machinery's; no other module, and none of the machinery's, is a library."""
    found = {
        f"{module} imports {imported}"
        for module in MODULES
        for imported in imports_of(module)
        if imported.rpartition(".")[2].startswith("test_")
        if "machinery" in imported or "machinery" not in module
    }

    assert not found


IMPORTS = """
import importlib, sys
without, modules = sys.argv[1].split(), sys.argv[2].split()

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in without:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
for module in modules:
    importlib.import_module(module)
"""


@pytest.mark.subprocess
@pytest.mark.parametrize("room", TORCH_FREE)
def test_a_room_can_be_imported_without(room):
    inside = [name for name in MODULES if room_of(name) == room and not name.endswith("__main__")]
    command = [sys.executable, "-c", IMPORTS, " ".join(TORCH_FREE[room]), " ".join(inside)]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr


# Every family of claims is proved by a planted fault


def collected(folder: Path, *asked: str) -> list[pytest.Item]:
    """Tests that a command would run."""
    found: list[pytest.Item] = []

    class Plugin:
        def pytest_collection_finish(self, session: pytest.Session) -> None:
            found.extend(session.items)

    options = ["-qq", "--collect-only", "-p", "no:cacheprovider", "-p", "no:benchmark", "--device", "cpu"]
    assert pytest.main([*asked, *options, "--run-dir", str(folder)], plugins=[Plugin()]) == 0
    return found


def planned_families(folder: Path) -> set[str]:
    """Every family of the quick tier on the processor."""
    items = collected(folder, *(f"suites/{suite}" for suite in SUITES))
    return {claim.partition("/")[0] for claim in planned_claims(items)}


def proved_families(folder: Path) -> set[str]:
    """Families that the tests of the house see violated: each fails that names one and does not."""
    files = [
        file for file in MACHINERY.rglob("test_*.py") if "machinery.proofs import" in file.read_text(encoding="utf-8")
    ]
    return {family for item in collected(folder, *map(str, files)) for family in proofs.named(item)}


RECORDED = {
    f"training.table.{row}.{other}"
    for row, other in itertools.product(ROWS, OTHERS)
    if not any(is_judged(row, other, depth) for depth in EXTENTS["quick"].depths)
}
"""Rows of the tutorial's table that theory leaves open at the quick tier: recorded, and never violated."""


@SURE
@pytest.mark.large_draws
def test_every_planned_family_is_proved_by_a_planted_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(chance, "LEDGER", chance.Ledger())
    planned, proved = planned_families(tmp_path / "planned"), proved_families(tmp_path / "proved")
    proved |= {family for fault in planted_faults().values() for family in fault.families}
    unproved, unknown = sorted(planned - proved - RECORDED), sorted(proved - planned)

    assert not unproved
    assert not unknown


# Prose


PROSE = (".md", ".toml", ".yml", ".css", ".js", ".j2")
NAMED = re.compile(r"(?<![\w/.{}<*-])((?:[\w.-]+/)*[\w-]+\.(?:py|toml|md|yml|j2|js|css))\b(?!\()")

OF_OTHERS = {
    *("file.py", "my_init.py", "my_model.py", "my_sharded.py", "policy.toml", "waivers.toml"),
    *("HISTORY.md", "reports/HISTORY.md"),
    *("ci/waivers.toml", "ci/my_model.py", "verdict.md", "OWNER/kaiming-gate/.github/workflows/gate.yml"),
}
"""Files of a user's, of torch's, or that a run writes."""


def prose_of(file: Path) -> str:
    """Comments and docstrings of a module; all of another file."""
    if file.suffix in PROSE:
        return file.read_text(encoding="utf-8")
    with file.open("rb") as source:
        tokens = list(tokenize.tokenize(source.readline))
    begins_line = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.NL, tokenize.ENCODING}
    said = [token.string for token in tokens if token.type == tokenize.COMMENT]
    said += [
        token.string
        for before, token in itertools.pairwise(tokens)
        if token.type == tokenize.STRING and before.type in begins_line
    ]
    return "\n".join(said)


def files_with_prose() -> Iterator[Path]:
    """Every file of ours but the tests of the house."""
    listed = [file for top in ("fixtures", "reports", "suites", ".github", ".ci") for file in (ROOT / top).rglob("*")]
    listed += [ROOT / name for name in ("README.md", "CHANGELOG.md", "noxfile.py", "pyproject.toml")]
    yield from (
        file
        for file in listed
        if file.suffix in (".py", *PROSE) and not {"machinery", "runs", "accepted"} & {*file.relative_to(ROOT).parts}
    )


def test_every_file_that_prose_names_is_there():
    folders = [folder for folder in ROOT.iterdir() if folder.name not in (".nox", ".git")]
    names = {file.name for folder in folders for file in (folder, *folder.rglob("*.*"))}
    missing = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in files_with_prose()
        for name in NAMED.findall(prose_of(file))
        if name not in OF_OTHERS
        and not (any((folder / name).exists() for folder in file.parents) or ("/" not in name and name in names))
    }

    assert not missing


# Kinds are listed by their enumeration alone, and devices are asked for properties

KINDS = ("Change", "Effects", "Kind", "Outcome")


def lists_of_kinds(module: str) -> int:
    """Displays in a module that spell out three members or more of one enumeration of ours."""
    found = 0
    for node in nodes_of(module):
        if isinstance(node, ast.Dict):
            parts = [part for part in node.keys if part is not None]
        elif isinstance(node, ast.List | ast.Set | ast.Tuple):
            parts = node.elts
        else:
            continue
        named = Counter(
            part.value.id for part in parts if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name)
        )
        found += any(named[kind] >= 3 for kind in KINDS)
    return found


LISTS_OF_KINDS: dict[str, int] = {}
"""Module -> lists of kinds in it that are still spelt out."""


def test_kinds_are_listed_by_their_enumeration_alone():
    found = {module: count for module in MODULES if "machinery" not in module if (count := lists_of_kinds(module))}

    assert found == LISTS_OF_KINDS


def asks_for_a_device_by_name(module: str) -> int:
    """Comparisons with a device's name in a module."""
    return sum(
        isinstance(part, ast.Constant) and part.value in DEVICES
        for node in nodes_of(module)
        if isinstance(node, ast.Compare)
        for part in (node.left, *node.comparators)
    )


ASKED_BY_NAME = {
    "fixtures.clock.session": 1,  # imports no torch, and so no device
    "fixtures.record.choices": 1,  # Valgrind simulates a processor
    "fixtures.clock.workloads": 1,  # a context manager on the processor alone would be timed
    "fixtures.clock.model_workloads": 1,  # the same of a user's model
    "fixtures.weights.streams": 2,  # torch.random is the processor's, torch.<name> each other's
    "suites.weights.test_module_abilities": 1,  # asked of the processor: they are written in Python
    "suites.timings.cases": 2,  # the processor is not named in names
    "suites.propagation.test_links": 3,  # asked of the processor: threads, large images, dropout's masks
    "suites.operations.test_operations": 1,  # asked of the processor: lesser instruction sets
    "suites.training.test_table": 1,  # asked of the processor: the table's runs
    "suites.training.test_tutorial": 1,  # asked of the processor: the tutorial's program
}
"""Module -> places in it that ask for a device by name, and why."""


def test_devices_are_asked_for_their_properties():
    found = {
        module: count
        for module in MODULES
        if "machinery" not in module and not module.startswith("fixtures.target.")
        if (count := asks_for_a_device_by_name(module))
    }

    assert found == ASKED_BY_NAME
