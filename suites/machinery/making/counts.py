"""Counts of weights by cell, and runs that keep them, for what compares two runs' draws."""

from __future__ import annotations

import numpy as np

from fixtures.record.plan import Case
from fixtures.record.subject import Subject
from fixtures.statistics.formats import CELLS, cells_of
from fixtures.statistics.judgement import draws_to_resolve
from fixtures.statistics.laws import Normal, grid_law
from suites.machinery.chance import fresh_seed
from suites.machinery.making.runs import plan, run, subject

QUICK = draws_to_resolve(0.002)
"""Draws of a core subject at the quick tier."""

FLOAT32, BFLOAT16 = (subject(dtype, nonlinearity="relu") for dtype in ("float32", "bfloat16"))
STD = (2 / 128) ** 0.5


def sample(law, dtype, draws, generator) -> np.ndarray:
    """Counts by cell code of draws of a law, rounded to a grid.

    Args:
        law: of the weights.
        dtype: whose grid it is.
        draws: number of weights.
        generator: of the counts.
    """
    masses = np.clip(grid_law(law, dtype).masses, 0, None)
    counts = np.zeros(CELLS, np.int64)
    counts[cells_of(dtype).codes] = generator.multinomial(draws, masses / masses.sum())
    return counts


def halved(counts, dtype):
    """Every second value is given to its neighbour: a grid twice as coarse."""
    codes = cells_of(dtype).codes
    ascending = counts[codes]
    ascending[1::2] += ascending[::2][: len(ascending[1::2])]
    ascending[::2] = 0
    coarse = counts.copy()
    coarse[codes] = ascending
    return coarse


def counts(about: Subject = FLOAT32, *, scale: float = 1.0, seed: int = 1) -> np.ndarray:
    """Counts of a subject's draws: the same in one test for the same `seed`."""
    return sample(Normal(STD * scale), about.dtype, QUICK, np.random.default_rng([fresh_seed(), seed]))


def sketched(about: Subject = FLOAT32, *claims, paired, salted=None, salt=1, **fields):
    """A run that keeps a sketch of a core subject: of draws from the common seed, and of salted ones.

    Args:
        about: the subject.
        claims: of the run.
        paired, salted: counts of either draws by cell code; None where there are none.
        salt: of the salted draws.
        fields: others of the run.
    """
    kept = {"counts": paired, "salted": salted, "salt": np.asarray(salt)}
    core = Case(family="weights.law", subject=about, draws=QUICK, resolution=0.002, core=True)
    usual = {
        "plan": plan([made.id for made in claims], cases=(core,)),
        "sketches": {f"{about.key}/{name}": array for name, array in kept.items() if array is not None},
    }
    return run(*claims, **usual | fields)
