"""Asking: questions on pytest's marks, counterexamples by Hypothesis, the recorder, the settings."""
