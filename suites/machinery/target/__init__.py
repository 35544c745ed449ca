"""Tests of fixtures/target."""
