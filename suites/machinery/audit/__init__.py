"""Tests of fixtures/audit."""
