"""The audit of a user's own model: python -m suites.audit file.py:build --input-shape 784."""
