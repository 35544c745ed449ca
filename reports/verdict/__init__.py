"""Verdict of a gate: the policy applied to changes, drift and times, and the reasons for its outcome."""
