"""Tests of fixtures/operations and suites/operations."""
