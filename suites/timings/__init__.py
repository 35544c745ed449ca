"""Timings of torch in one environment, by pytest-benchmark."""
