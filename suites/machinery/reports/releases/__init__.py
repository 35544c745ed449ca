"""Tests of reports/releases."""
