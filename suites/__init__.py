"""The measurements: pytest suites aimed at torch, and `machinery`, aimed at this project."""
