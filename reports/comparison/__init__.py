"""Comparison of two runs: what changed of each claim, and the words and chances that all later rooms share."""
