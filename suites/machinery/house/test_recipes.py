"""The recipes of suites/README.md: what is forgotten of one fails a test by its name.

What a list does without stands next to it, with its reason; a test fails where one is no longer needed.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import pytest
import torch

from fixtures.clock.model_names import NAMES
from fixtures.clock.workloads import DECISIVE, workloads
from fixtures.faults.initializers import Spoilt
from fixtures.faults.registry import planted_faults
from fixtures.record.choices import ACCELERATORS
from fixtures.record.file_names import ROOT
from fixtures.rules.policy import default_policy
from fixtures.statistics.laws import KAIMING, NEIGHBOURS
from fixtures.target.imports import import_dotted
from fixtures.target.target import initializers
from fixtures.weights.mistakes import interface_of
from suites.timings.cases import group_of
from suites.weights import test_digests, test_law, test_neighbours

# An initializer


CONSTANT = dict.fromkeys(("constant_", "dirac_", "eye_", "ones_", "zeros_"), "draws nothing")
SPARSE = {"sparse_": "normal_ between zeros, for a matrix alone: its signature and its answers are compared"}
OTHERS = {name: "claimed of Kaiming's" for name in initializers() if not name.startswith("kaiming_")}


def with_cases_of_a_law() -> Iterator[str]:
    """Initializers about whose weights the suites make statistical claims."""
    of_kaiming = (test_law.law_cases, test_law.half_uniform_cases)
    for draw in (*of_kaiming, test_neighbours.neighbour_cases, test_neighbours.haar_cases):
        yield from (case.subject.function.name for case in draw("quick", 0, ("cpu",)))


def with_a_digest() -> Iterator[str]:
    """Initializers of whose weights a digest is kept."""
    yield from (subject.function.name for subject in test_digests.table(("cpu",)))


def with_a_fault() -> Iterator[str]:
    """Initializers that a planted fault breaks."""
    for fault in planted_faults().values():
        if not isinstance(fault.planted, str):
            yield from (patch.name for patch in fault.planted if patch.owner is torch.nn.init)
        elif isinstance(spoilt := import_dotted(fault.planted), Spoilt):
            yield from spoilt.initializers


def with_answers() -> Iterator[str]:
    """Initializers whose answers to mistakes are compared."""
    yield from (words.partition("(")[0] for words in interface_of(torch.nn.init).answers)


def of_workloads(names: Iterable[str]) -> set[str]:
    """Initializers in names of workloads."""
    return {name.split("/")[1] for name in names if name.startswith("init/")}


LISTS: dict[str, tuple[Callable[[], Iterable[str]], dict[str, str]]] = {
    "law": (
        lambda: [*KAIMING, *NEIGHBOURS],
        CONSTANT | SPARSE | {"orthogonal_": "Haar's law is no law of single weights: fixtures/weights/orthogonal.py"},
    ),
    "cases": (with_cases_of_a_law, CONSTANT | SPARSE),
    "contract": (lambda: KAIMING, OTHERS),
    "digest": (with_a_digest, CONSTANT | SPARSE),
    "fault": (with_a_fault, CONSTANT | SPARSE),
    "answers": (with_answers, dict.fromkeys(("ones_", "zeros_"), "takes nothing but a tensor")),
    "workload": (
        lambda: of_workloads(workloads()),
        CONSTANT | SPARSE | dict.fromkeys(("normal_", "uniform_"), "nearly all that xavier's and Kaiming's take"),
    ),
    "decisive": (
        lambda: of_workloads(DECISIVE),
        dict.fromkeys({*initializers()} - of_workloads(workloads()), "not timed")
        | {"xavier_uniform_": "nearly all that kaiming_uniform_ takes"},
    ),
}
"""What needs each initializer that torch offers: the initializers that it has, and those that it does without."""


@cache
def listed(needs: str) -> frozenset[str]:
    """Initializers in a list."""
    return frozenset(LISTS[needs][0]())


@pytest.mark.parametrize("needs", LISTS)
@pytest.mark.parametrize("initializer", initializers())
def test_an_initializer_is_in_every_list_that_needs_it(initializer, needs):
    assert (initializer in listed(needs)) != (initializer in LISTS[needs][1])


@pytest.mark.parametrize("needs", LISTS)
def test_no_list_does_without_what_torch_does_not_offer(needs):
    assert LISTS[needs][1].keys() <= {*initializers()}


# A device


@pytest.mark.parametrize("device", ACCELERATORS)
@pytest.mark.parametrize("function", ["synchronize", "get_rng_state", "set_rng_state"])
def test_torch_has_what_is_called_of_an_accelerator(device, function):
    assert callable(getattr(getattr(torch, device, None), function, None)), f"torch.{device}.{function}"


@pytest.mark.parametrize("device", ACCELERATORS)
def test_an_accelerator_can_be_asked_whether_it_is_there(device):
    modules = [getattr(torch.backends, device, None), getattr(torch, device, None)]

    assert any(hasattr(module, "is_available") for module in modules)


# A workload

TIMINGS = (ROOT / "suites" / "timings" / "test_timings.py").read_text(encoding="utf-8")
GROUPS = sorted({workload.group for workload in workloads().values()})


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_workloads_is_timed_by_a_test_of_its_own(group):
    """One function for each group, whose parameters are the columns of its table."""
    assert f'@pytest.mark.times("{group}")\ndef test_{group}(' in TIMINGS


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_workloads_has_a_title_and_columns(group):
    of_group = [workload for workload in workloads().values() if workload.group == group]

    assert all(workload.parameters and group_of(workload, "cpu") for workload in of_group)


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in ("forward", "guard")])
def test_a_group_of_workloads_decides_something(group):
    """Not the forward passes, which explain a cost, nor the guard, which no torch can slow down."""
    assert any(workload.required for workload in workloads().values() if workload.group == group)


@pytest.mark.parametrize("name", workloads())
def test_the_work_of_a_workload_is_counted(name):
    assert workloads()[name].count().elements > 0


@pytest.mark.parametrize("pattern", default_policy().speed.margins)
def test_a_margin_is_one_of_a_workload(pattern):
    assert fnmatch.filter((*workloads(), *NAMES), pattern)
