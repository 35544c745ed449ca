"""Linear complexity: by brute force for short sequences, its law by counting all of a length."""

from __future__ import annotations

import itertools

import pytest

from fixtures.weights.recurrence import MARGIN, SIGNS, chance_of, linear_complexity


def made_by(register, bits):
    """Test whether each bit is the sum of those before it that a register's taps name."""
    length = len(register)
    return all(
        bits[place] == sum(bits[place - 1 - back] for back in range(length) if register[back]) % 2
        for place in range(length, len(bits))
    )


def shortest(bits):
    return next(
        length
        for length in range(len(bits) + 1)
        if any(made_by(register, bits) for register in itertools.product((0, 1), repeat=length))
    )


@pytest.mark.parametrize("n", range(1, 8))
def test_no_shorter_register_makes_the_bits(n):
    assert all(linear_complexity(bits) == shortest(bits) for bits in itertools.product((0, 1), repeat=n))


@pytest.mark.parametrize("n", [1, 2, 7, 10])
def test_its_law_is_that_of_all_sequences(n):
    lengths = [linear_complexity(bits) for bits in itertools.product((0, 1), repeat=n)]

    for most in range(n // 2 + 1):
        assert sum(length <= most for length in lengths) / 2**n == chance_of(n, most)


def test_chance_makes_none_that_is_called_short_in_1e12_runs():
    assert chance_of(SIGNS, SIGNS // 2 - MARGIN) < 1e-12
