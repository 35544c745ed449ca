"""The speed chain: links between releases as the paired clock measured them, their products, and whether they agree.

A link is a session of the clock without what a call took in seconds: a ratio is about two releases, seconds about a
machine.

A product of k links is the exponential of a sum of means, each over the restarts of one session. The clock stops when a
workload is decided, so that the number of restarts hangs on what they showed; but it never stops before
`fewest_restarts` (six of 16 workloads), and the first six are a sample that nothing chose. Of these alone, let m_i be
the mean and s_i the standard deviation of a session's log ratios, over n_i restarts. Then

    T = sum (m_i - mu_i) / sqrt(sum s_i^2 / n_i)

is, given the variances sigma_i^2, Z / sqrt(V) with Z standard normal and V = sum w_i V_i, where V_i is chi-squared over
its n_i - 1 degrees of freedom and the w_i are the shares of sigma_i^2 / n_i, which sum to 1. P(|Z| > t sqrt(v)) is
convex in v, so that P(|T| > t) is no larger than the largest of P(|Z| > t sqrt(V_i)), which is Student's with the
fewest degrees of freedom (Mickey and Brown, Annals of Mathematical Statistics 37 (1966), 639, for two). Noise with
heavier tails is covered by more than is stated, as in fixtures/clock/estimate.py.

A long link over k others is a sum, too: the truth of (m_1 + ... + m_k) - m is 0 where all sessions measured the same.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from scipy.special import stdtrit

from fixtures.clock.estimate import FAMILY, fewest_restarts
from fixtures.clock.results import SCHEMA as CLOCK_SCHEMA
from fixtures.clock.results import Pairing, Timed
from fixtures.record.atomic_file import write_atomically
from fixtures.record.compression import pack, packed
from fixtures.record.release_record import HISTORY_SCHEMA, link_path, recorded_links
from fixtures.record.run_folder import RecordError, read_record
from reports.releases.history import in_order


class SpeedLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Link of the chain.

    Attributes:
        older, newer: the two releases; ratios are of the newer one's time to the older one's.
        key: version key of the clock.
        pairing: session of the clock, without seconds.
    """

    schema: int
    older: str
    newer: str
    key: str
    pairing: Pairing

    @property
    def counts(self) -> bool:
        """Verdict on the session: nothing moved that cannot have changed."""
        return not any(guard.moved for guard in self.pairing.guards)


@dataclass(frozen=True)
class Product:
    """Ratio of times over several links, by the first restarts of each.

    Attributes:
        ratio: of the last release to the first.
        low, high: ends of its interval.
    """

    ratio: float
    low: float
    high: float


def link_of(pairing: Pairing, older: str, newer: str, key: str) -> SpeedLink:
    """Make a link of a session of the clock: what it says of both sides is the torch alone.

    Args:
        pairing: the session.
        older: release that was its baseline.
        newer: release that was its candidate.
        key: version key of the clock.
    """
    kept = msgspec.structs.replace(
        pairing,
        baseline=_told(pairing.baseline),
        candidate=_told(pairing.candidate),
        workloads=tuple(map(_without_seconds, pairing.workloads)),
        failure=("(its last lines are not kept)",) if pairing.failure else (),
    )
    return SpeedLink(schema=HISTORY_SCHEMA, older=older, newer=newer, key=key, pairing=kept)


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name == "torch"}


def _without_seconds(timed: Timed) -> Timed:
    return msgspec.structs.replace(timed, seconds=None, memory={}, repeat_log_ratios=())


def write_link(history: Path, link: SpeedLink) -> int:
    """Write a link, packed, in the place of an earlier one; returns the bytes that it takes.

    Raises:
        OSError: it cannot be written.
    """
    content = pack(msgspec.json.encode(link))
    history.mkdir(parents=True, exist_ok=True)
    write_atomically(packed(link_path(history, link.older, link.newer)), content)
    return len(content)


def read_links(history: Path) -> tuple[SpeedLink, ...]:
    """Read all links of a folder, the oldest first, and of those that begin there the shortest.

    Raises:
        RecordError: a file that cannot be trusted.
    """
    found = []
    for path in recorded_links(history):
        link = read_record(path, SpeedLink, HISTORY_SCHEMA)
        if link_path(history, link.older, link.newer) != path:
            raise RecordError(f"{path}: is the link of {link.older} and {link.newer}, by another name")
        if link.pairing.schema != CLOCK_SCHEMA:
            raise RecordError(
                f"{path}: timed by another clock (schema {link.pairing.schema}; this reads {CLOCK_SCHEMA})"
            )
        found.append(link)
    return tuple(sorted(found, key=lambda link: (in_order(link.older), in_order(link.newer))))


