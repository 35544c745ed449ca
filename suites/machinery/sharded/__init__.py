"""Tests of fixtures/sharded and suites/sharded."""
