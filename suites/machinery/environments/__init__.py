"""Tests of fixtures/environments."""
