"""Plots of a page, by matplotlib. Numbers in, figures out; texts beside a figure are the page's.

Sizes are in points of a drawing 360 wide: a column of the page is half as wide again, a phone as wide as that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from fixtures.record.safe_text import printable
from fixtures.statistics.formats import FloatArray
from reports.renderers.page.svg import COLOURS
from reports.view.curves import Curves, Strain
from reports.view.depths import Bands
from reports.view.forests import BASELINE, CANDIDATE, Forest, Row
from reports.view.history import SpeedLine
from reports.view.marginals import Marginal, band
from reports.view.model import Clouds
from reports.view.timings import Interval

WIDTH = 5.0
"""Inches, 72 points each."""

INK, FAINT, RULE = COLOURS["ink"], COLOURS["faint"], COLOURS["rule"]

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "kaiming gate",  # the same numbers give the same file
    "text.parse_math": False,  # a dollar sign in a name from a run file is a dollar sign
    "font.size": 9,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: text is measured the same everywhere
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.labelcolor": FAINT,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
    "xtick.color": RULE,
    "xtick.labelcolor": FAINT,
    "xtick.labelsize": 8.5,
    "ytick.color": RULE,
    "ytick.labelcolor": FAINT,
    "ytick.labelsize": 8.5,
}

LINES: dict[str, dict[str, Any]] = {
    BASELINE: {"color": COLOURS["baseline"], "linewidth": 2.6, "zorder": 3},
    CANDIDATE: {"color": COLOURS["candidate"], "linewidth": 1.3, "zorder": 4},
}
"""The candidate's thin line lies on the baseline's broad one: where they agree both are seen."""


DASHED, DOTTED = (0, (3, 2)), (0, (1, 1.5))


@contextmanager
def drawing() -> Iterator[None]:
    """matplotlib as it comes, in the page's style, whatever a user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def _axes(height: float, left: float = 46) -> tuple[Figure, Axes]:
    """A figure `height` points high, with fixed margins in points, so that plots side by side line up."""
    width, right, bottom, top = 72 * WIDTH, 12, 34, 8
    figure = Figure(figsize=(WIDTH, height / 72))
    room = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    return figure, figure.add_axes(room)


def histogram(found: Marginal) -> Figure:
    """Weights by size, both sides and the law.

    Logarithmic for a law without ends, whose tails would not be seen otherwise: an empty bin then lies on the floor.
    """
    figure, axes = _axes(190)
    has_tails = not (math.isfinite(found.law.low) and math.isfinite(found.law.high))
    most = max(drawn.n for drawn in found.drawn.values())
    # Half a weight in a bin: what lies below cannot be told from nothing.
    floor = 0.5 / most / float(np.diff(found.edges).max()) if has_tails else 0.0
    highest = max(float(heights.max()) for heights in (found.expected, *(d.density for d in found.drawn.values())))
    axes.stairs(np.maximum(found.expected, floor), found.edges, color=INK, linestyle=DASHED, zorder=5)
    for side, drawn in found.drawn.items():
        heights = np.maximum(drawn.density, floor)
        if side == CANDIDATE:
            axes.stairs(heights, found.edges, fill=True, baseline=floor, color=COLOURS[CANDIDATE], alpha=0.14)
        axes.stairs(heights, found.edges, baseline=floor, **LINES[side])
    if has_tails:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(_power_of_ten))
    axes.set_ylim(floor, highest * (3 if has_tails else 1.2))
    axes.set_xlim(found.edges[0], found.edges[-1])
    axes.set_xlabel("weight, in promised std from the promised mean")
    axes.set_ylabel("density")
    return figure


def probability_transform(found: Marginal) -> Figure:
    """Departure of the empirical CDF from the law's, with the band that a healthy one stays within."""
    figure, axes = _axes(190)
    for n in {drawn.n for drawn in found.drawn.values()}:
        axes.axhspan(-band(n), band(n), color=COLOURS["band"], linewidth=0, zorder=1)
    axes.axhline(0, color=INK, linestyle=DASHED, linewidth=1, zorder=2)
    for side, drawn in found.drawn.items():
        axes.plot(100 * found.promised, drawn.departure, **LINES[side])
    farthest = max(max(float(np.abs(drawn.departure).max()), band(drawn.n)) for drawn in found.drawn.values())
    axes.set_ylim(-1.15 * farthest, 1.15 * farthest)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of weights that the law puts below, in %")
    axes.set_ylabel("observed less promised, in %")
    axes.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.3g}" if value else "0"))
    return figure


