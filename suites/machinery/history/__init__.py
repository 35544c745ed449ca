"""Tests of fixtures/history."""
