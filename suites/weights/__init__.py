"""Whether fresh weights are what their initializer promises."""
