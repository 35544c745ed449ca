"""Fresh processes: what they have done before they are asked, and how one that does not answer is told of."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from fixtures.target.other_processes import Fell, Helper, Raised, Unavailable, forked_from_preloaded, in_fresh_process
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


def test_a_signal_without_a_name_is_told_by_its_number():
    with pytest.raises(Fell, match="was ended by signal 40"):
        in_fresh_process(partial(signal.raise_signal, 40), WAIT)


def test_one_that_raised_goes_on_and_one_that_ended_is_started_again():
    helper = Helper("a helper", forked_from_preloaded(), WAIT)
    try:
        first = helper.ask(os.getpid)
        with pytest.raises(Raised, match="in a helper: RuntimeError: not"):
            helper.ask(raises)
        assert helper.ask(os.getpid) == first
        with pytest.raises(Fell, match="a helper ended with exit status 3"):
            helper.ask(partial(os._exit, 3))
        assert helper.ask(os.getpid) != first
    finally:
        helper.close()


def not_there():
    return threading.Lock()


class OnlyHere:
    """Can be sent, and not be made of what was sent."""

    def __reduce__(self):
        return __import__, ("no_such_module",)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda: 1, "a fresh process cannot be told what to do: "),
        (partial(print, OnlyHere()), "cannot take what it is told, or say what it found: ModuleNotFoundError"),
        (not_there, "cannot take what it is told, or say what it found: TypeError: cannot pickle"),
    ],
)
def test_what_cannot_be_sent_is_no_fault_of_the_function(work, words):
    with pytest.raises(Unavailable, match=re.escape(words)):
        in_fresh_process(work, WAIT)


def test_one_that_cannot_be_started_says_why():
    def refuse(**_):
        raise OSError("AF_UNIX path too long")

    context = SimpleNamespace(Pipe=forked_from_preloaded().Pipe, Process=lambda **_: SimpleNamespace(start=refuse))
    with pytest.raises(Unavailable, match="a helper cannot be started: OSError: AF_UNIX path too long"):
        Helper("a helper", context, WAIT).ask(os.getpid)


def test_one_that_hangs_is_given_up_and_ended():
    with pytest.raises(Fell, match=r"hangs: no answer within 0.5 s"):
        in_fresh_process(partial(time.sleep, 600), 0.5)
