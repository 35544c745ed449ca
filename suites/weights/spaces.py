"""Spaces of right and wrong arguments that several tests draw from."""

from __future__ import annotations

from hypothesis import strategies as st

MODES = ("fan_in", "fan_out")

NONLINEARITIES = (
    *("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    *("sigmoid", "tanh", "relu", "leaky_relu", "selu"),
)
"""All that `calculate_gain` documents."""

unknown_modes = st.one_of(
    st.sampled_from(("fan", "fan_avg", "fan_sum", "fanin", "fan-in", "in", "")), st.text(max_size=8)
).filter(lambda mode: mode.lower() not in MODES)
"""torch accepts its two modes in capitals, which it does not document: neither promised nor refused here."""

unknown_nonlinearities = st.one_of(
    st.sampled_from(("gelu", "silu", "swish", "mish", "elu", "identity", "ReLU", "conv4d", "")), st.text(max_size=8)
).filter(lambda name: name not in NONLINEARITIES)

no_slopes = st.one_of(st.booleans(), st.text(max_size=4), st.lists(st.integers(), max_size=2), st.complex_numbers())
"""Values that are no slope: True and False, which Python counts among the integers, texts, lists, complex numbers."""
