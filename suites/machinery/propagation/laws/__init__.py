"""Tests of fixtures/propagation/laws."""