def depth(sides: Mapping[str, Bands]) -> Figure:
    """Second moment against depth: exact quantile bands, the measured quantiles of both sides, and single networks."""
    figure, axes = _axes(210)
    law = next(iter(sides.values()))
    outer, inner, middle = (0, -1), (1, -2), len(law.levels) // 2
    exact = law.exact * DECADES
    for (below, above), colour in ((outer, "band"), (inner, "inner-band")):
        lower, upper = exact[:, below], exact[:, above]
        axes.fill_between(law.depths, lower, upper, color=COLOURS[colour], linewidth=0, zorder=1)
    axes.plot(law.depths, exact[:, middle], color=INK, linestyle=DASHED, linewidth=1, zorder=5)
    for side, bands in sides.items():
        if side == CANDIDATE:
            single = DECADES * bands.lines[:MOST_SINGLE].T
            axes.plot(bands.depths, single, color=COLOURS[side], linewidth=0.5, alpha=0.35, zorder=2)
        for level in (inner[0], middle, inner[1]):
            axes.plot(bands.depths, DECADES * bands.measured[:, level], **LINES[side])
    axes.set_xlim(law.depths[0], law.depths[-1])
    axes.set_xlabel("layers passed")
    axes.set_ylabel("second moment over the first")
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _ten_to(value)))
    return figure


DECADES = 1 / math.log(10)
"""Natural logs to powers of ten."""

MOST_SINGLE = 10
"""Single networks that are drawn: enough to see that they differ, few enough to see each."""


def losses(found: Curves) -> Figure:
    """Loss against step, both sides, with what rounding explains; below, how far the sides are apart."""
    figure, axes, below = _axes_above_strain(found.by_step)
    lines = {side: _drawable(numbers.plain.losses) for side, numbers in found.sides.items()}
    low, high = _limits(lines.values())
    margin = 0.05 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    _explained(axes, next(iter(lines.values())), found.allowed[:, 0])
    for side, line in lines.items():
        axes.plot(_numbered(line), line, **LINES[side])
    axes.set_ylabel("loss")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    _number_places(axes, below, max(map(len, lines.values())), "step")
    return figure


def gradient_norms(found: Curves) -> Figure:
    """Norm of each layer's gradient at the first step, dotted, and at the last; below, how far the sides are apart."""
    figure, axes, below = _axes_above_strain(found.by_layer)
    ends = {
        side: [_drawable(_log10(numbers.plain.gradient_norms[step])) for step in (0, -1)]
        for side, numbers in found.sides.items()
    }
    low, high = _limits(line for lines in ends.values() for line in lines)
    axes.set_ylim(math.floor(low), max(math.ceil(high), math.floor(low) + 1))
    for line, step in zip(next(iter(ends.values())), (0, -1), strict=True):
        _explained(axes, line, found.allowed[step, 1:], is_log10=True)
    for side, lines in ends.items():
        for line, style in zip(lines, (DOTTED, "-"), strict=True):
            axes.plot(_numbered(line), line, **LINES[side] | {"linestyle": style})
    axes.set_ylabel("norm of the gradient")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _ten_to(value)))
    _number_places(axes, below, max(len(first) for first, _ in ends.values()), "layer")
    return figure


