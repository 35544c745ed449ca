"""Tests of reports/verdict."""
