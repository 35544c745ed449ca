"""Tests of fixtures/training."""
