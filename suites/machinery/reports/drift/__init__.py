"""Tests of reports/drift."""
