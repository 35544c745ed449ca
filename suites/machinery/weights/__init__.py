"""Tests of fixtures/weights."""
