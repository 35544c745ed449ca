"""Tests of fixtures/propagation/networks."""
