"""Weights of the law itself, and the same with a fault of a stated size in them: one way for each reading."""

from __future__ import annotations

import math

import numpy as np
import torch

from fixtures.record.claim import Unit
from fixtures.record.subject import HALF_TYPES, Subject
from fixtures.statistics.laws import Normal, grid_law, promised_law
from fixtures.weights.law_questions import law_questions
from fixtures.weights.marginal_questions import usual_extreme
from fixtures.weights.sketcher import Sketcher

SHAPE = (40, 125)
DRAWS = math.prod(SHAPE)
"""5000: few enough to be drawn thousands of times. Most formulas are at their worst where draws are few."""


def subject(law="normal", dtype="float32"):
    """Kaiming weights of this law."""
    return Subject(f"kaiming_{law}_", SHAPE, dtype)


def share_beyond(about, k):
    """Chance of a healthy weight to be counted beyond about k std."""
    law = grid_law(promised_law(about), about.dtype)
    edges = law.cells.upper[:-1]
    return 2 * float(law.above[np.abs(edges - k * law.law.std).argmin()])


def healthy(about, generator, tensors=1):
    """Draws of the promised law itself, [tensors, *SHAPE] in float64."""
    law = promised_law(about)
    if isinstance(law, Normal):
        return generator.normal(0, law.std, (tensors, *SHAPE))
    return generator.uniform(law.low, law.high, (tensors, *SHAPE))


def sketched(about, weights):
    """The sketch of weights rounded to the subject's dtype."""
    sketcher = Sketcher(about.dtype, about.shape, promised_law(about).median_size)
    sketcher.add(torch.from_numpy(weights).to(getattr(torch, about.dtype)))
    return sketcher.finish()


def question(about, name):
    """The question of `name` about a subject."""
    (found,) = [asked for asked in law_questions(about) if asked.family == f"weights.{name}"]
    return found


def detectable(about, name, generator, tensors=1):
    """Effect that a claim says it detects, in the unit that faults are planted in.

    Of the two looks that are taken at lines of Gaussian weights, faults are planted in that at all disjoint pairs.

    Args:
        about: the subject.
        name: of the claim's family, without "weights.".
        generator: of the weights.
        tensors: number of tensors, each of SHAPE.
    """
    for _ in range(1000):  # which look decides of healthy weights is a toss: none of as many has no chance
        size = question(about, name).read(sketched(about, healthy(about, generator, tensors))).detectable
        if size.unit is not Unit.ALIGNMENT or not grid_law(promised_law(about), about.dtype).is_gaussian:
            return size.value
    raise AssertionError(f"{name}: all {tensors} healthy tensors are judged by their most aligned lines")


def replaced(weights, chance, value, generator):
    """Each weight becomes `value` with this chance.

    Args:
        weights: of any shape.
        chance: of each weight.
        value: that it becomes.
        generator: of the choice.
    """
    return np.where(generator.uniform(size=weights.shape) < chance, value, weights)


def rounded(about, weights):
    """Weights on their dtype's grid, in float64."""
    return torch.from_numpy(weights).to(getattr(torch, about.dtype)).double().numpy()


def with_the_largest_cut(about, weights, by, _generator):
    """Weights that lie out by no less than the usual farthest less `by` std are halved.

    Args:
        about: the subject.
        weights: [tensors, *SHAPE].
        by: in std of the law.
        _generator: not needed; all that PLANTED holds take one.
    """
    weights = rounded(about, weights)
    law = grid_law(promised_law(about), about.dtype)
    at = usual_extreme(law, weights.size, "largest") - by
    return np.where(np.abs(weights) >= at * law.law.std * (1 - 1e-9), weights / 2, weights)


def one_value_missing(about, weights, *_):
    """The value with the most mass becomes its neighbour.

    By the law, not by count: another value of nearly as much mass may be drawn more often and yet not be due.
    """
    law = grid_law(promised_law(about), about.dtype)
    most = int(law.masses.argmax())
    return np.where(rounded(about, weights) == law.cells.first[most], law.cells.first[most - 1], weights)


def fatter(k):
    """Weights beyond k std are more frequent by a share of their number."""

    def plant(about, weights, percent, generator):
        usual = share_beyond(about, k)
        return replaced(weights, usual * percent / 100 / (1 - usual), 6 * promised_law(about).std, generator)

    return plant


def shifted(place):
    """The weights at some place in each tensor are shifted by a percentage of the promised std."""

    def plant(about, weights, percent, _):
        weights[place] += percent / 100 * promised_law(about).std
        return weights

    return plant


def scaled(place):
    """The weights at some place in each tensor are too large by a percentage."""

    def plant(_, weights, percent, __):
        weights[place] *= 1 + percent / 100
        return weights

    return plant


def sign_follows_the_last(_about, weights, correlation, generator):
    """Each sign is that of the weight before it, or is not, with this correlation.

    Args:
        _about: not needed; all that PLANTED holds take a subject.
        weights: [tensors, *SHAPE].
        correlation: of signs that follow each other.
        generator: of the signs.
    """
    turns = np.where(generator.uniform(size=weights.size) < (1 - correlation) / 2, -1, 1)
    return np.abs(weights) * np.cumprod(turns).reshape(weights.shape)


def aligned(along):
    """Each second line of a tensor leans towards the line before it, so that z is off by as much as is stated."""

    def plant(about, weights, size, _):
        lines = np.moveaxis(weights, along, 1)
        first, second = lines[:, :-1:2], lines[:, 1::2]
        normal = isinstance(promised_law(about), Normal) and about.dtype not in HALF_TYPES
        z = math.sqrt((1 + size) ** 2 - 1) if normal else size  # stated as the rms of all z, or as the largest
        second += z * promised_law(about).std * first / np.linalg.norm(first, axis=-1, keepdims=True)
        return weights

    return plant


ALL, ROW, COLUMN = np.s_[:], np.s_[:, 3], np.s_[:, :, 7]
FIRST, LAST = np.s_[:, 0, :16], np.s_[:, -1, -16:]

PLANTED = {
    "marginal.location": shifted(ALL),
    "marginal.scale": scaled(ALL),
    "marginal.shape": lambda _, w, size, g: np.where((w < 0) & (g.uniform(size=w.shape) < 2 * size), -w, w),
    "marginal.tail3": fatter(3),
    "marginal.tail4": fatter(4),
    "marginal.zeros": lambda _, w, size, g: replaced(w, size, 0.0, g),
    "marginal.extremes": with_the_largest_cut,
    "marginal.grid": one_value_missing,
    "marginal.resolution": lambda _, w, size, g: np.where(g.uniform(size=w.shape) < size, w.astype(np.float16), w),
    "position.rows.location": shifted(ROW),
    "position.rows.scale": scaled(ROW),
    "position.columns.location": shifted(COLUMN),
    "position.columns.scale": scaled(COLUMN),
    "position.first.location": shifted(FIRST),
    "position.first.scale": scaled(FIRST),
    "position.last.location": shifted(LAST),
    "position.last.scale": scaled(LAST),
    "independence.signs": sign_follows_the_last,
    "independence.rows": aligned(1),
    "independence.columns": aligned(2),
}


FEWEST_DUE = {"bfloat16": 4, "float16": 24}
"""Tensors of which 25 weights of the most frequent value are expected, as many as make it due."""

SCENES = [("normal", "float32"), ("uniform", "float64"), ("normal", "bfloat16"), ("uniform", "float16")]
