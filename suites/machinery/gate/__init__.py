"""Tests of fixtures/gate."""
