"""Tests of the house itself: its walls, its workflows, its tests' chance to fail."""
