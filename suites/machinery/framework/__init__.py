"""Tests of suites/framework."""