def clouds(found: Clouds) -> Figure:
    """Losses of both sides' repeats against step; below, how far they are from the baseline's median."""
    figure, axes, below = _axes_above()
    lines = {side: _drawable(line) for side, line in found.middle.items()}
    low, high = _limits(lines.values())
    margin = 0.05 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    for side, line in lines.items():
        axes.plot(_numbered(line), line, **LINES[side])
    axes.set_ylabel("loss")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    ends = {side: [found.departure(of[side]) for of in (found.low, found.high)] for side in found.middle}
    for side, colour in ((BASELINE, "inner-band"), (CANDIDATE, "candidate")):
        lower, upper = (line.clip(-MOST_WIDTHS, MOST_WIDTHS) for line in ends[side])
        places = _numbered(lower)
        if side == BASELINE:
            below.fill_between(places, lower, upper, color=COLOURS[colour], linewidth=0, zorder=1)
        else:
            below.vlines(places, lower, upper, color=COLOURS[colour], linewidth=1.1, zorder=3)
            middle = found.departure(found.middle[side]).clip(-MOST_WIDTHS, MOST_WIDTHS)
            below.plot(places, middle, linestyle="none", marker="o", markersize=3, color=COLOURS[colour], zorder=4)
    _mark_departure(below, found.leaves_at)
    farthest = max(2.0, *(abs(end) for end in _limits([line for of in ends.values() for line in of])))
    farthest = min(farthest, MOST_WIDTHS)
    below.set_yscale("symlog", linthresh=2, linscale=1.5)
    below.set_ylim(-1.5 * farthest, 1.5 * farthest)
    ticks = [0.0, *(sign * of for of in WIDTH_TICKS if of <= farthest for sign in (-1, 1))]
    below.yaxis.set_major_locator(FixedLocator(ticks))
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
    below.yaxis.set_minor_formatter(NullFormatter())
    below.minorticks_off()
    below.set_ylabel("half widths")
    _number_places(axes, below, max(map(len, lines.values())), "step")
    return figure


MOST_WIDTHS = 1e4
"""Half widths of the baseline's repeats beyond which a candidate is as far off as can be told."""

WIDTH_TICKS = (1.0, 10.0, 1000.0)
"""Half widths that are labelled: their labels have room beneath each other, whatever the scale."""


def _mark_departure(axes: Axes, step: int | None) -> None:
    """Mark the step at which the candidate leaves."""
    if step is not None:
        axes.axvline(step, color=COLOURS["wrong"], linestyle=DASHED, linewidth=1, zorder=2)
        place = axes.get_xaxis_transform()
        label: dict[str, Any] = {"color": COLOURS["wrong"], "fontweight": "bold", "fontsize": 8.5}
        axes.text(step, 1.02, f"✕ leaves at {step}", transform=place, ha="center", va="bottom", **label)


def _axes_above_strain(strain: Strain | None) -> tuple[Figure, Axes, Axes | None]:
    """Axes, and below them narrower ones that show `strain`; both are there only where it is."""
    if strain is None:
        return *_axes(190), None
    figure, axes, below = _axes_above()
    one_ulp, candidate = (_decades(line) for line in (strain.one_ulp, strain.candidate))
    places = _numbered(candidate)
    below.fill_between(places, LEAST_STRAIN, 0 * one_ulp, color=COLOURS["band"], linewidth=0, zorder=1)
    below.fill_between(places, LEAST_STRAIN, one_ulp, color=COLOURS["inner-band"], linewidth=0, zorder=2)
    marks = {"marker": "o", "markersize": 2.4, "clip_on": False}
    below.plot(places, candidate, **LINES[CANDIDATE] | marks)
    beyond = np.where(candidate > 0, candidate, np.nan)
    below.plot(places, beyond, **LINES[CANDIDATE] | marks | {"color": COLOURS["wrong"], "zorder": 5})
    highest = _limits([candidate])[1]
    below.set_ylim(LEAST_STRAIN, max(1.0, math.ceil(highest)))
    below.set_ylabel("departure")
    below.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{_ten_to(value)}{TIMES}"))
    return figure, axes, below


def _axes_above() -> tuple[Figure, Axes, Axes]:
    """Axes, and below them narrower ones of the same width."""
    figure, axes = _axes(290)
    room = axes.get_position()
    share, gap = 0.33, 0.06
    axes.set_position((room.x0, room.y0 + share * room.height, room.width, (1 - share) * room.height))
    return figure, axes, figure.add_axes((room.x0, room.y0, room.width, (share - gap) * room.height))


LEAST_STRAIN, MOST_STRAIN = -4, 6
"""Powers of ten between which shares of what rounding explains are distinguished: a ten thousandth is less than what
one unit in the last place makes of 1024."""


def _decades(share: FloatArray) -> FloatArray:
    """log10 within what is distinguished; nothing at all and infinitely much are its ends, NaN stays."""
    return np.asarray(_log10(share).clip(LEAST_STRAIN, MOST_STRAIN))


