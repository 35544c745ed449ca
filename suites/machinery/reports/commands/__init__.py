"""Tests of reports/commands."""
