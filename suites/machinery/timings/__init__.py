"""Tests of suites/timings."""
