"""Conformance of fresh weights with what their initializer promises."""