def _log10(values: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return np.asarray(np.log10(values))


MOST_DRAWN = 1e6
"""Losses beyond tell no more than that training came to nothing, and would make a flat line of all others."""


def _drawable(values: FloatArray) -> FloatArray:
    """Values with gaps where a number is none that a drawing has room for."""
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(values) < MOST_DRAWN, values, np.nan)


def _limits(lines: Iterable[FloatArray]) -> tuple[float, float]:
    """Least and largest of what is to be drawn; 0 and 1 where there is nothing."""
    finite = np.concatenate([line[np.isfinite(line)] for line in lines])
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _explained(axes: Axes, line: FloatArray, allowed: FloatArray, *, is_log10: bool = False) -> None:
    """A band around a line, `allowed` times its values wide on either side, as far as the axes reach."""
    values = 10.0**line if is_log10 else line
    with np.errstate(all="ignore"):
        edges = [values * (1 + factor * allowed) for factor in (-1, 1)]
        lower, upper = (np.log10(np.maximum(edge, 0)) for edge in edges) if is_log10 else edges
    low, high = axes.get_ylim()
    places = _numbered(line)
    axes.fill_between(
        places, lower.clip(low, high), upper.clip(low, high), color=COLOURS["band"], linewidth=0, zorder=1
    )


def _numbered(line: FloatArray) -> FloatArray:
    """Places along the axis: steps and layers count from 1."""
    return np.arange(1, len(line) + 1, dtype=np.float64)


def _number_places(axes: Axes, below: Axes | None, most: int, label: str) -> None:
    """The axis that both drawings share."""
    for each in (axes, below) if below else (axes,):
        each.set_xlim(0.7, most + 0.3)
        each.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    (below or axes).set_xlabel(label)
    if below:
        axes.xaxis.set_major_formatter(NullFormatter())


ROW = 27
"""Points of a row: its label, and below it the intervals of both sides."""


def forest(found: Forest, rows: Sequence[Row]) -> Figure:
    """Effects with their intervals, a row each, what is amiss marked by its colour and a cross, what is fine shaded.

    Args:
        found: the whole forest: drawings beside each other share its scale.
        rows: those to draw, one or more, from the top down.
    """
    figure, axes = _axes(ROW * len(rows) + 44, left=12)
    intervals = [interval for row in found.rows for interval in row.sides.values()]
    _effect_scale(axes, intervals, [end for row in found.rows for end in row.fine or ()], ratio=found.ratio)
    axes.axvline(1 if found.ratio else 0, color=INK, linestyle=DASHED, linewidth=1, zorder=2)
    for number, row in enumerate(rows):
        place = -number
        if row.fine:
            axes.fill_betweenx((place - 0.25, place + 0.2), *row.fine, color=COLOURS["band"], linewidth=0, zorder=1)
        marked: dict[str, Any] = {"color": COLOURS["wrong"], "fontweight": "bold"} if row.is_wrong else {}
        axes.text(
            0.0,
            place + 0.25,
            ("✕ " if row.is_wrong else "") + row.label,
            transform=axes.get_yaxis_transform(),
            fontsize=8,
            bbox={"facecolor": COLOURS["paper"], "edgecolor": "none", "pad": 1.5, "alpha": 0.8},
            zorder=6,
            **marked,
        )
        for shift, (side, interval) in zip((0.0, -0.22), sorted(row.sides.items()), strict=False):
            axes.errorbar(
                interval.value,
                place + shift,
                xerr=[[interval.value - interval.low], [interval.high - interval.value]],
                **POINTS[side],
            )
    axes.set_ylim(-len(rows) + 0.45, 0.75)
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.set_xlabel(found.axis)
    return figure


POINTS: dict[str, dict[str, Any]] = {
    BASELINE: {
        "fmt": "s",
        "markersize": 4,
        "color": COLOURS["baseline"],
        "markerfacecolor": COLOURS["paper"],
        "linewidth": 1.4,
        "zorder": 3,
    },
    CANDIDATE: {"fmt": "o", "markersize": 4.2, "color": COLOURS["candidate"], "linewidth": 1.4, "zorder": 4},
}
"""Sides differ in the shape and the filling of their marks, not in colour alone."""


