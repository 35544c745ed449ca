"""Tests of fixtures/record."""
