"""Tests of fixtures/clock."""
