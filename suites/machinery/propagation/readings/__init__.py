"""Tests of fixtures/propagation/readings."""
