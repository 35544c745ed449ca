"""Tests of fixtures/rules."""
