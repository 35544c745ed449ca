"""Tests of reports/comparison."""