def link_between(links: Sequence[SpeedLink], older: str, newer: str) -> SpeedLink | None:
    """The link that was measured between two releases; None where none was."""
    return next((link for link in links if (link.older, link.newer) == (older, newer)), None)


def path_between(links: Sequence[SpeedLink], older: str, newer: str) -> tuple[SpeedLink, ...]:
    """Links from one release to another by the smallest steps, without the one that joins both at once; () for none."""
    steps = []
    here = older
    while here != newer:
        ahead = [
            link
            for link in links
            if link.older == here
            and in_order(link.newer) <= in_order(newer)
            and (link.older, link.newer) != (older, newer)
        ]
        if not ahead:
            return ()
        steps.append(min(ahead, key=lambda link: in_order(link.newer)))
        here = steps[-1].newer
    return tuple(steps)


@dataclass(frozen=True)
class _Sum:
    """Sum of mean log ratios.

    Attributes:
        centre: of the means.
        half: half width of its interval; those of all workloads of a session hold together with 1 - FAMILY.
    """

    centre: float
    half: float


def _sum(links: Sequence[SpeedLink], workload: str, signs: Sequence[int]) -> _Sum | None:
    """Sum of a workload's mean log ratios over links, each with its sign; None where a link does not have it."""
    means, variances, restarts = [], [], []
    for link in links:
        timed = next((one for one in link.pairing.workloads if one.name == workload), None)
        if timed is None or timed.ratio is None or not link.counts:
            return None
        unchosen = timed.log_ratios[: fewest_restarts(len(link.pairing.workloads))]
        means.append(statistics.fmean(unchosen))
        variances.append(statistics.variance(unchosen) / len(unchosen))
        restarts.append(len(unchosen))
    family = FAMILY / max(len(link.pairing.workloads) for link in links)
    quantile = float(stdtrit(min(restarts) - 1, 1 - family / 2))
    centre = math.fsum(sign * mean for sign, mean in zip(signs, means, strict=True))
    return _Sum(centre, quantile * math.sqrt(math.fsum(variances)))


def product(links: Sequence[SpeedLink], workload: str) -> Product | None:
    """Ratio of times of a workload over several links, with its interval.

    None where a link does not have it, or where something moved that cannot have changed.

    Args:
        links: one after the other.
        workload: its name.
    """
    found = _sum(links, workload, [1] * len(links))
    if found is None:
        return None
    return Product(*map(math.exp, (found.centre, found.centre - found.half, found.centre + found.half)))


def disagreements(links: Sequence[SpeedLink]) -> Iterator[str]:
    """Workloads whose product over a chain is not what the long link over it measured, a sentence each.

    Where all sessions measure the same releases, one of a long link's workloads is told with chance FAMILY at most:
    then a session has met another machine than the others.
    """
    for long in links:
        chain = path_between(links, long.older, long.newer)
        if len(chain) < 2:
            continue
        for timed in long.pairing.workloads:
            difference = _sum((*chain, long), timed.name, [*[1] * len(chain), -1])
            if difference is not None and abs(difference.centre) > difference.half:
                ratios = [product(part, timed.name) for part in (chain, (long,))]
                told = [f"{one.ratio:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in ratios if one]
                yield f"{timed.name}, {long.older} -> {long.newer}: {told[0]} by {len(chain)} steps, {told[1]} at once"


def speed_lines(links: Sequence[SpeedLink], releases: Sequence[str]) -> dict[str, tuple[Product | None, ...]]:
    """Time of each workload beside that of the first release in which it was timed, one for each release.

    None before that, and from the first step on over which it was not timed.

    Args:
        links: of the history.
        releases: oldest first; those without a link are passed over.
    """
    linked = [each for each in releases if any(each in (link.older, link.newer) for link in links)]
    names = dict.fromkeys(timed.name for link in links for timed in link.pairing.workloads)
    lines: dict[str, dict[str, Product]] = {name: {} for name in names}
    for name, line in lines.items():
        start = None
        for release in linked:
            if start is None:
                nexts = [link for link in links if link.older == release]
                if any(product((link,), name) for link in nexts):
                    start, line[release] = release, Product(1.0, 1.0, 1.0)
                continue
            steps = path_between(links, start, release) or tuple(filter(None, [link_between(links, start, release)]))
            found = product(steps, name) if steps else None
            if found is not None:
                line[release] = found
    return {name: tuple(line.get(release) for release in releases) for name, line in lines.items()}


def lacking(link: SpeedLink) -> dict[str, str]:
    """Workloads without a ratio over a link, each with the reason: a side lacks it, or there was no time."""
    return {
        timed.name: timed.notes[0] if timed.notes else "no reason given"
        for timed in link.pairing.workloads
        if timed.ratio is None
    }
