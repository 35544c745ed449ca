"""Releases: records made of runs (reports/history), read back as runs, and compared over all releases."""
