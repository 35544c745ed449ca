"""Networks that the training suite trains."""

from __future__ import annotations

from fixtures.record.kinds import Architecture

TUTORIAL, DEEP, CONVOLUTIONAL = Architecture("tutorial"), Architecture("deep", 50, 64), Architecture("convolutional")
