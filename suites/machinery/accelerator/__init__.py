"""Tests of suites/accelerator."""
