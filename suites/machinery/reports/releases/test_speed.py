"""The speed chain: what a link keeps, what a product says, and the level and power of the check by long links."""

from __future__ import annotations

import itertools
import math

import msgspec
import numpy as np
import pytest

from fixtures.clock.estimate import FAMILY
from fixtures.record.compression import pack, packed
from fixtures.record.file_names import HISTORY, ROOT
from fixtures.record.release_record import link_path, recorded_links, recorded_releases
from fixtures.record.run_folder import RecordError
from reports.releases.speed import (
    disagreements,
    lacking,
    link_between,
    path_between,
    product,
    read_links,
    speed_lines,
    write_link,
)
from suites.machinery.chance import ALARM, SURE, no_oftener
from suites.machinery.making.chains import around, link

SIX = (0.01, 0.02, 0.0, -0.01, 0.02, 0.03)
"""Log ratios of mean 0.0117."""


def test_a_link_keeps_ratios_and_no_seconds(tmp_path):
    made = link("2.5.0", "2.6.0", {"init/a": SIX, "init/fused": ()})
    write_link(tmp_path, made)

    assert read_links(tmp_path) == (made,)
    assert all(one.seconds is None and not one.memory for one in made.pairing.workloads)
    assert b"/home/me" not in msgspec.json.encode(made)
    assert recorded_releases(tmp_path) == ()
    assert lacking(made) == {"init/fused": "the baseline cannot run it (3 of 3 times): AttributeError: no fused"}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"newer": "2.7.1"}, "is the link of 2.5.0 and 2.7.1, by another name"),
        ({"schema": 99}, "written by newer suites"),
        ({"pairing": {}}, "missing required field"),
        ({"seconds": 1}, "unknown field `seconds`"),
    ],
)
def test_another_link_is_refused_in_one_line(tmp_path, fields, says):
    content = msgspec.to_builtins(link("2.5.0", "2.6.0", {"init/a": SIX})) | fields
    packed(link_path(tmp_path, "2.5.0", "2.6.0")).write_bytes(pack(msgspec.json.encode(content)))

    with pytest.raises(RecordError) as error:
        read_links(tmp_path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert str(recorded_links(tmp_path)[0]) in str(error.value)


def test_a_link_of_another_clock_is_refused(tmp_path):
    made = link("2.5.0", "2.6.0", {"init/a": SIX}, schema=1)
    write_link(tmp_path, made)

    with pytest.raises(RecordError, match=r"timed by another clock \(schema 1"):
        read_links(tmp_path)


def test_links_are_followed_by_the_smallest_steps():
    names = [("2.9.1", "2.10.0"), ("2.2.2", "2.9.1"), ("2.2.2", "2.10.0"), ("2.10.0", "2.11.0"), ("2.9.0", "2.9.1")]
    links = [link(older, newer, {"init/a": SIX}) for older, newer in names]

    def steps(older, newer):
        return [(each.older, each.newer) for each in path_between(links, older, newer)]

    assert steps("2.2.2", "2.10.0") == [("2.2.2", "2.9.1"), ("2.9.1", "2.10.0")]
    assert steps("2.2.2", "2.11.0") == [*names[1::-1], names[3]]
    assert steps("2.10.0", "2.11.0") == []
    assert steps("2.9.0", "2.9.0") == []
    assert steps("2.3.0", "2.11.0") == []
    assert link_between(links, "2.2.2", "2.10.0") is links[2]
    assert link_between(links, "2.2.2", "2.11.0") is None


def test_a_product_is_that_of_its_links_by_the_restarts_that_nothing_chose():
    logs = {"init/a": SIX}
    more = {"init/a": (*SIX[:4], 0.5, 0.6)}  # of one workload alone an interval needs four
    found = product([link("2.5.0", "2.6.0", logs), link("2.6.0", "2.7.1", more)], "init/a")

    assert found.ratio == pytest.approx(math.exp(2 * sum(SIX[:4]) / 4))
    # Student's t with 3 degrees of freedom leaves 2.5 % beyond 3.182.
    half = 3.182 * math.sqrt(2 * np.var(SIX[:4], ddof=1) / 4)
    assert math.log(found.high / found.ratio) == pytest.approx(half, rel=1e-3)
    assert math.log(found.ratio / found.low) == pytest.approx(half, rel=1e-3)


def test_what_a_link_lacks_or_what_moved_has_no_product():
    whole, without = link("2.5.0", "2.6.0", {"init/a": SIX}), link("2.6.0", "2.7.1", {"init/a": ()})
    moved = link("2.6.0", "2.7.1", {"init/a": SIX}, moved=True)

    assert product([whole, without], "init/a") is None
    assert product([whole, moved], "init/a") is None
    assert product([whole], "init/b") is None


def test_a_line_begins_where_a_workload_is_first_timed():
    links = [
        link("2.2.2", "2.5.0", {"init/a": SIX, "init/b": ()}),
        link("2.5.0", "2.6.0", {"init/a": SIX, "init/b": SIX}),
        link("2.6.0", "2.7.1", {"init/a": (), "init/b": SIX}),
    ]
    lines = speed_lines(links, ["2.2.2", "2.4.1", "2.5.0", "2.6.0", "2.7.1"])
    shown = {name: [point and round(math.log(point.ratio), 3) for point in line] for name, line in lines.items()}
    step = math.log(product(links[1:2], "init/b").ratio)

    assert shown["init/b"] == [None, None, 0.0, round(step, 3), round(2 * step, 3)]
    assert shown["init/a"] == [0.0, None, round(step, 3), round(2 * step, 3), None]


RELEASES = ("2.2.2", "2.5.1", "2.6.0", "2.7.1", "2.8.0", "2.9.1", "2.10.0")
WORKLOADS = [f"init/{number}" for number in range(16)]


NOISE = (0.02, 0.005, 0.02, 0.17, 0.01, 0.02, 0.02)
"""Standard deviation from restart to restart of each step and of the long link: sessions differ by their machine."""


def chain(generator, long=1.0, noise=NOISE):
    """Six steps of 3 % each, and one link over all of them that is off by the factor `long`."""

    def drawn(truth, sd):
        return {name: around(truth, generator, sd=sd) for name in WORKLOADS}

    links = [link(*pair, drawn(1.03, sd)) for pair, sd in zip(itertools.pairwise(RELEASES), noise, strict=False)]
    return [*links, link(RELEASES[0], RELEASES[-1], drawn(long * 1.03**6, noise[-1]))]


CHAINS = 20


@pytest.mark.run_folders
@pytest.mark.draws(ALARM, "a count of workloads, each of which is told with chance FAMILY / 16 at most")
@pytest.mark.parametrize("noise", [NOISE, (0.02,) * 7], ids=["uneven", "even"])
def test_sound_chains_agree_with_their_long_links(generator, noise):
    told = sum(len(list(disagreements(chain(generator, noise=noise)))) for _ in range(CHAINS))

    assert no_oftener(told, CHAINS * len(WORKLOADS), FAMILY / len(WORKLOADS))


@SURE
def test_a_long_link_that_met_another_machine_is_told(generator):
    told = list(disagreements(chain(generator, long=1.4, noise=(0.02,) * 7)))

    assert len(told) == len(WORKLOADS)
    assert told[0].startswith("init/0, 2.2.2 -> 2.10.0: ")
    assert "by 6 steps" in told[0]


def test_the_chain_of_this_checkout_agrees_with_its_long_links():
    assert not list(disagreements(read_links(ROOT / HISTORY)))
