"""What is measured: pytest suites aimed at torch, and `machinery`, aimed at ourselves."""
