"""Subjects of the training suite: an optimizer on a network."""

from __future__ import annotations

from fixtures.record.subject import Subject

TUTORIAL, DEEP, CONVOLUTIONAL = "tutorial", "deep(50, 64)", "convolutional"


def step_subject(optimizer, path, dtype="float32", device="cpu"):
    """An optimizer on a network: neither has to do with an initializer."""
    return Subject(optimizer, (), dtype, mode=None, nonlinearity=None, a=None, device=device, path=path)
