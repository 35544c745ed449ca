"""Tests of fixtures/statistics."""
