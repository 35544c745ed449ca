"""Tests of fixtures/faults."""
