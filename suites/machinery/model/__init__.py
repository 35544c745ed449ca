"""Tests of fixtures/model."""
