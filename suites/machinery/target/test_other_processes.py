"""Fresh processes: what they have done before they are asked, and how one that does not answer is told of."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

import pytest
import torch

from fixtures.target.other_processes import Fell, in_fresh_process
from suites.machinery.making.children import WAIT

pytestmark = pytest.mark.subprocess


def has_drawn():
    untouched = torch.Generator().manual_seed(torch.initial_seed()).get_state()
    drawn = not torch.equal(untouched, torch.get_rng_state())
    torch.rand(1)
    return drawn, os.getpid()


def test_each_process_is_another_and_has_drawn_nothing():
    (first, one), (second, other) = (in_fresh_process(has_drawn, WAIT) for _ in range(2))

    assert not first
    assert not second
    assert len({one, other, os.getpid()}) == 3


def raises():
    raise RuntimeError("not\x1b[31m so\nsecond line")


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (raises, "in a fresh process: RuntimeError: not"),
        (partial(os._exit, 3), "a fresh process ended with exit status 3"),
        (partial(os.abort), "a fresh process was ended by SIGABRT"),
        (partial(signal.raise_signal, signal.SIGSEGV), "a fresh process was ended by SIGSEGV"),
    ],
)
def test_one_that_does_not_answer_is_told_of_in_a_line(work, words):
    with pytest.raises(Fell) as raised:
        in_fresh_process(work, WAIT)

    assert str(raised.value).startswith(words)
    assert str(raised.value).isprintable()


def test_one_that_hangs_is_given_up_and_ended():
    with pytest.raises(Fell, match=r"hangs: no answer within 0.5 s"):
        in_fresh_process(partial(time.sleep, 600), 0.5)
