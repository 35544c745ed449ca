"""Resolution of a tier relative to the quick one's."""

from __future__ import annotations

FINER = {"quick": 1, "full": 4, "soak": 16}
"""With 4, an error of 0.5 % in one layer of 64 is seen where the quick tier sees 2 %, by 16 times as many networks."""

FINER_OF_MANY = {"quick": 1, "full": 2, "soak": 4}
"""Resolution where the quick tier draws thousands of networks already: four times as many halve what is seen."""