def _effect_scale(axes: Axes, intervals: Sequence[Interval], fine: Sequence[float], *, ratio: bool) -> None:
    """An axis that shows small effects beside enormous ones: logarithmic, from where all that is small ends."""
    ends = [end for interval in intervals for end in (interval.low, interval.high)] + [*fine]
    if ratio:
        farthest = 1.08 * max(abs(math.log(end)) for end in ends)
        axes.set_xscale("log")
        axes.set_xlim(math.exp(-farthest), math.exp(farthest))
        axes.xaxis.set_major_locator(FixedLocator(_ratio_ticks(farthest)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}{TIMES}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
        return
    farthest = max(1e-9, *map(abs, ends))
    usual = float(np.median([(interval.high - interval.low) / 2 for interval in intervals]))
    linear = 10.0 ** math.ceil(math.log10(max(usual, 1e-6 * farthest)))
    if farthest > LOGARITHMIC_FROM * linear:
        axes.set_xscale("symlog", linthresh=linear, linscale=1.2)
        decades = [linear * 10.0**k for k in range(math.ceil(math.log10(farthest / linear)) + 1)]
        axes.xaxis.set_major_locator(FixedLocator([*(-d for d in reversed(decades)), 0, *decades]))
        axes.minorticks_off()
        axes.set_xlim(-1.6 * farthest, 1.6 * farthest)
    else:
        axes.set_xlim(-1.08 * farthest, 1.08 * farthest)
        axes.xaxis.set_major_locator(MaxNLocator(6, symmetric=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))


LOGARITHMIC_FROM = 12
"""Times the width of a usual interval from which on a linear axis would make that interval a dot."""


TIMES = "\N{MULTIPLICATION SIGN}"


def _ratio_ticks(farthest: float) -> list[float]:
    """Round factors and their inverses, so far apart that seven labels have room."""
    ticks = [1.0]
    for factor in (1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0):
        if math.log(factor / ticks[-1]) > farthest / 3.5 and math.log(factor) <= farthest:
            ticks.append(factor)
    return [*(1 / tick for tick in reversed(ticks[1:])), *ticks]


def over_releases(line: SpeedLine) -> Figure:
    """Time of a workload beside the oldest release, over all that were timed, with its interval; gaps without one."""
    figure, axes = _axes(128, left=40)
    points = [(place, point) for place, point in enumerate(line.points) if point]
    ends = [end for _, point in points for end in (point.low, point.high)]
    farthest = max(LEAST_SPAN, *(1.08 * abs(math.log(end)) for end in ends)) if ends else LEAST_SPAN
    axes.axhline(1, color=INK, linestyle=DASHED, linewidth=1, zorder=2)
    gaps = np.full((3, len(line.points)), np.nan)
    for place, point in points:
        gaps[:, place] = point.low, point.value, point.high
    places = np.arange(len(line.points))
    axes.fill_between(places, gaps[0], gaps[2], color=COLOURS["inner-band"], linewidth=0, zorder=1)
    axes.vlines(places, gaps[0], gaps[2], color=COLOURS["candidate"], linewidth=1, zorder=3)
    axes.plot(places, gaps[1], **LINES[CANDIDATE], marker="o", markersize=3)
    axes.set_yscale("log")
    axes.set_ylim(math.exp(-farthest), math.exp(farthest))
    axes.yaxis.set_major_locator(FixedLocator(_ratio_ticks(farthest)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}{TIMES}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    names = line.releases
    shown = sorted({round(place) for place in np.linspace(0, len(names) - 1, min(len(names), MOST_NAMES))})
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.xaxis.set_major_locator(FixedLocator([float(place) for place in shown]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda place, _: printable(names[round(place)], 10)))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    return figure


LEAST_SPAN = math.log(1.1)
"""Half the height of an axis of ratios at least: within a margin of 10 %, nothing is slower."""

MOST_NAMES = 7
"""Names of releases that have room under a drawing."""


def _power_of_ten(value: float, _: object = None) -> str:
    return _ten_to(math.log10(value))


def _ten_to(exponent: float) -> str:
    """10 to a whole power, written out where that is short."""
    whole = round(exponent)
    return f"{10.0**whole:g}" if -2 <= whole <= 2 else "10" + str(whole).translate(_SUPERSCRIPTS)


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
