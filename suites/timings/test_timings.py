"""Every workload of `fixtures/clock/workloads.py` once; what a test's parameters say, its workload's name says in
order.
"""

from __future__ import annotations

import pytest

# What torch deprecates or compiles with a warning is still to be timed.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.mark.times("init")
def test_init(time_workload, initializer, shape, dtype, layout, device):
    time_workload()


@pytest.mark.times("construct")
def test_construct(time_workload, network, device):
    time_workload()


@pytest.mark.times("forward")
def test_forward(time_workload, weight, device):
    time_workload()


@pytest.mark.times("train")
def test_train(time_workload, network, part, optimizer, dtype, mode, device):
    time_workload()


@pytest.mark.times("guard")
def test_guard(time_workload, code, device):
    time_workload()
