"""Tests of fixtures/propagation."""
