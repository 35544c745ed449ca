"""Tests of reports/renderers."""
