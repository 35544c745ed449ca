"""The language of the house, as far as a machine can hold it: docstrings, file names, phrases and spelling."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fixtures.record.file_names import ROOT
from suites.machinery.house.modules import MODULES, nodes_of, source_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
Described = ast.Module | ast.ClassDef | Function

# Questions, and what only parses after the line before: first lines that are neither an imperative nor a noun.
OPENINGS = {
    *("What", "Whether", "Which", "Who", "How", "Why", "When", "Where", "There", "Its"),
    *("Of", "By", "In", "Or", "Until", "Before", "After", "From", "Once", "Within", "Between", "As", "Like", "Beside"),
}

PHRASES = {
    r"\bso (many|often)\b(?! (that|as)\b)": "a parameter has a name",
    r"\bt(old|ells?|elling) (\w+ ){0,3}apart\b": "distinguish",
    r"\bbehind our back\b": "say what is done",
}
"""What no source says, and what it says instead."""

ARGS_FROM = 4
"""Parameters from which a function describes each under `Args:`."""


def is_test(node: Described) -> bool:
    """Test whether a node is a test, whose name is its first line."""
    return isinstance(node, Function) and node.name.startswith("test_")


def openings(module: str) -> Iterator[str]:
    """First words of docstrings that are neither an imperative nor a noun."""
    for node in nodes_of(module):
        if isinstance(node, Described) and not is_test(node) and (text := ast.get_docstring(node)):
            first = re.match(r"\w*", text)[0]
            if first in OPENINGS:
                yield f"{module}:{getattr(node, 'lineno', 1)}: {text.splitlines()[0]}"


def parameters(function: Function) -> list[str]:
    """Names of the parameters that a caller gives."""
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def is_command(function: Function) -> bool:
    """Test whether each parameter is an option of typer, which shows its help, or the context that typer gives."""
    given = (*function.args.args, *function.args.kwonlyargs)
    annotations = [ast.unparse(argument.annotation or ast.Constant(0)) for argument in given]
    return all("help=" in annotation or annotation == "typer.Context" for annotation in annotations)


def described(function: Function) -> set[str]:
    """Parameters that `Args:` of a docstring describes; some share a line."""
    _, _, section = (ast.get_docstring(function) or "").partition("\nArgs:\n")
    lines = re.findall(r"^    (\*{0,2}\w+(?:, \w+)*): ", section.partition("\n\n")[0], re.MULTILINE)
    return {name.lstrip("*") for line in lines for name in line.split(", ")}


def undescribed(module: str) -> Iterator[str]:
    """Public functions of many parameters that do not describe each."""
    if module.rpartition(".")[2].startswith(("test_", "conftest")):
        return  # whose parameters pytest gives, by name
    holders = [node for node in nodes_of(module) if isinstance(node, ast.Module | ast.ClassDef)]
    for function in (node for holder in holders for node in holder.body if isinstance(node, Function)):
        names = parameters(function)
        if len(names) < ARGS_FROM or function.name.startswith("_") or is_command(function):
            continue
        if missing := [name for name in names if name not in described(function)]:
            yield f"{module}:{function.lineno}: {function.name} does not describe {', '.join(missing)}"


def gerunds(module: str) -> Iterator[str]:
    """File names that are gerunds."""
    if MODULES[module].name != "__init__.py" and any(
        word.endswith("ing") for word in module.rpartition(".")[2].split("_")
    ):
        yield module


def phrases(module: str) -> Iterator[str]:
    """Lines with a phrase that no source says."""
    if module == __name__:
        return
    for number, line in enumerate(source_of(module).splitlines(), 1):
        yield from (
            f"{module}:{number}: {why}" for phrase, why in PHRASES.items() if re.search(phrase, line, re.IGNORECASE)
        )


@pytest.mark.parametrize("rule", [openings, undescribed, gerunds, phrases])
def test_every_module_keeps_to_the_language(rule):
    found = [finding for module in MODULES for finding in rule(module)]

    assert not found, "\n".join(found)


# Each rule sees what it is there for

FAULTY = '''
"""A module that breaks every rule."""

def drawn(shape, dtype, seed, target):
    """What is drawn.

    Args:
        shape, dtype: of the weight.
        seed: of the generator.
    """

def told(answer):
    """Tell so many answers apart."""
'''


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (openings, ["4: What is drawn."]),
        (undescribed, ["drawn does not describe target"]),
        (gerunds, ["telling"]),
        (phrases, ["a parameter has a name", "distinguish"]),
    ],
)
def test_a_rule_sees_what_breaks_it(monkeypatch, tmp_path, rule, says):
    module = "suites.timings.telling"
    monkeypatch.setitem(MODULES, module, tmp_path / "telling.py")
    MODULES[module].write_text(FAULTY)

    found = list(rule(module))

    assert len(found) == len(says)
    assert all(word in finding for word, finding in zip(says, found, strict=True))


@pytest.mark.subprocess
@pytest.mark.parametrize(("text", "code"), [("recieve\n", 65), ("receive, and knwon\n", 0)])  # codespell:ignore recieve
def test_lint_sees_a_word_that_is_misspelled(noxfile, tmp_path, text, code):
    pytest.importorskip("codespell_lib", reason="in the dependency group lint, which is part of machinery")
    (tmp_path / "text.md").write_text(text)
    command = [sys.executable, "-m", *noxfile.SPELLING, "--toml", str(ROOT / "pyproject.toml")]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == code, ended.stdout + ended.stderr
