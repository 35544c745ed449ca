"""Weights as CUDA's source makes them, without a GPU: Philox 4x32-10, cuRAND's numbers, torch's scaling, in NumPy.

Written from the sources that fixtures/statistics/generators.py names, not from each other's code: what they compute,
operation by operation in the precision that they use. In place of the hardware's sine and cosine stand NumPy's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

Words = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]

MULTIPLIERS, WEYL = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)
"""Constants of the published generator (Salmon et al., SC 2011)."""

ROUNDS = 10


def philox(counters: Words, key: tuple[int, int]) -> Words:
    """Four words for each counter, [n, 4] -> [n, 4]."""
    words = counters.astype(np.uint64)
    keys = list(key)
    for _ in range(ROUNDS):
        first, second = words[:, 0] * MULTIPLIERS[0], words[:, 2] * MULTIPLIERS[1]
        words = np.stack(
            (
                (second >> np.uint64(32)) ^ words[:, 1] ^ np.uint64(keys[0]),
                second & np.uint64(0xFFFFFFFF),
                (first >> np.uint64(32)) ^ words[:, 3] ^ np.uint64(keys[1]),
                first & np.uint64(0xFFFFFFFF),
            ),
            axis=1,
        )
        keys = [(one + step) & 0xFFFFFFFF for one, step in zip(keys, WEYL, strict=True)]
    return words.astype(np.uint32)


def words_of(seed: int, count: int) -> Words:
    """At least `count` words of a seed, [n, 4]: those of the first call of as many threads, which the counter names."""
    counters = np.zeros((-(-count // 4), 4), np.uint32)
    counters[:, 2] = np.arange(len(counters))
    return philox(counters, (seed & 0xFFFFFFFF, seed >> 32))


def uniform(words: Words) -> Floats:
    """cuRAND's float32 uniforms, of (0, 1]: a word is rounded to float32, and so is the sum with half a step."""
    return words.astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)


def uniform_double(words: Words) -> npt.NDArray[np.float64]:
    """cuRAND's float64 uniforms, of (0, 1]: 53 bits of two words, [n, 2] -> [n]."""
    low, high = words[:, 0].astype(np.uint64), words[:, 1].astype(np.uint64)
    return (low ^ (high << np.uint64(21))).astype(np.float64) * 2.0**-53 + 2.0**-54


STEP = np.float32(2 * np.pi * 2.0**-32)


def angle(words: Words) -> Floats:
    """Angle of Box-Muller, in float32."""
    return words.astype(np.float32) * STEP + np.float32(STEP / 2)


def normal(words: Words) -> Floats:
    """cuRAND's float32 normals, two of each pair of words, [n, 4] -> [4 n]."""
    pairs = words.reshape(-1, 2)
    radius = np.sqrt(np.float32(-2) * np.log(uniform(pairs[:, 0])))
    turn = angle(pairs[:, 1]).astype(np.float64)
    return np.stack((np.sin(turn).astype(np.float32) * radius, np.cos(turn).astype(np.float32) * radius), 1).ravel()


def scaled_uniform(draws: Floats, low: float, high: float, dtype: torch.dtype) -> torch.Tensor:
    """torch's uniform_ on CUDA: scaled in float32 between bounds of the dtype, rounded, and the upper one replaced.

    Args:
        draws: of (0, 1], [n].
        low, high: bounds.
        dtype: of the weights, [n].
    """
    start, end = (torch.tensor(bound, dtype=dtype) for bound in (low, high))
    span = (end - start).float()
    values = (torch.from_numpy(draws) * span + start.float()).to(dtype)
    return torch.where(values == end, start, values)


def scaled_normal(draws: Floats, std: float, dtype: torch.dtype) -> torch.Tensor:
    """torch's normal_ on CUDA, of mean 0: scaled in float32 and rounded."""
    return (torch.from_numpy(draws) * torch.tensor(std, dtype=torch.float32)).to(dtype)
