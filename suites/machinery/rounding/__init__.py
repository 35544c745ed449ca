"""Tests of fixtures/rounding."""
