"""Builders of what the tests need: runs, weights, wheels, pages, processes."""
