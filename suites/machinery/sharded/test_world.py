"""Worlds of ranks: who fails is named, with what it was asked, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from torch import distributed

from fixtures.sharded.availability import Lacking, found
from fixtures.sharded.world import Fallen, Processes
from suites.machinery.making.children import is_gone
from suites.machinery.making.ranks import sum_of_ranks

pytestmark = pytest.mark.subprocess


def process_ids():
    ids = [None] * distributed.get_world_size()
    distributed.all_gather_object(ids, os.getpid())
    return ids


def kill(rank, by):
    if distributed.get_rank() == rank:
        os.kill(os.getpid(), by)
    distributed.barrier()


def disagree(rank):
    if distributed.get_rank() == rank:
        raise ValueError("no such weight\nand more")
    distributed.barrier()


def sleep(rank):
    if distributed.get_rank() == rank:
        time.sleep(600)
    distributed.barrier()


def lack():
    found("torch.distributed", "no_such_thing")


def folder_of(world):
    return Path(world._folder)


def test_ranks_answer_together(world):
    assert world.ask("a sum", sum_of_ranks, [1, 10, 100, 1000]) == 1111


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        (kill, (2, signal.SIGKILL), "rank 2 of 4 was ended by SIGKILL"),
        (disagree, (1,), "rank 1 of 4 raised ValueError: no such weight"),
    ],
)
def test_a_rank_that_fails_is_named_and_the_next_question_is_answered(function, arguments, words, world):
    ids = world.ask("who", process_ids)
    folder = folder_of(world)

    with pytest.raises(Fallen) as told:
        world.ask("a failure", function, *arguments)

    assert str(told.value) == words
    assert all(map(is_gone, ids))
    assert not folder.exists()
    assert world.ask("a sum", sum_of_ranks, [1, 2, 3, 4]) == 10


def test_a_rank_that_hangs_is_named_with_where_it_is(monkeypatch, world):
    ids = world.ask("who", process_ids)
    monkeypatch.setattr(world, "seconds", 1.0)

    with pytest.raises(Fallen, match=r"^rank 1 of 4 hangs in sleep, test_world\.py:\d+: no answer within 1 s$"):
        world.ask("a hang", sleep, 1)

    assert all(map(is_gone, ids))


def test_what_torch_lacks_is_no_failure(world):
    ids = world.ask("who", process_ids)

    with pytest.raises(Lacking, match=r"^this release of torch lacks torch\.distributed\.no_such_thing$"):
        world.ask("a lack", lack)

    assert world.ask("who", process_ids) == ids


def test_a_world_that_is_closed_leaves_nothing(world):
    ids, folder = world.ask("who", process_ids), folder_of(world)

    world.close()

    assert all(map(is_gone, ids))
    assert not folder.exists()


def test_a_world_that_was_never_asked_has_nothing_to_leave():
    Processes(4, 1.0).close()
